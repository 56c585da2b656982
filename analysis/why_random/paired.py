"""Two sets of trainings of two runs, or of one, compared in pairs by replicate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from ..comparison import TICKET
from ..intervals import detectable, paired_interval
from ..metrics import find_metric, values_of
from ..verdicts import verdict

ACCURACY = "final_test_accuracy"
LOSS = "final_train_loss"

COLUMNS = [
    "run", "round", "arm", "run_other", "round_other", "arm_other", "metric", "n", "diverged", "mean", "mean_other",
    "difference", "low", "high", "margin", "verdict", "smallest",
]  # fmt: skip


@dataclass(frozen=True)
class Side:
    """The trainings of an arm in a round of a run, one a replicate."""

    run: str
    round: int = 0
    arm: str = TICKET


def paired(
    rounds: pd.DataFrame, sides: Sequence[tuple[Side, Side]], metric: str = ACCURACY, confidence: float = 0.95
) -> pd.DataFrame:
    """The first side minus the second, over the replicates that both have: a row per pair of sides.

    rounds: as `Saved.rounds`. Runs of one campaign seed see the same examples in the same order in the same
    replicate, which is what makes a pair of theirs. Draws are averaged within each replicate first; trainings
    without a value are left out. Columns: run, round, arm, run_other, round_other, arm_other, metric, n (pairs),
    diverged (trainings without a value, of both sides), mean, mean_other (of each side by itself, over the pairs),
    difference, low, high (`paired_interval`), margin (the metric's own), verdict (`verdict`, of the first side),
    smallest (`detectable`: the smallest true difference that so many pairs would have told from 0).
    """
    asked = find_metric(metric)
    keys = ["run", "round", "arm"]
    values = rounds[[*keys, "replicate"]].assign(value=values_of(rounds, metric))
    drawn = values.groupby([*keys, "replicate"])["value"]
    wide = drawn.mean().unstack("replicate")
    lost = values["value"].isna().groupby([values[key] for key in keys]).sum()
    rows = []
    place = {key: row for row, key in enumerate(wide.index)}
    for sides_of_pair in sides:
        first, second = ((side.run, side.round, side.arm) for side in sides_of_pair)
        if first not in place or second not in place:
            continue
        one, other = wide.iloc[place[first]], wide.iloc[place[second]]
        differences = one - other
        there = differences.notna()
        difference, low, high = (float(value) for value in paired_interval(differences.to_numpy(), confidence))
        means = (one[there].mean(), other[there].mean())
        counts = (int(there.sum()), int(lost[first] + (lost[second] if first != second else 0)))
        smallest = float(detectable(differences.to_numpy(), confidence))
        found = verdict(low, high, asked.margin, asked.more_is_better)
        rows.append((*first, *second, metric, *counts, *means, difference, low, high, asked.margin, found, smallest))
    return pd.DataFrame(rows, columns=COLUMNS)
