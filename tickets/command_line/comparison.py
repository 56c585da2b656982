"""The tables of `tickets compare`: the ticket against its controls, and the notes below them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd
from rich.table import Table

from tickets.analysis import (
    LEAST_FOR_P,
    METRICS,
    compare,
    criteria,
    measurements,
    smallest_p,
    values_of,
    winning,
)
from tickets.analysis.criteria import NO_SLOWER, STEPS
from tickets.analysis.metrics import has_accuracy
from tickets.analysis.rule import Rule, Rules, rule_for
from tickets.command_line.terminal import make_console, say, show_table
from tickets.command_line.verdict import print_verdict
from tickets.plurals import counted

_EARLY, _FINAL = "early_stop_test_accuracy", "final_test_accuracy"


def print_choices(chosen: pd.DataFrame, key: str, left_out: Sequence[str]) -> None:
    """Print, by round, the value of a swept key at which each arm has its best validation result.

    Parameters
    ----------
    chosen
        The chosen values: columns run, round, arm, value.
    key
        The swept key.
    left_out
        The replicates and arms that are left out of the comparison, one line each.
    """
    console = make_console()
    for line in left_out:
        say(console, f"left out: {line}")
    for run, rows in chosen.groupby("run", sort=False):
        say(console, f"{run}: {key} at which each arm validates best, by round")
        shown = Table()
        arms = list(rows["arm"].unique())
        for heading in ("round", *map(str, arms)):
            shown.add_column(heading, justify="right")
        wide = rows.pivot(index="round", columns="arm", values="value")
        for number in wide.index:
            cells = [wide.loc[number, arm] for arm in arms]
            shown.add_row(str(number), *("" if pd.isna(cell) else str(cell) for cell in cells))
        show_table(console, shown)


def print_comparison(rounds: pd.DataFrame, compared: pd.DataFrame, metric: str, rules: Rules) -> None:
    """Print for each run whether it has a winning ticket, then the ticket against each control, and notes.

    Parameters
    ----------
    rounds
        The rounds table of all runs.
    compared
        The rows of `tickets.analysis.compare` for `rounds`, `metric` and `rules`.
    metric
        The metric that is compared.
    rules
        How each run is judged.
    """
    console = make_console()
    final = compare(rounds, _FINAL, rules=rules) if metric == _EARLY and len(compared) else None
    required = criteria(rounds, rules)
    for one in winning(rounds, rules):
        print_verdict(console, one)
        of_run = required[required["run"] == one.run]
        if len(of_run) and has_accuracy(rounds[rounds["run"] == one.run]):
            say(
                console,
                f"{one.run}: the criteria of a winning ticket, by density; 95 % intervals, simultaneous over all rows",
            )
            show_table(console, _criteria_table(of_run, rule_for(one.run, rules)), keys=2)
        rows = compared[compared["run"] == one.run]
        if rows.empty:
            say(console, f"{one.run}: no control to compare the ticket with")
            continue
        rule = rule_for(one.run, rules)
        if METRICS[metric].accuracy and rows["difference"].isna().all() and not rule.labels.metric.endswith("accuracy"):
            say(console, f"{one.run}: no accuracy or R2 to compare by; give a loss, as in --metric final_test_loss")
            continue
        unit = _unit(metric, rule)
        say(console, f"{one.run}: {_heading(metric, rule, unit, float(rows['margin'].iloc[0]))}")
        show_table(console, _table(rows, unit, final), keys=2)
        for note in _notes(rows, rounds[rounds["run"] == one.run], metric, rules):
            say(console, note)


def _heading(metric: str, rule: Rule, unit: _Unit, margin: float) -> str:
    """What the table of a metric shows, in which unit, and the margin of equivalence."""
    heading = rule.labels.heading(metric)
    if METRICS[metric].ratio:
        return f"{heading}, ticket / control, ratio; margin of equivalence: {100 * margin:g} %"
    of = f", {unit.name}" if unit.name else ""
    return f"{heading}, ticket minus control{of}; margin of equivalence: {unit.scale * margin:.4g} {unit.name}".rstrip()


@dataclass(frozen=True)
class _Unit:
    """How differences, or ratios, are shown.

    Parameters
    ----------
    name
        The unit; "" for none.
    scale
        Values are multiplied by it.
    form
        Format specification of a number.
    column
        The column that has the values.
    """

    name: str
    scale: float
    form: str
    column: str = "difference"

    def text(self, value: float, sign: bool = False) -> str:
        return "" if math.isnan(value) else format(self.scale * value, f"+{self.form}" if sign else self.form)


def _unit(metric: str, rule: Rule) -> _Unit:
    if METRICS[metric].ratio:
        return _Unit("ratio", 1.0, ".2f", "ratio")
    label = rule.labels.of(metric)
    return _Unit(label.difference, label.factor, label.table_form)


def _table(rows: pd.DataFrame, unit: _Unit, final: pd.DataFrame | None) -> Table:
    shown = Table()
    with_p = bool(rows["p"].notna().any())
    left = [
        "control",
        "density",
        "n",
        unit.name or unit.column,
        "95 % interval",
        *(["p", "p adjusted"] if with_p else []),
    ]
    for heading in left:
        shown.add_column(heading, justify="left" if heading == "control" else "right")
    shown.add_column("the ticket is")
    if final is not None:
        shown.add_column("at the last step", justify="right")
    shown.add_column("detectable", justify="right")
    keys = ["run", "round", "arm"]
    last = {} if final is None else final.set_index(keys)["difference"].to_dict()
    for arm, of_arm in rows.groupby("arm", sort=False):
        for row in of_arm.to_dict("records"):
            low, high, sign = float(row["band_low"]), float(row["band_high"]), unit.column == "difference"
            interval = "" if math.isnan(low) else f"[{unit.text(low, sign)}, {unit.text(high, sign)}]"
            p = [_p_text(row["p"]), _p_text(row["p_adjusted"])] if with_p else []
            cells = [f"{row['density']:.4f}", str(row["n"]), unit.text(float(row[unit.column]), sign), interval, *p]
            at_last = [] if final is None else [unit.text(float(last[tuple(row[key] for key in keys)]), sign)]
            shown.add_row(str(arm), *cells, row["verdict"], *at_last, unit.text(float(row["smallest"])))
        shown.add_section()
    return shown


def _criteria_table(rows: pd.DataFrame, rule: Rule) -> Table:
    shown = Table()
    for heading in ("criterion", "density", "n", "estimate", "95 % interval", "holds"):
        shown.add_column(heading, justify="left" if heading in ("criterion", "holds") else "right")
    for name, of_criterion in rows.groupby("criterion", sort=False):
        unit = _Unit("ratio", 1.0, ".2f") if name == NO_SLOWER else _unit(_EARLY, rule)
        for row in of_criterion.sort_values("round", kind="stable").to_dict("records"):
            ends = [unit.text(float(row[key]), name != NO_SLOWER) for key in ("estimate", "band_low", "band_high")]
            interval = f"[{ends[1]}, {ends[2]}]" if ends[1] else ""
            shown.add_row(str(name), f"{row['density']:.4f}", str(row["n"]), ends[0], interval, row["holds"])
        shown.add_section()
    return shown


def _notes(rows: pd.DataFrame, rounds: pd.DataFrame, metric: str, rules: Rules) -> Iterator[str]:
    yield (
        "95 % interval: simultaneous over all rows of this table: in 95 of 100 repeats, all of them hold the true "
        "difference; --json has the interval of each row alone"
    )
    yield "detectable: the smallest detectable difference of a row alone, with a power of 80 %"
    for found in measurements(rounds, metric, rules).to_dict("records"):
        spread = _size(found["spread"], metric, rule_for(str(found["run"]), rules))
        yield (
            f"{found['arm']} is the ticket trained again, a measurement and no control: it differs from the ticket by "
            f"{spread} (root mean square of {counted(found['n'], 'pair')})"
        )
    pairs = rounds.loc[rounds["arm"] == "ticket", "replicate"].nunique()
    if pairs < 2:
        yield "one replicate: no interval, since one difference has no spread; raise `replicates` to 2 or more"
    elif pairs < LEAST_FOR_P:
        yield (
            f"no p: with {pairs} replicates none could fall below {float(smallest_p(pairs)):.4g} (exact sign flips); "
            f"{LEAST_FOR_P} are needed"
        )
    if metric == STEPS:
        late = rounds[rounds[STEPS] > rounds["last_step"]].groupby("arm", sort=False).size()
        if len(late):
            counts = ", ".join(f"{arm} {count}" for arm, count in late.items())
            yield f"trainings that never reach this loss and count as twice their steps: {counts}"
    yield from _lost(rows, rounds, metric)


def _lost(rows: pd.DataFrame, rounds: pd.DataFrame, metric: str) -> Iterator[str]:
    """The number of trainings without a value, by reason."""
    missing = values_of(rounds, metric).isna()
    if metric == STEPS and missing.any():
        yield (
            f"{counted(int(missing.sum()), 'training')} of {len(rounds):,} have no such step and are left out: either "
            "tickets keep their trained values (rewind.kind), or no dense network has a loss to reach"
        )
        return
    diverged = int((missing & rounds["diverged"].astype(bool)).sum())
    before_training = METRICS[metric].before_training
    other = "starting from trained values" if before_training else "best before the first step"
    reasons = {"diverged": diverged, other: int(missing.sum()) - diverged}
    counts = [f"{count} {why}" for why, count in reasons.items() if count]
    if counts:
        lost = counted(int(missing.sum()), "training")
        changes = "" if before_training else f"; {_changes(rows)}"
        yield f"{lost} of {len(rounds):,} without a value ({', '.join(counts)}) left out{changes}"


def _changes(rows: pd.DataFrame) -> str:
    other = rows[rows["verdict"] != rows["verdict_diverged"]].to_dict("records")
    changed = [f"{row['arm']} at {row['density']:.4f}: {row['verdict_diverged']}" for row in other]
    return f"counted as the worst possible value, {', '.join(changed) if changed else 'no verdict changes'}"


def _size(value: float, metric: str, rule: Rule) -> str:
    if METRICS[metric].ratio:
        return f"{value:.1f} steps"
    unit = _unit(metric, rule)
    return f"{unit.text(value)} {unit.name}".rstrip()


def _p_text(p: float) -> str:
    return "" if math.isnan(p) else f"{p:.3g}"
