"""Names and units of measured quantities, for classification and for regression."""

import math

import numpy as np
import pandas as pd
import pytest
from tickets.analysis import Rule, compare, values_of, winning
from tickets.analysis.labels import CLASSIFICATION, REGRESSION, STEPS, labels_of, signed
from tickets.analysis.report import by_density, describe_by_density, draw_by_density, tables_of_run

NAN = math.nan


@pytest.mark.parametrize(
    ("column", "label"),
    [
        ("early_stop_test_accuracy", CLASSIFICATION.accuracy),
        ("test_accuracy", CLASSIFICATION.accuracy),
        ("final_train_loss", CLASSIFICATION.loss),
        ("validation_loss", CLASSIFICATION.loss),
        ("early_stop_step", STEPS),
        ("steps_to_dense_loss", STEPS),
    ],
)
def test_every_column_has_a_label(column, label):
    assert CLASSIFICATION.of(column) is label


def test_values_intervals_and_differences_are_written_with_their_unit():
    accuracy, r2 = CLASSIFICATION.accuracy, REGRESSION.accuracy
    assert accuracy.value_text(0.5843) == "58.4 %"
    assert r2.value_text(0.5843) == "0.584"
    assert accuracy.value_text(NAN) == "no value"
    assert accuracy.interval_text(0.584, 0.559, 0.609) == "58.4 % [55.9, 60.9]"
    assert accuracy.interval_text(0.584, NAN, NAN) == "58.4 %"
    assert accuracy.difference_text(0.0042, -0.001, 0.0094) == "+0.42 [-0.10, +0.94]"
    assert r2.difference_text(-0.0042) == "-0.004"
    assert STEPS.value_text(400.0) == "400"
    assert signed(0.5, 0.25, 1.0, ".2f") == "0.50 [0.25, 1.00]"


def test_bounds_hold_unless_values_exceed_them():
    assert CLASSIFICATION.accuracy.bounds(pd.Series([50.0, 101.0])) == (0.0, math.inf)
    assert CLASSIFICATION.loss.bounds(pd.Series([0.5, NAN])) == (0.0, math.inf)
    assert CLASSIFICATION.loss.bounds(pd.Series([-0.5])) == (-math.inf, math.inf)
    assert REGRESSION.accuracy.bounds(pd.Series([-3.0, 0.9])) == (-math.inf, 1.0)


def test_the_loss_of_the_recipe_decides():
    assert labels_of({"config": {"train": {}}}) is CLASSIFICATION
    assert labels_of({"config": {"train": {"loss": "mse"}}}) is REGRESSION
    assert REGRESSION.heading("early_stop_test_accuracy") == "test R2 at early stop"
    assert CLASSIFICATION.heading("test_accuracy") == "test accuracy"


@pytest.fixture
def regression(made):
    """R2 of a run, some of it below 0: the ticket of round 1 beats reinit."""
    noise = np.array([-0.01, 0.0, 0.01])
    means = {(0, "ticket"): 0.5, (0, "reinit"): 0.5, (1, "ticket"): 0.6, (1, "reinit"): -0.2}
    rounds = made({key: list(mean + np.roll(noise, place)) for place, (key, mean) in enumerate(means.items())})
    return rounds.assign(early_stop_step=500.0, last_step=1000, steps_to_dense_loss=400.0)


def test_a_regression_run_is_told_in_r2_without_percent(regression):
    rule = Rule(density=0.8, labels=REGRESSION)
    (one,) = winning(regression, {"a": rule})
    assert one.answer == "yes"
    assert "test R2 at early stop, ticket minus dense, +0.100 [" in one.sentence
    assert "(required: the interval above -0.025; n = 3)" in one.sentence
    texts = [describe_by_density(by_density(regression), labels=REGRESSION)]
    texts += [table.note for table in tables_of_run(regression, rule)]
    texts += [str(table.data.to_dict()) for table in tables_of_run(regression, rule)]
    assert "reinit: 0.500 [" in texts[0]
    assert not any("points" in text or "accuracy" in text for text in texts)
    (axes,) = draw_by_density(by_density(regression), labels=REGRESSION).axes
    assert axes.get_ylabel() == "test R2 at early stop"
    assert axes.get_ylim()[0] < -0.2
    assert axes.get_ylim()[1] <= 1.0


def test_the_worst_r2_of_a_run_counts_where_it_is_below_0(made):
    rounds = made({(1, "ticket"): [0.5, NAN], (1, "reinit"): [-2.0, 0.1]})
    assert values_of(rounds, "early_stop_test_accuracy", count_as_worst=True).min() == -2.0
    assert compare(rounds, count_diverged=True)["difference"].tolist() == pytest.approx([(2.5 - 2.1) / 2])
    accuracies = made({(1, "ticket"): [0.5, NAN], (1, "reinit"): [0.2, 0.1]})
    assert values_of(accuracies, "early_stop_test_accuracy", count_as_worst=True).min() == 0.0


def test_a_task_without_accuracy_has_no_verdict_and_says_so(regression):
    (one,) = winning(regression.assign(early_stop_test_accuracy=NAN), {"a": Rule(density=0.8)})
    assert (one.answer, one.why) == (
        "cannot tell",
        "this task has no accuracy, by which a winning ticket is judged (early_stop_test_accuracy is NaN)",
    )
