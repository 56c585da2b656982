"""Two sides compared in pairs."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from tickets.analysis.why_random import Side, comparisons, paired, study_of


def test_against_scipy(made):
    one, other = [0.5, 0.6, 0.9], [0.4, 0.4, 0.8]
    rounds = pd.concat([made({(0, "ticket"): one}), made({(0, "ticket"): other}, run="b")])
    (row,) = paired(rounds, [(Side("a"), Side("b"))]).to_dict("records")
    differences = np.subtract(one, other)
    low, high = stats.t.interval(0.95, 2, loc=differences.mean(), scale=stats.sem(differences))
    assert (row["difference"], row["low"], row["high"]) == pytest.approx((differences.mean(), low, high))
    assert (row["n"], row["diverged"], row["margin"]) == (3, 0, 0.005)
    assert (row["mean"], row["mean_other"]) == pytest.approx((2 / 3, 1.6 / 3))
    assert row["verdict"] == "cannot tell"


def test_only_replicates_that_both_have_and_that_did_not_diverge(made):
    rounds = pd.concat([made({(0, "ticket"): [0.5, 0.6, np.nan]}), made({(0, "ticket"): [0.4, 0.5]}, run="b")])
    (row,) = paired(rounds, [(Side("a"), Side("b"))]).to_dict("records")
    assert (row["n"], row["diverged"]) == (2, 1)
    assert row["difference"] == pytest.approx(0.1)
    assert row["verdict"] == "better"


def test_draws_are_averaged_and_arms_of_one_run_can_be_sides(made):
    rounds = made({(1, "constant"): [[0.1, 0.3], [0.2, 0.4]], (1, "ticket"): [0.5, 0.6]})
    (row,) = paired(rounds, [(Side("a", 1, "constant"), Side("a", 1))]).to_dict("records")
    assert row["difference"] == pytest.approx(-0.3)


def test_of_losses_less_is_better(made):
    rounds = pd.concat([made({(0, "ticket"): [2.0, 2.1]}), made({(0, "ticket"): [0.5, 0.6]}, run="b")])
    (row,) = paired(rounds, [(Side("a"), Side("b"))], "final_train_loss").to_dict("records")
    assert (row["verdict"], row["margin"]) == ("worse", 0.01)


def test_one_pair_has_no_interval_and_a_side_that_is_not_there_no_row(made):
    rounds = pd.concat([made({(0, "ticket"): [0.5]}), made({(0, "ticket"): [0.4]}, run="b")])
    table = paired(rounds, [(Side("a"), Side("b")), (Side("a"), Side("c")), (Side("a", 1), Side("b"))])
    (row,) = table.to_dict("records")
    assert (row["n"], row["verdict"]) == (1, "cannot tell")
    assert np.isnan(row["low"])


def test_every_comparison_by_hand_from_saved_tables(starts_saved):
    table = comparisons(study_of(starts_saved))
    rounds = starts_saved.rounds
    assert set(table["claim"]) == {
        "dropout_helps", "mask_helps", "mask_ticket", "slower", "zeros_linear", "zeros_hidden", "biases",
        "differing", "without_chance", "other_end_accuracy",
    }  # fmt: skip

    def values(row, end):
        chosen = rounds[
            (rounds["run"] == row["run" + end])
            & (rounds["round"] == row["round" + end])
            & (rounds["arm"] == row["arm" + end])
        ]
        return chosen.set_index("replicate")[row["metric"]]

    for row in table.to_dict("records"):
        difference = values(row, "") - values(row, "_other")
        half = stats.t.ppf(0.975, 1) * difference.std() / np.sqrt(2)
        mean = difference.mean()
        assert (row["difference"], row["low"], row["high"]) == pytest.approx((mean, mean - half, mean + half))


def test_runs_that_are_compared_differ_in_what_the_claim_is_about(starts_saved):
    table = comparisons(study_of(starts_saved))
    models = {run: starts_saved.config(run)["model"] for run in starts_saved.runs}

    def told(claim):
        rows = table[table["claim"] == claim]
        return [(models[one], models[other]) for one, other in zip(rows["run"], rows["run_other"], strict=True)]

    for one, other in told("slower"):
        assert {**one, "init": 0} == {**other, "init": 0}
        assert str(one["init"]).count("zeros") or one["init"]["name"] == "constant"
    assert len(told("slower")) == 4  # constant and zeros, each against two random starts
    ((one, other),) = told("dropout_helps")
    assert {**one, "dropout": 0} == {**other, "dropout": 0}
    ((one, other),) = told("biases")
    assert (one["init"], other["init"]) == ("glorot_normal", {"name": "glorot_normal", "biases": "model"})
    ((one, other),) = told("zeros_linear")
    assert (one["widths"], one["init"], other["init"]) == ([], "zeros", "glorot_normal")
    assert all(one["init"] == "dct" for one, _ in told("without_chance"))
