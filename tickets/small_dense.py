"""The arm `small_dense`: no mask, but a dense network with as many prunable weights as the ticket has left.

Its network is of the family of the run's model, and its hidden widths are the run's times the largest common factor
with which it has at most as many prunable weights as the ticket (`tickets.models.family`). A ticket that is no better
than this network has gained nothing by its mask (Ma et al. 2021, "Sanity Checks for Lottery Tickets").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from tickets.amounts import planned_weights
from tickets.arms import Origin, Start, Tensors, untrained
from tickets.config import Run
from tickets.config.types import Zero
from tickets.errors import InputError
from tickets.models.family import Family, Widths
from tickets.stack.architecture import Prunable


def every_weight(origin: Origin) -> dict[str, Tensor]:
    """Masks that keep every weight of the narrower network."""
    return {name: torch.ones_like(mask) for name, mask in origin.mask.items()}


def own_draw(origin: Origin, mask: Tensors, *, start: Zero | None = None) -> Start:
    """A draw from the narrower network's own initial distribution: the rule of `model.init`."""
    values = origin.fresh(origin.stream("small_dense"))
    return untrained(origin, values, start)


@dataclass(frozen=True)
class Narrow:
    """The narrower network of one round.

    Attributes
    ----------
    round
        The round's number.
    left
        How many weights the ticket has left.
    widths
        The hidden widths.
    weights
        The prunable weights, at most `left`.
    """

    round: int
    left: int
    widths: Widths
    weights: int


@dataclass(frozen=True, eq=False)
class SmallDense:
    """The narrower networks of a run.

    Attributes
    ----------
    family
        The networks of the run's model with other hidden widths.
    rounds
        The network of each round.
    """

    family: Family
    rounds: tuple[Narrow, ...]

    def as_json(self) -> dict[str, Any]:
        """As run.json has it."""
        return {"rounds": [{**asdict(one), "widths": list(one.widths)} for one in self.rounds]}


def small_dense_of(
    run: Run, prunable: Sequence[Prunable], input_shape: Sequence[int], classes: int
) -> SmallDense | None:
    """The narrower networks that a run trains; None if it has no such arm.

    Parameters
    ----------
    run
        The run.
    prunable
        The prunable tensors of its model.
    input_shape, classes
        Of its data.

    Raises
    ------
    InputError
        If the widths of the model cannot be scaled, or if the ticket has fewer weights left in a round than a network
        whose hidden widths are all 1.
    """
    labels = [arm.label for arm in run.arms if arm.entry.scaled]
    if not labels:
        return None
    family = Family(run, input_shape, classes)
    if run.prune.masks_from is not None:  # how many weights it keeps is not known yet
        return SmallDense(family, ())
    left, found, small = planned_weights(run, prunable), [], []
    for number, weights in enumerate(left):
        widths = family.at_most(weights)
        if widths is None:
            small.append(number)
        else:
            found.append(Narrow(number, weights, widths, family.weights(widths)))
    if small:
        raise InputError(too_few(run, family, {number: left[number] for number in small}, left[0]))
    return SmallDense(family, tuple(found))


def too_few(run: Run, family: Family, left: Mapping[int, int], dense: int) -> str:
    """The error that a ticket has fewer weights left than the narrowest network has.

    Parameters
    ----------
    run
        The run.
    family
        The networks of its model with other hidden widths.
    left
        How many weights the ticket has left, by round, of the rounds with too few; the first of them first.
    dense
        How many it has in round 0.
    """
    label = next(arm.label for arm in run.arms if arm.entry.scaled)
    least, numbers = family.weights((1,) * len(family.widths)), list(left)
    densities = ", ".join(f"{weights / dense:.4g}" for weights in left.values())
    last = f"s {numbers[0]} to {numbers[-1]}" if len(numbers) > 1 else f" {numbers[0]}"
    end = f"end the campaign before (rounds = {numbers[0] - 1}), " if numbers[0] > 1 else ""
    return (
        f"arms.{label}: a network with hidden widths of 1 still has {least:,} prunable weights, more than the ticket "
        f"has left in round{last} (density {densities}); {end}prune less, or leave small_dense out"
    )
