"""Tables of R2, and of tasks that have neither accuracy nor R2."""

from __future__ import annotations

import math

import pandas as pd
import pytest
from tickets.analysis.metrics import METRICS, find_metric, has_accuracy, margins, values_of
from tickets.analysis.rule import Rule, rule_of
from tickets.analysis.shown import as_measured, shown

from tickets.config import parse_run

NAN = math.nan


def rounds(**columns: list[float]) -> pd.DataFrame:
    """Trainings of two runs, the first of each its dense network."""
    return pd.DataFrame(
        {"run": ["a", "a", "a", "b", "b"], "arm": "ticket", "round": [0, 1, 2, 0, 1], "diverged": False, **columns}
    )


def test_the_worst_of_r2_is_the_worst_there_is_or_0() -> None:
    table = rounds(early_stop_test_accuracy=[0.5, -0.25, NAN, 0.5, NAN], diverged=[False, False, True, False, True])
    values = values_of(table, "early_stop_test_accuracy", count_as_worst=True)
    assert values.tolist() == [0.5, -0.25, -0.25, 0.5, 0.0]


def test_what_no_training_has_is_not_counted_as_0() -> None:
    table = rounds(early_stop_test_accuracy=[NAN] * 5, diverged=[False, False, True, True, True])
    values = values_of(table, "early_stop_test_accuracy", count_as_worst=True)
    assert values.isna().tolist() == [True, True, True, False, False]
    assert values.tolist()[3:] == [0.0, 0.0], "all that there is diverged, and has an accuracy"


def test_which_runs_have_an_accuracy() -> None:
    for accuracy, diverged, answer in (
        ([NAN, NAN], [False, True], False),
        ([NAN, NAN], [True] * 2, True),
        ([NAN, 0.1], [False] * 2, True),
    ):
        assert has_accuracy(pd.DataFrame({"early_stop_test_accuracy": accuracy, "diverged": diverged})) == answer


def test_margins_are_never_below_0() -> None:
    table = rounds(early_stop_test_accuracy=[0.75, 0, 0, -0.5, 0], final_test_loss=[-2.0, 0, 0, 3.0, 0])
    assert margins(table, "early_stop_test_accuracy").tolist() == pytest.approx([0.05 * 0.25, 0.05 * 1.5])
    assert margins(table, "final_test_loss").tolist() == pytest.approx([0.1, 0.15])


def test_columns_of_r2_are_named_so() -> None:
    table = rounds(early_stop_test_accuracy=[0.5] * 5, final_test_loss=[1.0] * 5)
    assert as_measured(table, "accuracy") is table
    assert list(as_measured(table, "R2").columns)[-2:] == ["early_stop_test_R2", "final_test_loss"]
    assert find_metric("early_stop_test_R2").heading == "test R2 at early stop"
    assert "early_stop_test_R2" not in METRICS


def test_differences() -> None:
    assert shown("accuracy").difference(-0.0123) == "-1.23"
    assert shown("R2").difference(0.0123) == "+0.0123"


def test_a_rule_knows_what_its_run_measures() -> None:
    table = {"name": "tiny", "data": "digits", "model": "lenet_300_100"}
    config = parse_run(table).model_dump(mode="json")
    old = rule_of({"config": config})
    assert (old.accuracy, old.loss) == (Rule.accuracy, Rule.loss) == ("accuracy", "cross_entropy")
    new = rule_of({"config": parse_run({**table, "train": {"loss": "mse"}}).model_dump(mode="json"), "accuracy": "R2"})
    assert (new.accuracy, new.loss, new.shown.name) == ("R2", "mse", "R2")
