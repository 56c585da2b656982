"""The tables of a run, and tables as CSV."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ..comparison import against_controls, against_dense
from ..criteria import ACCURACY, BETTER_THAN, NO_SLOWER, criteria
from ..rule import Rule
from ..summary import table
from ..words import counted


@dataclass(frozen=True)
class Sheet:
    """A table as it is shown. name: its files are called so. data: text or numbers; whole: what the CSV holds."""

    name: str
    title: str
    data: pd.DataFrame
    note: str
    whole: pd.DataFrame

    @property
    def numbers(self) -> pd.DataFrame | None:
        """What a page shows of `whole`: less columns that are empty or the same in all rows of a run.

        None if `data` is all there is.
        """
        if self.whole is self.data:
            return None
        return self.whole.drop(columns=["run", "metric"], errors="ignore").dropna(axis="columns", how="all")


def sheets_of(rounds: pd.DataFrame, rule: Rule | None = None) -> list[Sheet]:
    """The tables of a run: what each arm came to, the ticket against each control, what a winning ticket must be.

    rounds: the rows of one run. rule: how it is judged; default: `Rule()`. Tables that a run cannot have (no controls,
    no round after the dense) are left out.
    """
    arms = table(rounds).reset_index()
    replicates = rounds["replicate"].nunique()
    spread = "mean ± standard deviation over" if replicates > 1 else "of"
    note = f"Test accuracy at early stop, %, {spread} {counted(replicates, 'replicate')}."
    sheets = [Sheet("arms", "Every arm", arms, note, arms)]
    rules = {str(rounds["run"].iloc[0]): rule or Rule()}
    compared = against_controls(rounds, ACCURACY, rules=rules)
    if len(compared):
        note = f"{_COMPARED} up to {100 * float(compared['margin'].iloc[0]):.3g} points either way do not matter."
        sheets.append(Sheet("compared", "The ticket against each control", _verdicts(compared), note, compared))
    held = criteria(rounds, rules)
    if len(held):
        sheets.append(Sheet("criteria", "What a winning ticket must be", _held(held), _CRITERIA, held))
    return sheets


_COMPARED = (
    "Test accuracy at early stop, ticket minus control in points, the 95 % interval that is simultaneous over all "
    "cells of this table (max-t, multivariate t), and what it says of the ticket;"
)
_CRITERIA = (
    "Each criterion, by density: the estimate (points; of steps the ratio), its 95 % interval, simultaneous over all "
    "cells of this table, and whether it holds by that. A winning ticket has a yes in every column of a row."
)


def detectable_points(rounds: pd.DataFrame) -> float | None:
    """The smallest true difference in accuracy from dense, in points, that this run would have shown; the median
    over rounds. None if there is none to tell.
    """
    smallest = against_dense(rounds, ACCURACY)["smallest"].astype(float).median()
    return None if math.isnan(smallest) else 100 * float(smallest)


def cell(value: object) -> str:
    """A cell as text: floats to four digits, nothing for NaN."""
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.4g}"
    return "" if value is None else str(value)


def to_csv(data: pd.DataFrame) -> str:
    """A table as CSV, every digit, no index."""
    return data.to_csv(index=False, lineterminator="\n")


def _verdicts(compared: pd.DataFrame) -> pd.DataFrame:
    return _wide(compared.assign(text=[_verdict(row) for row in compared.to_dict("records")]), "arm")


def _verdict(row: Mapping[Any, Any]) -> str:
    value, low, high = (100 * float(row[name]) for name in ("difference", "band_low", "band_high"))
    if math.isnan(value):
        return "no pair"
    interval = "" if math.isnan(low) else f" [{low:+.2f}, {high:+.2f}]"
    return f"{value:+.2f}{interval} {row['verdict']}"


def _held(held: pd.DataFrame) -> pd.DataFrame:
    own = held[~held["criterion"].str.startswith(BETTER_THAN)]
    ordered = pd.concat([own, held.drop(own.index)])
    return _wide(ordered.assign(text=[_criterion(row) for row in ordered.to_dict("records")]), "criterion")


def _criterion(row: Mapping[Any, Any]) -> str:
    ends = [float(row[name]) for name in ("estimate", "band_low", "band_high")]
    if math.isnan(ends[0]):
        return str(row["holds"])
    ratio = row["criterion"] == NO_SLOWER
    value, low, high = (f"{end:.2f}" if ratio else f"{100 * end:+.2f}" for end in ends)
    interval = "" if math.isnan(ends[1]) else f" [{low}, {high}]"
    return f"{value}{interval} {row['holds']}"


def _wide(long: pd.DataFrame, across: str) -> pd.DataFrame:
    """`text` by density (down, falling) and `across`, in the order in which these come."""
    wide = long.pivot(index="round", columns=across, values="text")[list(long[across].unique())]
    densities = long.groupby("round")["density"].mean()
    wide.insert(0, "density", [f"{densities[number]:.4f}" for number in wide.index])
    return wide.fillna("").rename_axis(columns=None).reset_index(drop=True)
