"""What the report says of a planted ticket, from tables made by hand."""

from __future__ import annotations

import math
from types import MappingProxyType

import pandas as pd
import pytest
from scipy import stats
from tickets.analysis.labels import CLASSIFICATION, labels_of
from tickets.analysis.planted import planted_by_density, planted_sentences
from tickets.analysis.report import RUN_FIGURES, describe_planted, draw_planted
from tickets.analysis.report.figure import NotMeasured
from tickets.analysis.report.run_data import RunData

PLANTED = 0.99


def probe_of(rounds: pd.DataFrame, kept: dict[int, float]) -> pd.DataFrame:
    """The probe's table beside rounds; the planted ticket has 0.7 of the weights."""
    own = {
        "planted_weights": 7,
        "planted_density": 0.7,
        "precision": 0.5,
        "jaccard": 0.25,
        "planted_accuracy": PLANTED,
        "planted_loss": 0.1,
        "kept_accuracy": 0.3,
    }
    keys = rounds[["run", "replicate", "round", "density", "arm", "draw"]]
    return keys.assign(**own, kept=keys["round"].map(kept), by_chance=keys["density"])


@pytest.fixture
def rounds(made):
    """Dense error 0.01 and 5 % of it: a margin of 0.0005. reinit has two draws."""
    return made(
        {
            (0, "ticket"): [0.990, 0.990, 0.990],
            (1, "ticket"): [0.993, 0.994, 0.995],
            (2, "ticket"): [0.97, 0.95, 0.93],
            (3, "ticket"): [0.993, 0.994, 0.995],
            (2, "reinit"): [[0.90, 0.92], [0.90, 0.92], [0.90, 0.92]],
        }
    )


def test_each_arm_beside_the_planted_ticket(rounds) -> None:
    data = planted_by_density(rounds, probe_of(rounds, {0: 1.0, 1: 0.8, 2: 0.5, 3: 0.1}))
    by_row = data.set_index(["round", "arm"])
    ticket = by_row.loc[(2, "ticket")]
    half = stats.t.ppf(0.975, 2) * 0.02 / math.sqrt(3)
    assert (ticket["n"], ticket["kept"], ticket["margin"]) == (3, 0.5, pytest.approx(0.0005))
    assert ticket["accuracy"] == pytest.approx(0.95)
    assert [ticket[name] for name in ("difference", "low", "high")] == pytest.approx(
        [-0.04, -0.04 - half, -0.04 + half]
    )
    reinit = by_row.loc[(2, "reinit")]
    assert [reinit[name] for name in ("n", "accuracy", "difference")] == pytest.approx([3, 0.91, -0.08])
    assert data["holds"].tolist() == ["yes", "yes", "cannot tell", "no", "yes"]
    assert data["arm"].tolist() == ["ticket"] * 3 + ["reinit", "ticket"]


def test_the_sentences_stop_at_the_first_round_that_is_not_a_yes(rounds) -> None:
    """Round 3 is a yes again, and does not count: its density, 0.512, was not reached through all before it."""
    data = planted_by_density(rounds, probe_of(rounds, {0: 1.0, 1: 0.8, 2: 0.5, 3: 0.1}))
    first, second = planted_sentences(data)
    assert first == (
        "the ticket is shown to have the planted ticket's accuracy (99.0 %, less a margin of 0.05 points) down to "
        "density 0.8000; at 0.6400 its own is -4.00 [-8.97, +0.97] points from that (cannot tell)."
    )
    # ln(0.7 / 0.64) is less than ln(0.8 / 0.7).
    assert second == (
        "the planted ticket has density 0.7000; at 0.6400, the nearest round, the ticket holds 50.0 % of the planted "
        "weights (64.0 % by chance), with accuracy 95.0 %."
    )


def test_not_even_the_dense_network_and_one_replicate(made) -> None:
    worse = made({(0, "ticket"): [0.90, 0.91], (1, "ticket"): [0.99, 0.99]})
    data = planted_by_density(worse, probe_of(worse, {0: 1.0, 1: 0.8}))
    assert planted_sentences(data)[0].startswith("not even the dense network is shown to have the planted ticket's ")
    one = made({(0, "ticket"): [0.99], (1, "ticket"): [0.99]})
    assert planted_by_density(one, probe_of(one, {0: 1.0, 1: 0.8}))["holds"].tolist() == ["cannot tell"] * 2


def test_a_diverged_training_has_no_value_and_its_mask_still_counts(made) -> None:
    rounds = made({(0, "ticket"): [0.98, 0.99], (1, "ticket"): [math.nan, math.nan]})
    data = planted_by_density(rounds, probe_of(rounds, {0: 1.0, 1: 0.8}))
    assert (data["n"].tolist(), data["kept"].tolist()) == ([2, 0], [1.0, 0.8])
    assert data["holds"].tolist()[1] == "cannot tell"
    assert "no value" in describe_planted(data)
    draw_planted(data)


def test_r2_is_named_as_such(rounds) -> None:
    data = planted_by_density(rounds, probe_of(rounds, {0: 1.0, 1: 0.8, 2: 0.5, 3: 0.1}))
    labels = labels_of({"accuracy": "R2", "config": {"train": {"loss": "mse"}}})
    assert "the planted ticket's R2 (0.990, less a margin of 0.0005)" in planted_sentences(data, labels)[0]
    above, below = draw_planted(data, labels).axes
    assert above.get_ylabel() == "test R2"
    assert below.get_ylabel() == "planted weights kept, %"


def test_the_figure_shows_the_planted_ticket_and_chance(rounds) -> None:
    data = planted_by_density(rounds, probe_of(rounds, {0: 1.0, 1: 0.8, 2: 0.5, 3: 0.1}))
    above, below = draw_planted(data, CLASSIFICATION).axes
    drawn = [[round(float(y), 6) for y in line.get_ydata()] for line in (*above.lines, *below.lines)]
    assert [99.0, 99.0] in drawn
    assert [100.0, 80.0, 50.0, 10.0] in drawn
    assert [100.0, 80.0, 64.0, 51.2] in drawn
    densities = [line.get_xdata()[0] for line in (*above.lines, *below.lines) if len(set(line.get_xdata())) == 1]
    assert densities.count(0.7) == 2


def test_a_run_without_the_probe_has_no_such_figure(saved_like) -> None:
    (record,) = (record for record in RUN_FIGURES if record.name == "planted")
    assert isinstance(record.make(saved_like), NotMeasured)


@pytest.fixture
def saved_like() -> RunData:
    class WithoutProbes:
        probes = MappingProxyType({})

    return RunData(WithoutProbes(), "a")
