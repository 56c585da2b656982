"""The tables of a run's chapter."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from tickets.plurals import counted

from ..comparison import against_controls, against_dense
from ..criteria import ACCURACY, BETTER_THAN, NO_SLOWER, criteria
from ..labels import Label, capitalised, signed
from ..metrics import has_accuracy
from ..rule import Rule
from ..summary import table
from .table import Table

COMPARED = "The ticket against each control"
CRITERIA = "The criteria of a winning ticket"


def tables_of_run(rounds: pd.DataFrame, rule: Rule | None = None) -> list[Table]:
    """The tables of a run: every arm, the ticket against each control, the criteria of a winning ticket.

    Parameters
    ----------
    rounds : DataFrame
        The rows of one run.
    rule : Rule, optional
        How the run is judged; default: `Rule()`.

    Returns
    -------
    list of Table
        Without the tables that a run cannot have: it may have no controls, no round after the dense one, or a task
        without accuracy.
    """
    rule = rule or Rule()
    rules = {str(rounds["run"].iloc[0]): rule}
    compared = against_controls(rounds, rule.labels.metric, rules=rules)
    required = criteria(rounds, rules) if has_accuracy(rounds) else pd.DataFrame()
    made = [_arms(rounds, rule)]
    if len(compared):
        made.append(_compared(compared, rule, bool(len(required))))
    if len(required):
        made.append(_criteria(required, rule, bool(len(compared))))
    return made


def detectable_difference(rounds: pd.DataFrame) -> float | None:
    """The smallest detectable difference in accuracy from dense, the median over rounds; None if there is none."""
    smallest = against_dense(rounds, ACCURACY)["smallest"].astype(float).median()
    return None if math.isnan(smallest) else float(smallest)


def _arms(rounds: pd.DataFrame, rule: Rule) -> Table:
    label = rule.labels.main
    data = table(rounds, rule.labels.metric, label.factor, label.table_form).reset_index()
    replicates = rounds["replicate"].nunique()
    spread = "mean ± standard deviation over" if replicates > 1 else "of"
    heading = capitalised(rule.labels.heading(rule.labels.metric))
    note = f"{heading}{label.axis_unit}, {spread} {counted(replicates, 'replicate')}."
    return Table("arms", "Every arm", data, note, data)


def _compared(compared: pd.DataFrame, rule: Rule, with_criteria: bool) -> Table:
    label = rule.labels.main
    heading = capitalised(rule.labels.heading(rule.labels.metric))
    margin = f"{label.factor * float(compared['margin'].iloc[0]):.3g} {label.difference}".strip()
    note = (
        f"{heading}, ticket minus control{_in_unit(label)}; its 95 % interval, "
        "simultaneous over all cells of this table (max-t, multivariate t); and the verdict on the ticket. Margin of "
        f"equivalence: {margin}.{_other(CRITERIA, with_criteria)}"
    )
    return Table("compared", COMPARED, _wide(compared, "arm", lambda row: _verdict(row, label)), note, compared)


def _criteria(required: pd.DataFrame, rule: Rule, with_compared: bool) -> Table:
    accuracy = rule.labels.accuracy
    note = (
        f"Each criterion by density: the estimate (differences{_in_unit(accuracy)}; of steps the ratio); its 95 % "
        "interval, simultaneous over all cells of this table; and whether the criterion holds by it. A winning ticket "
        f"has a yes in every column of a row.{_other(COMPARED, with_compared)}"
    )
    own = required[~required["criterion"].str.startswith(BETTER_THAN)]
    ordered = pd.concat([own, required.drop(own.index)])
    return Table(
        "criteria", CRITERIA, _wide(ordered, "criterion", lambda row: _criterion(row, accuracy)), note, required
    )


def _in_unit(label: Label) -> str:
    return f", in {label.difference}" if label.difference else ""


def _other(title: str, exists: bool) -> str:
    """Why another table has another interval for the same difference."""
    if not exists:
        return ""
    return (
        f" The table “{title}” may show another interval for the same difference, since its intervals are simultaneous "
        "over its own cells."
    )


def _verdict(row: Mapping[Any, Any], label: Label) -> str:
    value, low, high = (float(row[name]) for name in ("difference", "band_low", "band_high"))
    if math.isnan(value):
        return "no pair"
    return f"{label.difference_text(value, low, high)} {row['verdict']}"


def _criterion(row: Mapping[Any, Any], accuracy: Label) -> str:
    value, low, high = (float(row[name]) for name in ("estimate", "band_low", "band_high"))
    if math.isnan(value):
        return str(row["holds"])
    if row["criterion"] == NO_SLOWER:
        return f"{signed(value, low, high, '.2f')} {row['holds']}"
    return f"{accuracy.difference_text(value, low, high)} {row['holds']}"


def _wide(long: pd.DataFrame, across: str, text: Callable[[Mapping[Any, Any]], str]) -> pd.DataFrame:
    """The text of each row, by falling density down and `across`, both in the order of the rows."""
    texts = long.assign(text=[text(row) for row in long.to_dict("records")])
    wide = texts.pivot(index="round", columns=across, values="text")[list(long[across].unique())]
    densities = long.groupby("round")["density"].mean()
    wide.insert(0, "density", [f"{densities[number]:.4f}" for number in wide.index])
    return wide.fillna("").rename_axis(columns=None).reset_index(drop=True)
