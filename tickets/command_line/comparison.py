"""What `tickets compare` prints."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd
from rich.table import Table

from tickets.analysis import LEAST_FOR_P, METRICS, smallest_p, values_of, winning
from tickets.command_line.progress import counted
from tickets.command_line.terminal import make_console, say, show_table

_IN_JSON = [
    "run", "round", "density", "arm", "metric", "n", "difference", "low", "high", "p", "p_adjusted", "verdict",
]  # fmt: skip
_RATIO = ("ratio", "ratio_low", "ratio_high")


def as_records(compared: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of `tickets.analysis.compare` as JSON values; null for NaN. With the ratio, where that is judged."""
    ratios = [column for column in _RATIO if compared[column].notna().any()]
    rows = compared[[*_IN_JSON, *ratios]].astype(object).to_dict("records")
    return [{str(key): None if _is_nan(value) else value for key, value in row.items()} for row in rows]


def print_comparison(rounds: pd.DataFrame, compared: pd.DataFrame, metric: str, margin: float | None) -> None:
    """For each run: the ticket against each control, what is to be said about the table, and who wins.

    compared: of all runs in `rounds`, by `metric` and `margin` (None: the metric's own).
    """
    console = make_console()
    unit = _unit(metric)
    limit = METRICS[metric].margin if margin is None else margin
    shown_limit = f"{100 * limit:g} %" if METRICS[metric].ratio else f"{unit.scale * limit:g} {unit.name}"
    answers = winning(
        rounds,
        margin=margin if metric == "early_stop_test_accuracy" else None,
        step_margin=margin if metric == "early_stop_step" else None,
    )
    for one in answers:
        rows = compared[compared["run"] == one.run]
        if rows.empty:
            say(console, f"{one.run}: no control to compare the ticket with")
        else:
            what = f"ticket {'/' if METRICS[metric].ratio else 'minus'} control"
            heading = f"{METRICS[metric].heading}, {what}, {unit.name}; what does not matter: up to {shown_limit}"
            say(console, f"{one.run}: {heading}")
            show_table(console, _table(rows, unit), keys=2)
            for note in _notes(rows, rounds[rounds["run"] == one.run], metric):
                say(console, note)
        say(console, one.sentence)


@dataclass(frozen=True)
class _Unit:
    """How a metric is shown: value x scale, as `form` says; the columns that hold the value and its interval."""

    name: str
    scale: float
    form: str
    columns: tuple[str, str, str] = ("difference", "low", "high")

    def text(self, value: float, sign: bool = False) -> str:
        return "" if math.isnan(value) else format(self.scale * value, f"+{self.form}" if sign else self.form)


def _unit(metric: str) -> _Unit:
    if METRICS[metric].ratio:
        return _Unit("ratio", 1.0, ".2f", _RATIO)
    return _Unit("points", 100.0, ".2f") if metric.endswith("accuracy") else _Unit("nats", 1.0, ".4f")


def _table(rows: pd.DataFrame, unit: _Unit) -> Table:
    shown = Table()
    with_p = bool(rows["p"].notna().any())
    left = ["control", "density", "n", unit.name, "95 % interval", *(["p", "p adjusted"] if with_p else [])]
    for heading in left:
        shown.add_column(heading, justify="left" if heading == "control" else "right")
    shown.add_column("the ticket is")
    shown.add_column("detectable", justify="right")
    for arm, part in rows.groupby("arm", sort=False):
        for row in part.to_dict("records"):
            value, low, high = (float(row[column]) for column in unit.columns)
            sign = unit.columns[0] == "difference"
            interval = "" if math.isnan(low) else f"[{unit.text(low, sign)}, {unit.text(high, sign)}]"
            p = [_p_text(row["p"]), _p_text(row["p_adjusted"])] if with_p else []
            cells = [f"{row['density']:.4f}", str(row["n"]), unit.text(value, sign), interval, *p]
            shown.add_row(str(arm), *cells, row["verdict"], unit.text(float(row["smallest"])))
        shown.add_section()
    return shown


def _notes(rows: pd.DataFrame, rounds: pd.DataFrame, metric: str) -> Iterator[str]:
    yield "detectable: the smallest true difference that so many pairs would have shown, in 80 of 100 repeats"
    pairs = rounds.loc[rounds["arm"] == "ticket", "replicate"].nunique()
    if pairs < 2:
        yield "one replicate: no interval, for one difference has no spread; raise `replicates` to 2 or more"
    elif pairs < LEAST_FOR_P:
        yield (
            f"no p: with {pairs} replicates none could fall below {float(smallest_p(pairs)):.4g} (exact sign flips); "
            f"{LEAST_FOR_P} are needed"
        )
    lost = int(values_of(rounds, metric).isna().sum())
    if lost:
        why = "diverged, or best before its first step" if metric == "early_stop_step" else "diverged"
        yield f"{counted(lost, 'training')} of {len(rounds):,} without a value ({why}) left out; {_changes(rows)}"


def _changes(rows: pd.DataFrame) -> str:
    other = rows[rows["verdict"] != rows["verdict_diverged"]].to_dict("records")
    told = [f"{row['arm']} at {row['density']:.4f}: {row['verdict_diverged']}" for row in other]
    return f"counted as the worst there is, {', '.join(told) if told else 'no verdict changes'}"


def _p_text(p: float) -> str:
    return "" if math.isnan(p) else f"{p:.3g}"


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)
