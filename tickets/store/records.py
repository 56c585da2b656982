"""The networks of a round, in the form in which the store writes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tickets.store.arrays import Array, Mask
from tickets.store.layout import has_own_mask, keeps_counts

if TYPE_CHECKING:
    import pandas as pd

Values = Mapping[str, Array]
Masks = Mapping[str, Mask]


@dataclass(frozen=True)
class ArmRecord:
    """One trained network. Mappings are in the model's order.

    Attributes
    ----------
    replicate
        The replicate.
    arm
        The arm's label.
    draw
        Which of the arm's draws.
    mask
        {prunable parameter: its mask}, bool, of the parameter's shape.
    initial
        {name: values before training}, for every parameter and buffer. Pruned weights are not written.
    trained
        The same after training; None if it is not stored.
    """

    replicate: int
    arm: str
    draw: int
    mask: Masks
    initial: Values
    trained: Values | None = None


@dataclass(frozen=True)
class RoundRecord:
    """The networks of a cohort in a round: all of them (part 0), or arms and draws added later (part 1, 2, ...).

    Attributes
    ----------
    number
        The number of the round.
    part
        The number of the part.
    replicates
        The cohort's replicates.
    arms
        The network of every replicate, arm and draw.
    repeated
        The labels of the arms that have several draws in the campaign.
    curves, rounds
        The tables, with the columns in `tickets.store.tables`.
    tables
        {file name without ".parquet": table}, for each probe.
    probes
        {table: entry in the manifest}, for each probe.
    next_masks
        {replicate: masks of the next round}; in part 0 only.
    optimizer
        {replicate: {"<parameter>/<state>": array}}: where the optimizer of its ticket ended, if the next round goes on
        with it; in part 0 only.
    names
        {label: name}, for the arms whose label is not their name.
    own_masks
        The labels of the arms that have a mask of their own.
    pruned
        {label: "initial" or "zero_if_shrunk"}, for the arms whose pruned weights are not 0.
    shrunk
        {replicate: which pruned weights had shrunk when they were pruned}; None if no arm of the record needs it.
    models
        {label: table `model`}, for the arms whose networks are not the run's model; their masks keep every weight.
    extra
        Further fields of the manifest, as JSON values, such as "arm_options" and "fingerprint".
    """

    number: int
    part: int
    replicates: tuple[int, ...]
    arms: Sequence[ArmRecord]
    repeated: frozenset[str]
    curves: pd.DataFrame
    rounds: pd.DataFrame
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    probes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    next_masks: Mapping[int, Masks] | None = None
    optimizer: Mapping[int, Values] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    own_masks: frozenset[str] = frozenset()
    pruned: Mapping[str, str] = field(default_factory=dict)
    shrunk: Mapping[int, Masks] | None = None
    models: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)

    def name(self, arm: str) -> str:
        """The name of the arm with this label."""
        return self.names.get(arm, arm)

    def has_own_mask(self, arm: str) -> bool:
        """Whether the mask of the arm with this label is not the round's."""
        return arm in self.own_masks or has_own_mask(self.name(arm))

    def of_arm(self, arm: str, draw: int) -> dict[str, Any]:
        """The entry of an arm and draw in the manifest."""
        name = self.name(arm)
        return {
            "arm": arm,
            "draw": draw,
            **({"name": name} if name != arm else {}),
            **({"own_mask": True} if self.has_own_mask(arm) and not keeps_counts(name) else {}),
            **({"pruned": self.pruned[arm]} if arm in self.pruned else {}),
            **({"model": self.models[arm], "shapes": self._shapes(arm)} if arm in self.models else {}),
        }

    def _shapes(self, arm: str) -> dict[str, list[int]]:
        """The shapes of the parameters and buffers of an arm's networks."""
        values = next(network.initial for network in self.arms if network.arm == arm)
        return {name: list(array.shape) for name, array in values.items()}


def same_counts(surviving: Mapping[str, int], wanted: Mapping[str, int], by_tensor: bool) -> bool:
    """Whether the numbers of surviving weights are equal: in each tensor, or (without `by_tensor`) in total."""
    return surviving == wanted if by_tensor else sum(surviving.values()) == sum(wanted.values())
