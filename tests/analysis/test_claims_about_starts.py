"""The claims of the campaigns about starts, on a small one: each number again, by plain pandas from saved tables."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from tickets.config import read_campaign

RUNS = Path(__file__).parents[2] / "runs"
LAST = 20  # the step at which the networks end
FAMILY = {"glorot": 7, "half": 4, "zeros": 4, "dropout": 2, "zeros_linear": 1, "dct": 3}
"""How many claims without a function are about each start."""
ABOUT = {
    "equal": ["half", "zeros"], "slower": ["half", "zeros"], "differing": ["half", "zeros"], "dropout": ["dropout"],
    "dropout_helps": ["dropout"], "mask": ["glorot"], "mask_helps": ["glorot"], "mask_ticket": ["glorot"],
    "zeros_linear": ["zeros_linear"], "zeros_hidden": ["zeros"], "same_end": ["glorot", "dct", "half"],
    "other_order": ["glorot"], "other_start": ["glorot"], "biases": ["glorot"], "cosines_glorot": ["dct"],
    "cosines_kaiming": ["dct"], "distances": ["glorot", "dct"], "one_direction": ["half", "zeros"],
    "other_end": ["glorot"],
}  # fmt: skip
BY_FUNCTION = {"distances", "one_direction", "other_end"}


@pytest.fixture(scope="module")
def runs(starts_saved):
    """{start: its run}."""
    half = {"name": "constant", "value": 0.5}
    starts = {
        "glorot": ("glorot_normal", [8]),
        "biases": ({"name": "glorot_normal", "biases": "model"}, [8]),
        "dct": ("dct", [8]),
        "half": (half, [8]),
        "zeros": ("zeros", [8]),
        "dropout": (half, [8], 0.5),
        "zeros_linear": ("zeros", []),
        "glorot_linear": ("glorot_normal", []),
    }
    models = {run: starts_saved.swept(run)["model"] for run in starts_saved.runs}

    def is_it(model, init, widths, *dropout):
        return [model["init"], model["widths"], model.get("dropout")] == [init, widths, *(dropout or [None])]

    return {name: next(run for run in models if is_it(models[run], *start)) for name, start in starts.items()}


@pytest.fixture(scope="module")
def rounds_of(starts_saved, runs):
    """rounds_of(start, metric, arm, round): the values by replicate."""

    def values(start, metric, arm="ticket", number=0):
        rounds = starts_saved.rounds
        rows = rounds[(rounds["run"] == runs[start]) & (rounds["arm"] == arm) & (rounds["round"] == number)]
        return rows.set_index("replicate")[metric].sort_index().to_numpy()

    return values


@pytest.fixture(scope="module")
def units_of_run(starts_saved, runs):
    """units_of_run(start, column, arm, round): means over layers at the end, by replicate."""

    def values(start, column, arm="ticket", number=0):
        units = starts_saved.units
        rows = units[(units["run"] == runs[start]) & (units["arm"] == arm) & (units["round"] == number)]
        return rows[rows["step"] == LAST].groupby("replicate")[column].mean().to_numpy()

    return values


@pytest.fixture(scope="module")
def answers(starts_saved, runs):
    """{(claim, start): its row}."""
    names = {run: start for start, run in runs.items()}
    table = starts_saved.claims()
    return {(row["id"], names[row["run"]]): row for row in table.to_dict("records") if row["id"] != "winning_ticket"}


def test_each_claim_is_about_the_starts_that_it_names(answers):
    assert set(answers) == {(claim, start) for claim, starts in ABOUT.items() for start in starts}
    assert {row["registered"] for row in answers.values()} == {"before training"}


@pytest.mark.parametrize("claim", sorted(ABOUT.keys() - BY_FUNCTION))
def test_estimates_and_intervals_are_those_of_the_pairs(claim, answers, rounds_of, units_of_run):
    accuracy, loss = "final_test_accuracy", "final_train_loss"
    differences = {
        "equal": lambda start: units_of_run(start, "distinct_within") - 1,
        "slower": lambda start: rounds_of(start, loss) - rounds_of("glorot", loss),
        "differing": lambda start: rounds_of(start, accuracy) - rounds_of("dct", accuracy),
        "dropout": lambda start: units_of_run(start, "spread") - 1e-3,
        "dropout_helps": lambda start: rounds_of(start, accuracy) - rounds_of("half", accuracy),
        "mask": lambda start: units_of_run(start, "spread", "constant", 1) - 1e-3,
        "mask_helps": lambda start: rounds_of(start, accuracy, "constant", 1) - rounds_of(start, accuracy, "constant"),
        "mask_ticket": lambda start: rounds_of(start, accuracy, "constant", 1) - rounds_of(start, accuracy, number=1),
        "zeros_linear": lambda start: rounds_of(start, loss) - rounds_of("glorot_linear", loss),
        "zeros_hidden": lambda start: units_of_run(start, "effective_rank") - 0,
        "same_end": lambda start: rounds_of(start, loss, "repeat") - rounds_of(start, loss),
        "other_order": lambda start: rounds_of(start, accuracy, "reorder") - rounds_of(start, accuracy),
        "other_start": lambda start: rounds_of(start, accuracy, "reinit") - rounds_of(start, accuracy),
        "biases": lambda start: rounds_of(start, accuracy) - rounds_of("biases", accuracy),
        "cosines_glorot": lambda start: rounds_of(start, accuracy) - rounds_of("glorot", accuracy),
        "cosines_kaiming": lambda start: rounds_of(start, accuracy) - rounds_of("glorot", accuracy),
    }
    for start in ABOUT[claim]:
        row, pairs = answers[claim, start], differences[claim](start)
        assert (row["n"], row["estimate"]) == (2, pytest.approx(pairs.mean(), abs=1e-12))
        if np.ptp(pairs) == 0 and pairs.mean() != 0:
            assert math.isnan(row["low"])
            assert row["answer"] == "cannot tell"
        else:
            half = stats.t.ppf(1 - 0.025 / FAMILY[start], 1) * np.std(pairs, ddof=1) / math.sqrt(2)
            assert (row["low"], row["high"]) == pytest.approx((pairs.mean() - half, pairs.mean() + half), abs=1e-12)


def test_what_is_exact_is_answered_exactly(answers):
    for start in ("half", "zeros"):
        assert (answers["equal", start]["answer"], answers["equal", start]["estimate"]) == ("yes", 0)
        assert answers["one_direction", start]["answer"] == "yes"
    for start in ("glorot", "dct", "half"):
        assert (answers["same_end", start]["answer"], answers["same_end", start]["estimate"]) == ("yes", 0)
    assert (answers["zeros_hidden", "zeros"]["answer"], answers["zeros_hidden", "zeros"]["estimate"]) == ("yes", 0)
    assert answers["other_end", "glorot"]["answer"] == "yes"
    assert answers["other_end", "glorot"]["n"] == 2 * 2 + 1  # reorder, reinit; the two tickets


def test_the_campaigns_themselves_have_these_claims_about_two_data_sets():
    found = []
    for name in ("why_random", "fine_differences"):
        campaign = read_campaign(RUNS / f"{name}.toml")
        assert list(campaign.sweep["data"]) == ["mnist1d", "digits"]
        found += campaign.runs[0].claim
    assert {claim.id for claim in found} == set(ABOUT)
    assert {claim.id for claim in found if claim.function} == BY_FUNCTION
