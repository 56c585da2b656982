"""Names and units of measured quantities, for classification and for regression."""

import math

import numpy as np
import pandas as pd
import pytest
from tickets.analysis import Rule, compare, margins, values_of, winning
from tickets.analysis.labels import CLASSIFICATION, STEPS, labels_of, signed
from tickets.analysis.metrics import has_accuracy
from tickets.analysis.report import by_density, describe_by_density, draw_by_density, tables_of_run

NAN = math.nan
REGRESSION = labels_of({"config": {"train": {"loss": "mse"}}, "accuracy": "R2"})
NEITHER = labels_of({"config": {"train": {"loss": "my.losses:f"}}, "accuracy": "none"})


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
    assert r2.difference_text(-0.0042) == "-0.0042"
    assert STEPS.value_text(400.0) == "400"
    assert signed(0.5, 0.25, 1.0, ".2f") == "0.50 [0.25, 1.00]"


def test_bounds_hold_unless_values_exceed_them():
    assert CLASSIFICATION.accuracy.bounds(pd.Series([50.0, 101.0])) == (0.0, math.inf)
    assert CLASSIFICATION.loss.bounds(pd.Series([0.5, NAN])) == (0.0, math.inf)
    assert CLASSIFICATION.loss.bounds(pd.Series([-0.5])) == (-math.inf, math.inf)
    assert REGRESSION.accuracy.bounds(pd.Series([-3.0, 0.9])) == (-math.inf, 1.0)


def test_the_run_says_what_its_columns_contain():
    assert labels_of({"config": {"train": {}}}) == CLASSIFICATION
    assert (REGRESSION.accuracy.name, REGRESSION.loss.difference) == ("R2", "")
    assert (NEITHER.metric, NEITHER.column, NEITHER.main.name) == ("final_test_loss", "test_loss", "loss")
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
    assert "test R2 at early stop, ticket minus dense, +0.1000 [" in one.sentence
    assert "(required: the interval above -0.0250; n = 3)" in one.sentence
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
    rounds = regression.assign(early_stop_test_accuracy=NAN, final_test_accuracy=NAN)
    rule = Rule(density=0.8, labels=NEITHER, loss="my.losses:f")
    (one,) = winning(rounds, {"a": rule})
    assert (one.answer, one.n_diverged) == ("cannot tell", 0)
    assert one.why.startswith("the task (train.loss = 'my.losses:f') has neither accuracy nor R2")
    arms, compared = tables_of_run(rounds, rule)
    assert arms.note == "Test loss at the last step, mean ± standard deviation over 3 replicates."
    assert compared.note.startswith("Test loss at the last step, ticket minus control; its 95 % interval")
    assert compared.whole["metric"].unique().tolist() == ["final_test_loss"]


def test_dense_networks_no_better_than_the_mean_target_have_no_ticket(regression):
    bad = regression.assign(early_stop_test_accuracy=regression["early_stop_test_accuracy"] - 0.6)
    (one,) = winning(bad, {"a": Rule(density=0.8, labels=REGRESSION)})
    assert one.why == "the dense networks predict no better than the mean target does (R2 -0.10); train them better"


def test_margins_are_never_below_0(made):
    rounds = made({(0, "ticket"): [-0.5], (1, "ticket"): [0.0]})
    assert margins(rounds, "early_stop_test_accuracy").tolist() == pytest.approx([0.05 * 1.5])
    assert margins(rounds, "final_test_loss").tolist() == pytest.approx([0.05 * 0.5])


@pytest.mark.parametrize(
    ("accuracies", "diverged", "wanted"),
    [([NAN, NAN], [False, True], False), ([NAN, NAN], [True, True], True), ([NAN, 0.1], [False, False], True)],
)
def test_which_runs_have_an_accuracy(accuracies, diverged, wanted):
    assert has_accuracy(pd.DataFrame({"early_stop_test_accuracy": accuracies, "diverged": diverged})) == wanted


def test_what_no_training_has_is_not_counted_as_0():
    table = {"run": ["a", "a", "b"], "early_stop_test_accuracy": [NAN] * 3, "diverged": [False, True, True]}
    counted = values_of(pd.DataFrame(table), "early_stop_test_accuracy", count_as_worst=True)
    assert counted.isna().tolist() == [True, True, False]
    assert counted[2] == 0.0  # all trainings of run b diverged
