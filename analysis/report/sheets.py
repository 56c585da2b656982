"""The tables of a run, and tables as CSV."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ..comparison import against_controls, against_dense
from ..criteria import ACCURACY, BETTER_THAN, NO_SLOWER, criteria
from ..metrics import has_accuracy
from ..rule import Rule
from ..shown import Shown, as_measured
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
    rule = rule or Rule()
    how = rule.shown
    arms = table(as_measured(rounds, rule.accuracy), how.metric, how.scale, how.form).reset_index()
    replicates = rounds["replicate"].nunique()
    spread = "mean ± standard deviation over" if replicates > 1 else "of"
    heading = f"{how.heading[:1].upper()}{how.heading[1:]}"
    note = f"{heading}, {spread} {counted(replicates, 'replicate')}."
    sheets = [Sheet("arms", "Every arm", arms, note, arms)]
    rules = {str(rounds["run"].iloc[0]): rule}
    # Without accuracy or R2 the arms are compared by their losses, and no criterion can be judged.
    compared = against_controls(rounds, ACCURACY if has_accuracy(rounds) else how.metric, rules=rules)
    if len(compared):
        note = f"{_compared(how)} up to {_size(float(compared['margin'].iloc[0]), how)} either way do not matter."
        sheets.append(Sheet("compared", "The ticket against each control", _verdicts(compared, how), note, compared))
    held = criteria(rounds, rules) if has_accuracy(rounds) else pd.DataFrame()
    if len(held):
        sheets.append(Sheet("criteria", "What a winning ticket must be", _held(held, how), _criteria(how), held))
    return sheets


def _compared(how: Shown) -> str:
    measured = how.heading.removesuffix(", %")
    return (
        f"{measured[:1].upper()}{measured[1:]}, ticket minus control{_in_unit(how)}, the 95 % interval that is "
        "simultaneous over all cells of this table (max-t, multivariate t), and what it says of the ticket;"
    )


def _criteria(how: Shown) -> str:
    unit = how.unit.strip() or f"differences of {how.name}"
    return (
        f"Each criterion, by density: the estimate ({unit}; of steps the ratio), its 95 % interval, simultaneous over "
        "all cells of this table, and whether it holds by that. A winning ticket has a yes in every column of a row."
    )


def _in_unit(how: Shown) -> str:
    return f" in{how.unit}" if how.unit else ""


def _size(value: float, how: Shown) -> str:
    return f"{how.scale * value:.3g}{how.unit}"


def smallest_detectable(rounds: pd.DataFrame, how: Shown) -> str | None:
    """The smallest detectable difference in accuracy (or R2) from dense, with its unit: the median over rounds.

    None if there is none.
    """
    smallest = float(against_dense(rounds, ACCURACY)["smallest"].astype(float).median())
    if math.isnan(smallest):
        return None
    return f"{how.scale * smallest:.1f}{how.unit}" if how.unit else f"{smallest:.3g} in {how.name}"


def cell(value: object) -> str:
    """A cell as text: floats to four digits, nothing for NaN."""
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.4g}"
    return "" if value is None else str(value)


def to_csv(data: pd.DataFrame) -> str:
    """A table as CSV, every digit, no index."""
    return data.to_csv(index=False, lineterminator="\n")


def _verdicts(compared: pd.DataFrame, how: Shown) -> pd.DataFrame:
    return _wide(compared.assign(text=[_verdict(row, how) for row in compared.to_dict("records")]), "arm")


def _verdict(row: Mapping[Any, Any], how: Shown) -> str:
    value, low, high = (float(row[name]) for name in ("difference", "band_low", "band_high"))
    if math.isnan(value):
        return "no pair"
    interval = "" if math.isnan(low) else f" [{how.difference(low)}, {how.difference(high)}]"
    return f"{how.difference(value)}{interval} {row['verdict']}"


def _held(held: pd.DataFrame, how: Shown) -> pd.DataFrame:
    own = held[~held["criterion"].str.startswith(BETTER_THAN)]
    ordered = pd.concat([own, held.drop(own.index)])
    return _wide(ordered.assign(text=[_criterion(row, how) for row in ordered.to_dict("records")]), "criterion")


def _criterion(row: Mapping[Any, Any], how: Shown) -> str:
    ends = [float(row[name]) for name in ("estimate", "band_low", "band_high")]
    if math.isnan(ends[0]):
        return str(row["holds"])
    ratio = row["criterion"] == NO_SLOWER
    value, low, high = (f"{end:.2f}" if ratio else how.difference(end) for end in ends)
    interval = "" if math.isnan(ends[1]) else f" [{low}, {high}]"
    return f"{value}{interval} {row['holds']}"


def _wide(long: pd.DataFrame, across: str) -> pd.DataFrame:
    """`text` by density (down, falling) and `across`, in the order in which these come."""
    wide = long.pivot(index="round", columns=across, values="text")[list(long[across].unique())]
    densities = long.groupby("round")["density"].mean()
    wide.insert(0, "density", [f"{densities[number]:.4f}" for number in wide.index])
    return wide.fillna("").rename_axis(columns=None).reset_index(drop=True)
