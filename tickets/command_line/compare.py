"""The command `tickets compare`: the ticket against its controls, as tables or JSON."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd

from tickets.analysis import compare, rules_of
from tickets.command_line.comparison import print_choices, print_comparison
from tickets.command_line.left_out import print_left_out
from tickets.command_line.printing import print_json, print_line
from tickets.command_line.tables import print_notes
from tickets.errors import InputError
from tickets.store import load

_IN_JSON = [
    "run", "round", "density", "arm", "metric", "n", "difference", "low", "high", "p", "p_adjusted", "verdict",
    "band_low", "band_high", "margin",
]  # fmt: skip
_RATIO = ("ratio", "ratio_low", "ratio_high")


def compare_folder(folder: Path, metric: str, margin: float | None, tune: str | None, as_json: bool) -> bool:
    """Compare the arms of the saved runs in a folder, and print the result.

    Parameters
    ----------
    folder
        A campaign's folder, or one run's.
    metric
        The metric that is compared: a key of `tickets.analysis.METRICS`.
    margin
        The margin of equivalence, in the metric's unit; None for the default.
    tune
        A swept key, to compare each arm at its own best value of it; None for no tuning.
    as_json
        Whether to print JSON instead of tables.

    Returns
    -------
    bool
        Whether damaged runs were left out.

    Raises
    ------
    InputError
        If no run can be read, or if `metric`, `margin` or `tune` does not fit the saved runs.
    """
    saved = load(folder, skip_damaged=True)
    rounds, damaged, rules, tuned = saved.rounds, saved.damaged, rules_of(saved), None
    if damaged and rounds.empty:
        raise InputError(list(damaged.values()))
    if rounds.empty:
        raise InputError(f"{folder}: no round is saved yet; `tickets status` shows how far each run is")
    if tune is not None:
        from tickets.analysis.tuning import tune as tuned_by

        tuned = tuned_by(saved, tune, metric)
        rounds, rules = tuned.rounds, tuned.rules
    compared = compare(rounds, metric, margin, rules=rules)
    for run in saved.runs:
        for line in () if run in damaged else saved.left_over(run):
            print_line(f"{run}: {line}", error=as_json)
    if as_json:
        print_json(as_records(compared, None if tuned is None else tuned.chosen))
    else:
        if tuned is not None and tune is not None:
            print_choices(tuned.chosen, tune, tuned.left_out)
        print_comparison(rounds, compared, metric, rules)
        print_notes(saved)
    return print_left_out(damaged)


def as_records(compared: pd.DataFrame, chosen: pd.DataFrame | None = None) -> list[dict[str, Any]]:
    """The rows of `tickets.analysis.compare` as JSON values.

    Parameters
    ----------
    compared
        The rows.
    chosen
        The values that `tune` chose; each record then has `ticket_value` and `arm_value`, the values of the swept key
        that the ticket and the arm were trained with.

    Returns
    -------
    list of dict
        One record for each row, with None for NaN; with the ratio and its interval for metrics judged by their ratio.
    """
    columns = [*_IN_JSON, *(column for column in _RATIO if compared[column].notna().any())]
    if chosen is not None:
        values = chosen.set_index(["run", "round", "arm"])["value"].to_dict()
        places = list(zip(compared["run"], compared["round"], compared["arm"], strict=True))
        compared = compared.assign(
            ticket_value=[values[run, number, "ticket"] for run, number, _ in places],
            arm_value=[values[place] for place in places],
        )
        columns += ["ticket_value", "arm_value"]
    rows = compared[columns].astype(object).to_dict("records")
    return [{str(key): None if _is_nan(value) else value for key, value in row.items()} for row in rows]


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)
