"""The probe `connectivity`: the error along the straight line between two networks."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from tickets.config.types import PointsOfALine
from tickets.measures import Label
from tickets.probes.line import BATCH_NORM, error_along, has_statistics
from tickets.probes.networks import Networks, Tensors
from tickets.probes.pairs import Pair, Pairs, check_stored, classifies, is_ticket, values_at
from tickets.probes.probe import working_memory
from tickets.stack.anatomy import Anatomy

STABLE = 0.02  # of error: a barrier below it is none (Frankle et al. 2020)


def line_bytes(anatomy: Anatomy) -> int:
    """Bytes that a point of a line takes: its values, the module's copy of them and one with other statistics."""
    return 3 * sum(t.numel() * t.element_size() for t in (*anatomy.module.parameters(), *anatomy.module.buffers()))


@working_memory(line_bytes, one_by_one=True)
def connectivity(networks: Networks, points: PointsOfALine = 30, recompute: bool = True) -> list[dict[str, Any]]:
    """Measure the error barrier on the line between the trained values of two networks: a row for each pair.

    Pairs, in the column `between`, always of one replicate:

    | between | pairs |
    | --- | --- |
    | order | each draw of the arm `reorder` and the ticket of the same round: the same start, other data orders. They part at the rewind step, in round 0 (dense networks) too |
    | rounds | the ticket and that of the round before |
    | dense | every network of a later round and the dense ticket of round 0 |

    Other columns:

    | column | content |
    | --- | --- |
    | with_replicate, with_round, with_arm, with_draw | the network at the other end |
    | metric | what the next five are of: "error" (1 - accuracy, in [0, 1]), or "loss" (the training loss) where the task has no classes |
    | end, with_end | at the network and at the other one |
    | highest | the highest of the points |
    | highest_at | where it is: 0 at the network, 1 at the other one; the first of several |
    | barrier | the highest minus the mean of the ends (Frankle et al. 2020) |
    | excess | the largest height above the straight line from `end` to `with_end` (Paul et al. 2023); other than the barrier, 0 where the error falls steadily from a bad network to a good one |
    | stable | 1 if the barrier is below 0.02, 2 percentage points of error, 0 if not; NaN for "loss" |
    | loss_barrier | the barrier of the loss |
    | batch_norm | "recomputed" or "interpolated" statistics; "none" if the model has none |

    The points are evenly spaced, both ends included. Error and loss are of the test set, in evaluation mode; they decide
    nothing in the run. Statistics of batch normalisation are recomputed at every point, the ends included: as the
    cumulative average over batches of at least train.batch_size of the training examples, 10,000 at most, with all
    other layers in evaluation mode. Other buffers are interpolated, those of whole numbers are the nearer end's. A pair
    with a network that diverged, or with a point whose loss is not finite, has NaN.

    Parameters
    ----------
    networks
        The networks.
    points
        Points of the line, at least 3. Each takes an evaluation of one network on the test set.
    recompute
        Whether to recompute statistics of batch normalisation. False interpolates them.

    Raises
    ------
    InputError
        If the run keeps no trained values.

    Source: Frankle, Dziugaite, Roy & Carbin, "Linear Mode Connectivity and the Lottery Ticket Hypothesis", ICML (2020);
    Paul et al., "Unmasking the Lottery Ticket Hypothesis", ICLR (2023).
    """  # noqa: E501
    check_stored(networks, "connectivity")
    is_error = classifies(networks)
    batch_norm = BATCH_NORM[recompute] if has_statistics(networks) else BATCH_NORM[None]
    at = torch.linspace(0, 1, points, dtype=torch.float64)
    measured: dict[tuple[int, Label], Tensor] = {}  # the dense network is also that of the round before round 1
    rows = []
    for pair in _pairs(networks):
        line = pair.network, pair.other
        if line not in measured:
            ends = values_at(networks, pair.network), values_at(pair.among, pair.place)
            measured[line] = _scores(networks, *ends, at, recompute)
        loss, accuracy = measured[line].unbind(1)
        rows.append(
            {
                **pair.columns,
                "metric": "error" if is_error else "loss",
                **barrier_of(1 - accuracy if is_error else loss, at, STABLE if is_error else math.nan),
                "loss_barrier": barrier_of(loss, at)["barrier"],
                "batch_norm": batch_norm,
            }
        )
    return rows


def barrier_of(heights: Tensor, at: Tensor, stable: float = math.nan) -> dict[str, float]:
    """end, with_end, highest, highest_at, barrier, excess and stable of a line; all NaN if a height is not finite.

    Parameters
    ----------
    heights
        Of the error or the loss at each point, (points,) float64.
    at
        The places of the points, from 0 to 1, (points,) float64.
    stable
        A barrier below it is stable; NaN if that is not to be said.
    """
    if not bool(heights.isfinite().all()):
        return dict.fromkeys(("end", "with_end", "highest", "highest_at", "barrier", "excess", "stable"), math.nan)
    first, last, top = float(heights[0]), float(heights[-1]), int(heights.argmax())
    barrier = float(heights[top]) - (first + last) / 2
    return {
        "end": first,
        "with_end": last,
        "highest": float(heights[top]),
        "highest_at": float(at[top]),
        "barrier": barrier,
        "excess": float((heights - torch.lerp(heights[0], heights[-1], at)).max()),
        "stable": math.nan if math.isnan(stable) else float(barrier < stable),
    }


def _pairs(networks: Networks) -> Iterator[Pair]:
    pairs = Pairs(networks, trained=True)
    orders = {arm.label for arm in networks.run.arms if arm.entry.own_order and arm.options.get("start") is None}
    yield from pairs.with_ticket("order", lambda label: label.arm in orders)
    yield from pairs.with_round_before(is_ticket)
    yield from pairs.with_dense()


def _scores(networks: Networks, one: Tensors, other: Tensors, at: Tensor, recompute: bool) -> Tensor:
    """Loss and accuracy at each point, (points, 2) float64 on the CPU; NaN if an end is not finite."""
    if not all(bool(value.isfinite().all()) for ends in (one, other) for value in ends.values()):
        return torch.full((len(at), 2), math.nan, dtype=torch.float64)
    return error_along(networks, one, other, at.tolist(), recompute)
