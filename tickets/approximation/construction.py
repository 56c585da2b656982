"""How a layer of a target becomes two layers of a random network, of which a subset is kept.

A target layer y = W x + b of weights w is made by a hidden layer of ReLU units and an output layer, both random. A bias
is the weight of an input that is always 1. Two constructions:

- "weight", as in the proof of Pensia et al. 2020 ("Optimal Lottery Tickets via SubsetSum"; after Malach et al. 2020):
  each input has units of its own, `candidates` for each sign of the input, since w x = w relu(x) - w relu(-x). The
  weight w of an output unit is the sum of the products v u of the weights u into some of these units and the weights v
  from them to the output unit. Each weight of the target, and each sign of its input, has candidates of its own.
  An input that is never negative (pixels in [0, 1], the output of a ReLU, a bias) needs the units of one sign only.
- "row", as the public code of that paper counts (github.com/acnagle/optimal-lottery-tickets, subset-sum/main.py): all
  weights of an output unit share one draw of candidates. Each output unit has units of its own, one for each candidate
  a_k; unit k adds up the inputs whose subset has candidate k. For inputs that may be negative each unit is a pair,
  a_k relu(z) - a_k relu(-z), whose second half repeats the first one's values with the other sign.

A candidate is the product of two weights. Here the weight u into a hidden unit is +1 or -1 (a signed constant), so that
the candidates v u have exactly the distribution that `values` names: the public code draws candidates in the same way,
and the theorem of Lueker 1998 is about uniform ones. In the paper's lemma u is uniform too; products of two uniform
numbers crowd around 0, and need more candidates for large weights. Units of the wrong sign, about as many again, are
pruned whole, and are not counted. The weights u of `constant` values are +1 as well: no unit passes negative inputs.

The paper's weights are in [-1, 1]. Here the values of a layer are multiplied by the largest magnitude of its weights
and biases, as an initialisation depends on the layer. The public code draws from [smallest, largest] of all weights.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tickets.approximation.subset_sum import Subsets, check_count, find_subsets
from tickets.approximation.target import Layer
from tickets.approximation.values import Values, check_values, draw
from tickets.errors import InputError, nearest

CONSTRUCTIONS = ("weight", "row")
CHOICES = ("nearest", "fewest")


@dataclass(frozen=True)
class Settings:
    """How a network is approximated.

    Attributes
    ----------
    candidates
        Candidates for each weight (and sign of its input), 1 to 62.
    tolerance
        The largest error of a weight that is wanted, > 0.
    values
        Their distribution: "uniform", "normal", "signed_constant" or "constant"; see `values`.
    construction
        "weight" or "row"; see above.
    choose
        Which subset is taken: the "nearest", or the one of the "fewest" candidates within the tolerance.
    seed
        Of the random network.

    Raises
    ------
    InputError
        With everything that is wrong.
    """

    candidates: int
    tolerance: float
    values: str = "uniform"
    construction: str = "weight"
    choose: str = "nearest"
    seed: int = 0

    def __post_init__(self) -> None:
        problems: list[str] = []
        checks: list[tuple[Callable[[Any], None], Any]] = [(check_count, self.candidates), (check_values, self.values)]
        for check, value in checks:
            try:
                check(value)
            except InputError as error:
                problems += error.problems
        if not (np.isfinite(self.tolerance) and self.tolerance > 0):
            problems.append(f"tolerance = {self.tolerance}: must be a number above 0, such as 0.01")
        for key, given, allowed in (
            ("construction", self.construction, CONSTRUCTIONS),
            ("choose", self.choose, CHOICES),
        ):
            if given not in allowed:
                problems.append(f"{key} = {given!r}: must be {' or '.join(allowed)}{nearest(given, allowed)}")
        if not 0 <= self.seed < 2**63:
            problems.append(f"seed = {self.seed}: must be a whole number from 0, below 2**63")
        if problems:
            raise InputError(problems)

    @property
    def fewest_within(self) -> float | None:
        """The tolerance within which the fewest candidates are taken; None if the nearest sum is."""
        # A little less: the sum is rounded in another order than in the search.
        return self.tolerance * (1 - 1e-9) if self.choose == "fewest" else None


@dataclass(frozen=True, eq=False)
class Groups:
    """What has a subset of its own for each output unit: a source (an input or the bias), or a sign of it.

    Attributes
    ----------
    source
        (groups,) the source of each group.
    sign
        (groups,) the sign of the inputs that it passes: 1 or -1; 0 for both.
    into
        (groups,) the weight into its units: 1 or -1; 0 where there are no such units.
    """

    source: npt.NDArray[np.int64]
    sign: npt.NDArray[np.int64]
    into: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.source)


def groups_of(layer: Layer, settings: Settings) -> Groups:
    """The groups of a layer: its sources; in construction "weight" then once more those whose inputs may be negative.

    Raises
    ------
    InputError
        If inputs may be negative, values are constant and the construction is "row": it needs negative weights.
    """
    sources = np.arange(layer.sources.shape[1])
    inputs = np.arange(layer.weight.shape[1] if layer.signed else 0)
    if settings.construction == "row":
        if layer.signed and settings.values == "constant":
            raise InputError(
                f"construction = 'row': layer {layer.name} may have negative inputs, and constant values have no "
                "weight that passes them; take construction = 'weight'"
            )
        return Groups(sources, np.full(len(sources), 0 if layer.signed else 1), np.ones_like(sources))
    negative = 0 if settings.values == "constant" else -1
    return Groups(
        np.concatenate([sources, inputs]),
        np.concatenate([np.ones_like(sources), np.full(len(inputs), -1)]),
        np.concatenate([np.ones_like(sources), np.full(len(inputs), negative)]),
    )


def drawn_values(layer: Layer, index: int, row: int, groups: Groups, settings: Settings) -> Values:
    """The random weights v from hidden units to an output unit: (groups, candidates), or (candidates,) by row.

    Parameters
    ----------
    layer, index
        The layer, and its place among the target's.
    row
        The output unit.
    groups
        Of the layer.
    settings
        The distribution, the number and the seed.
    """
    shape: tuple[int, ...] = (settings.candidates,)
    if settings.construction == "weight":
        shape = (len(groups), settings.candidates)
    return draw(settings.values, shape, layer.scale, settings.seed, "approximate", index, row)


def find_rows(layer: Layer, index: int, rows: range, settings: Settings) -> Subsets:
    """The subsets of some output units of a layer: (rows, groups)."""
    groups = groups_of(layer, settings)
    targets = layer.sources[:, groups.source]
    found = []
    for row in rows:
        values = drawn_values(layer, index, row, groups, settings).astype(np.float64)
        if settings.construction == "row":
            one = find_subsets(values[None], targets[row][None], settings.fewest_within)
        else:
            one = find_subsets(values * groups.into[:, None], targets[row][:, None], settings.fewest_within)
        found.append(Subsets(one.bits.reshape(-1), one.sums.reshape(-1)))
    return Subsets(np.stack([one.bits for one in found]), np.stack([one.sums for one in found]))


def errors_of(layer: Layer, groups: Groups, found: Subsets) -> npt.NDArray[np.float64]:
    """The error of each weight and sign: |sum - weight|, (out, groups)."""
    return np.abs(found.sums - layer.sources[:, groups.source])


def chosen(found: Subsets, candidates: int) -> npt.NDArray[np.bool_]:
    """Which candidates are in each subset: (out, groups, candidates)."""
    return (found.bits[..., None] >> np.arange(candidates) & 1).astype(np.bool_)
