"""Pairs of trainings: each replicate's ticket beside its control, or beside its own dense network."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tickets.store.derived import is_dense

from .metrics import Metric, find_metric, values_of
from .rule import Rules, is_control

TICKET = "ticket"
DENSE = "dense"
KEYS = ["run", "round", "arm"]

LEFT_OUT = "left_out"
"""The column of values in which trainings without a value are NaN."""
COUNTED = "counted"
"""The column of values in which they have the worst value."""


def by_replicate(rounds: pd.DataFrame, metric: str) -> pd.DataFrame:
    """A metric with the draws of an arm averaged: a row per run, round, arm and replicate, in the order of the rows.

    Parameters
    ----------
    rounds : DataFrame
        As `tickets.load(...).rounds`.
    metric : str
        A name in `METRICS`.

    Returns
    -------
    DataFrame
        Columns run, round, arm, replicate, density, left_out and counted (the mean without the trainings that have no
        value, and with these as the worst) and lost (how many trainings have no value).
    """
    values = values_of(rounds, metric)
    counted = values_of(rounds, metric, count_as_worst=True)
    measured = rounds[[*KEYS, "replicate", "density"]].assign(left_out=values, counted=counted, lost=values.isna())
    draws = measured.groupby([*KEYS, "replicate"], sort=False)
    return draws.agg({"density": "mean", LEFT_OUT: "mean", COUNTED: "mean", "lost": "sum"}).reset_index()


def with_controls(each: pd.DataFrame, rules: Rules | None) -> pd.DataFrame:
    """The ticket beside each control: a row per run, round, control and replicate.

    Parameters
    ----------
    each : DataFrame
        As `by_replicate` returns.
    rules : mapping, optional
        {run: Rule}, which says which arms are controls.
    """
    return _joined(each[each["arm"] == TICKET], each[are_controls(each, rules)])


def with_measurements(each: pd.DataFrame, rules: Rules | None) -> pd.DataFrame:
    """As `with_controls`, with the arms that train the ticket again instead of the controls."""
    return _joined(each[each["arm"] == TICKET], each[(each["arm"] != TICKET) & ~are_controls(each, rules)])


def with_dense(each: pd.DataFrame) -> pd.DataFrame:
    """The ticket of each round after 0 beside its replicate's dense network: a row per run, round and replicate."""
    tickets = each[each["arm"] == TICKET]
    later = tickets[tickets["round"] > 0]
    dense = each[is_dense(each)].drop(columns="round").assign(arm=DENSE)
    # The dense network of a replicate is paired with each of its later rounds.
    return _joined(later, dense.merge(later[["run", "replicate", "round"]], on=["run", "replicate"]))


def are_controls(each: pd.DataFrame, rules: Rules | None) -> pd.Series[bool]:
    """Whether each row is of a control."""
    found = [is_control(run, arm, rules) for run, arm in zip(each["run"], each["arm"], strict=True)]
    return pd.Series(found, index=each.index, dtype=bool)


def effects(pairs: pd.DataFrame, column: str, metric: Metric) -> pd.DataFrame:
    """The difference of each pair: a row per (run, round, arm), a column per replicate.

    Parameters
    ----------
    pairs : DataFrame
        As `with_controls` or `with_dense` returns.
    column : str
        `LEFT_OUT` or `COUNTED`.
    metric : Metric
        Which decides between ticket - arm and, for a ratio, ln ticket - ln arm.

    Returns
    -------
    DataFrame
        NaN where there is no pair.
    """
    ticket, other = pairs[f"{column}_ticket"], pairs[column]
    return wide(pairs, np.log(ticket) - np.log(other) if metric.ratio else ticket - other)


def wide(pairs: pd.DataFrame, values: pd.Series[float]) -> pd.DataFrame:
    """Values of pairs, by (run, round, arm) down, in the order of the rows, and replicate across."""
    keys = [pairs[key] for key in (*KEYS, "replicate")]
    return values.groupby(keys, sort=False).first().unstack("replicate", sort=False)


def paired_effects(
    rounds: pd.DataFrame, metric: str, against: str, count_diverged: bool = False, rules: Rules | None = None
) -> pd.DataFrame:
    """The difference of each pair: a row per (run, round, arm), a column per replicate, NaN where there is no pair.

    It is ticket - arm or, for a metric that is a ratio, ln ticket - ln arm.

    Parameters
    ----------
    rounds : DataFrame
        As `tickets.load(...).rounds`.
    metric : str
        A name in `METRICS`.
    against : str
        "dense" (rounds after 0) or "controls".
    count_diverged : bool
        Whether trainings without a value count as the worst.
    rules : mapping, optional
        {run: Rule}.
    """
    each = by_replicate(rounds, metric)
    pairs = with_dense(each) if against == DENSE else with_controls(each, rules)
    return effects(pairs, COUNTED if count_diverged else LEFT_OUT, find_metric(metric))


def _joined(tickets: pd.DataFrame, others: pd.DataFrame) -> pd.DataFrame:
    """A row per run, round, arm of `others` and replicate that both tables have."""
    return others.merge(tickets, on=["run", "round", "replicate"], suffixes=("", "_ticket"))
