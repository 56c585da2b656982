"""Trainings of two runs, or of one run, compared in pairs by replicate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from ..intervals import detectable, paired_interval
from ..metrics import find_metric, values_of
from ..pairs import TICKET
from ..verdicts import verdict

ACCURACY = "final_test_accuracy"
LOSS = "final_train_loss"

COLUMNS = [
    "run", "round", "arm", "run_other", "round_other", "arm_other", "metric", "n", "diverged", "mean", "mean_other",
    "difference", "low", "high", "margin", "verdict", "smallest",
]  # fmt: skip


@dataclass(frozen=True)
class Side:
    """One side of a comparison: the trainings of an arm in a round of a run, one per replicate."""

    run: str
    round: int = 0
    arm: str = TICKET


def paired(
    rounds: pd.DataFrame, sides: Sequence[tuple[Side, Side]], metric: str = ACCURACY, confidence: float = 0.95
) -> pd.DataFrame:
    """Compare pairs of sides, first minus second, over the replicates that both have: a row per pair of sides.

    Runs with one campaign seed see the same examples in the same order in the same replicate, so their replicates are
    paired. Draws are averaged within each replicate first; trainings without a value are left out.

    Parameters
    ----------
    rounds : DataFrame
        As `Saved.rounds`.
    sides : sequence of pairs of Side
        A pair with a side that `rounds` lacks has no row.
    metric : str
        A name in `METRICS`.
    confidence : float
        Of the intervals, in (0, 1).

    Returns
    -------
    DataFrame
        Columns run, round, arm, run_other, round_other, arm_other, metric, n (pairs), diverged (trainings without a
        value, of both sides), mean, mean_other (over the pairs), difference, low, high (`paired_interval`), margin (the
        metric's own), verdict (`verdict`, of the first side) and smallest (`detectable`).
    """
    found = find_metric(metric)
    keys = ["run", "round", "arm"]
    values = rounds[[*keys, "replicate"]].assign(value=values_of(rounds, metric))
    drawn = values.groupby([*keys, "replicate"])["value"]
    wide = drawn.mean().unstack("replicate")
    lost = values["value"].isna().groupby([values[key] for key in keys]).sum()
    rows = []
    place = {key: row for row, key in enumerate(wide.index)}
    for pair in sides:
        first, second = ((side.run, side.round, side.arm) for side in pair)
        if first not in place or second not in place:
            continue
        one, other = wide.iloc[place[first]], wide.iloc[place[second]]
        differences = one - other
        there = differences.notna()
        difference, low, high = (float(value) for value in paired_interval(differences.to_numpy(), confidence))
        means = (one[there].mean(), other[there].mean())
        counts = (int(there.sum()), int(lost[first] + (lost[second] if first != second else 0)))
        smallest = float(detectable(differences.to_numpy(), confidence))
        judged = verdict(low, high, found.margin, found.more_is_better)
        rows.append((*first, *second, metric, *counts, *means, difference, low, high, found.margin, judged, smallest))
    return pd.DataFrame(rows, columns=COLUMNS)
