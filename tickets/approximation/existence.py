"""How likely a subset within a tolerance is, by simulation, and the theorem's bound with a fitted constant.

Lueker 1998: of n > C log(1 / e) numbers, uniform on [-1, 1], with high probability every w in [-1, 1] has a subset
whose sum is within e of w. The theorem does not say what C is. It is fitted here, as the slope of n = A + C log2(1 / e)
to the least n with which half of the simulated draws have this. No distribution can do with fewer than log2(1 / e):
2^n intervals of width 2 e must cover [-1, 1].
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tickets.approximation.construction import Settings, groups_of
from tickets.approximation.subset_sum import find_subsets
from tickets.approximation.target import Layer
from tickets.approximation.values import draw

if TYPE_CHECKING:
    import pandas as pd

HALF = 0.5  # the share of draws from which on every weight counts as within reach
MOST_LISTED = 16  # candidates of which all sums are listed, 2**16

Floats = npt.NDArray[np.float64]


def simulated_errors(layers: Sequence[Layer], settings: Settings, draws: int) -> Floats:
    """The nearest subset's error for weights of a network that are chosen at random, with candidates drawn anew.

    Parameters
    ----------
    layers
        Of the target.
    settings
        Candidates, distribution and seed. Each weight has candidates of its own, as in construction "weight".
    draws
        How many weights are chosen, with replacement, among those that are not 0, with a sign of their input.

    Returns
    -------
    ndarray
        (draws,) float64.
    """
    weights, scales, passed = [], [], []
    for layer in layers:
        groups = groups_of(layer, settings)
        targets = layer.sources[:, groups.source]
        row, group = np.nonzero(targets)
        weights.append(targets[row, group])
        scales.append(np.full(len(row), layer.scale))
        passed.append(groups.into[group] != 0)
    weight, scale, passes = np.concatenate(weights), np.concatenate(scales), np.concatenate(passed)
    if not len(weight):
        return np.zeros(draws)
    chosen = np.random.RandomState(np.random.MT19937(settings.seed)).randint(len(weight), size=draws)
    numbers = draw(settings.values, (draws, settings.candidates), 1.0, settings.seed, "existence", settings.candidates)
    numbers = numbers.astype(np.float64) * (scale * passes)[chosen, None]
    found = find_subsets(numbers, weight[chosen, None])
    return np.abs(found.sums[:, 0] - weight[chosen])


def reach(numbers: Floats) -> float:
    """The least tolerance within which every w in [-1, 1] has a subset of some numbers, exactly.

    Parameters
    ----------
    numbers
        (n,), n <= 20: all 2**n sums are listed.
    """
    sums = np.zeros(1)
    for number in numbers:
        sums = np.concatenate([sums, sums + number])
    sums.sort()
    # The w farthest from all sums is half-way between two of them, or an end.
    middles = (sums[1:] + sums[:-1]) / 2
    inside = np.abs(middles) < 1
    ends = np.array([np.abs(sums - end).min() for end in (-1.0, 1.0)])
    return float(np.concatenate([ends, ((sums[1:] - sums[:-1]) / 2)[inside]]).max())


def reaches(values: str, candidates: int, draws: int, seed: int = 0) -> Floats:
    """`reach` of numbers of a distribution that are drawn several times, (draws,)."""
    numbers = draw(values, (draws, candidates), 1.0, seed, "reach", candidates).astype(np.float64)
    return np.array([reach(row) for row in numbers])


def share_interval(hits: int, of: int, level: float = 0.95) -> tuple[float, float]:
    """The exact (Clopper-Pearson) confidence interval of a share."""
    from scipy.stats import beta

    tail = (1 - level) / 2
    low = float(beta.ppf(tail, hits, of - hits + 1)) if hits else 0.0
    high = float(beta.ppf(1 - tail, hits + 1, of - hits)) if hits < of else 1.0
    return low, high


def reach_table(
    values: Sequence[str], candidates: Sequence[int], tolerances: Sequence[float], draws: int, seed: int = 0
) -> pd.DataFrame:
    """The share of draws with which every w in [-1, 1] has a subset within a tolerance.

    Returns
    -------
    DataFrame
        A row per distribution, number of candidates (at most 16) and tolerance: values, candidates, tolerance, draws,
        every, low and high (a 95 % interval).
    """
    import pandas as pd

    rows = []
    for name in values:
        for count in (count for count in candidates if count <= MOST_LISTED):
            found = reaches(name, count, draws, seed)
            for tolerance in tolerances:
                hits = int((found <= tolerance).sum())
                rows.append((name, count, tolerance, draws, hits / draws, *share_interval(hits, draws)))
    return pd.DataFrame(rows, columns=["values", "candidates", "tolerance", "draws", "every", "low", "high"])


@dataclass(frozen=True)
class Fit:
    """The fitted bound n = offset + constant * log2(1 / e)."""

    offset: float
    constant: float

    def needed(self, tolerance: float) -> float:
        """The number of candidates for a tolerance."""
        return self.offset + self.constant * math.log2(1 / tolerance)


def fitted(table: pd.DataFrame, values: str = "uniform") -> Fit | None:
    """The theorem's bound, fitted by least squares; None where fewer than two tolerances of the table are reached.

    Parameters
    ----------
    table
        As `reach_table` returns it. For each tolerance e, n is the least number of candidates from which on the share
        `every` is 0.5 or more.
    values
        The distribution.
    """
    own = table[table["values"] == values]
    logs, counts = [], []
    for tolerance, rows in own.groupby("tolerance"):
        below = rows.loc[rows["every"] < HALF, "candidates"]
        above = rows.loc[rows["candidates"] > (below.max() if len(below) else 0), "candidates"]
        # Without a number that is too small, the least one need not be the first that suffices.
        if len(above) and len(below):
            logs.append(math.log2(1 / float(str(tolerance))))
            counts.append(int(above.min()))
    if len(logs) < 2:
        return None
    constant, offset = np.polyfit(logs, counts, 1)
    return Fit(float(offset), float(constant))
