"""The probe `convergence`: when the training loss reaches a level, how fast, and how far the parameters travel."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor

from tickets.config.types import CountFromOne, Positive
from tickets.probes.chosen import chosen_examples
from tickets.probes.networks import Networks
from tickets.probes.probe import at_steps, every_step, working_memory
from tickets.stack.anatomy import Anatomy

LEAST_POINTS = 3
"""Evaluated steps that a rate is fitted to, at least."""
_LOSSES, _STEPS = "losses", "steps"


def travel_bytes(anatomy: Anatomy) -> int:
    """Bytes that measuring one network takes: its parameters in float64, twice."""
    return 16 * sum(parameter.numel() for parameter in anatomy.module.parameters())


@at_steps
@every_step
@working_memory(travel_bytes)
def convergence(networks: Networks, loss: Positive = 1e-3, examples: CountFromOne = 10_000) -> pd.DataFrame:
    """Measure the training loss and the distance travelled at each evaluated step: a row for each network.

    | column | meaning |
    | --- | --- |
    | training_loss | of the training examples, in evaluation mode |
    | reached | whether it was at or below `loss` at an evaluated step so far |
    | steps | the first evaluated step at which it was; NaN if there was none so far |
    | rate | the linear rate of convergence: the slope of the least-squares line of minus the loss's logarithm by step |
    | distance | the length of the parameters minus those that training started from, in their own unit |
    | relative_distance | that over the length of the parameters that training started from |

    The rate is of the later half of the training so far, or of the steps until the loss was reached: the evaluated
    steps from T / 2 to T, at least three. Lengths are Euclidean, of all parameters that are trained together; pruned
    weights do not move. Everything is NaN from the step on at which a value is not finite, and the relative distance
    from a start of zeros.

    Parameters
    ----------
    networks
        The networks.
    loss
        The training loss to reach.
    examples
        The number of training examples; all, if there are no more.

    Source: Du, Zhai, Poczos & Singh (2019), theorem 4.1; Zou, Cao, Zhou & Gu (2020).
    """
    measured = networks.score(*chosen_examples(networks, examples))[:, :1].cpu()  # (R, 1)
    losses = torch.cat([*_earlier(networks, _LOSSES), measured], 1)
    steps = torch.cat([*_earlier(networks, _STEPS), torch.tensor([networks.step], dtype=torch.int64)])
    networks.carry[_LOSSES], networks.carry[_STEPS] = losses, steps
    distance, length = _lengths(networks)
    rows = []
    for index, curve in enumerate(losses.numpy()):
        finite = bool(np.isfinite(curve).all())
        below = np.flatnonzero(curve <= loss)
        at = int(steps[below[0]]) if finite and len(below) else math.nan
        rows.append(
            {
                "network": index,
                "training_loss": float(curve[-1]) if finite else math.nan,
                "reached": bool(finite and len(below)),
                "steps": at,
                "rate": fitted_rate(steps.numpy(), curve, at),
                "distance": float(distance[index]) if finite else math.nan,
                "relative_distance": float(distance[index] / length[index]) if finite and length[index] else math.nan,
            }
        )
    return pd.DataFrame(rows)


def fitted_rate(steps: npt.ArrayLike, losses: npt.ArrayLike, reached: float = math.nan) -> float:
    """The linear rate of convergence of a curve, by least squares over its later half.

    Parameters
    ----------
    steps : array_like, (points,)
        Rising.
    losses : array_like, (points,)
        The loss at each of them.
    reached : float
        The step T at which it is read; NaN for the last one.

    Returns
    -------
    float
        By how much the loss's logarithm falls in a step, from T / 2 to T. NaN for fewer than three points, or if a loss
        there is not finite and above 0.
    """
    x, y = np.asarray(steps, dtype=np.float64), np.asarray(losses, dtype=np.float64)
    end = x[-1] if math.isnan(reached) else reached
    chosen = (x >= end / 2) & (x <= end)
    x, y = x[chosen], y[chosen]
    if len(x) < LEAST_POINTS or not np.isfinite(y).all() or (y <= 0).any():
        return math.nan
    return -float(np.polyfit(x, np.log(y), 1)[0])


def _earlier(networks: Networks, name: str) -> list[Tensor]:
    return [networks.carry[name]] if name in networks.carry else []


def _lengths(networks: Networks) -> tuple[Tensor, Tensor]:
    """(R,) each, float64: of the parameters minus the initial ones, and of the initial ones."""
    squares = torch.zeros(2, len(networks), dtype=torch.float64, device=networks.device)
    for name in networks.context.anatomy.trained:
        start, now = (one[name].detach().flatten(1).double() for one in (networks.initial, networks.values))
        if name in networks.masks:  # weights that are pruned, and not 0, are no coordinates
            start = start * networks.masks[name].flatten(1)
            now = now * networks.masks[name].flatten(1)
        squares += torch.stack([(now - start).square().sum(1), start.square().sum(1)])
    distance, length = squares.sqrt().cpu()
    return distance, length
