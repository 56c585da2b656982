"""One arm under several labels: in tables, in files, as a run grows, and drawn alike."""

from __future__ import annotations

import json

import numpy as np
import pytest

import tickets
from tickets.store import status, verify

FULL = {"name": "reinit", "label": "reinit_full", "start": 0}
AGAIN = {"name": "reinit", "label": "again", "draws": 2}
PLACES = {"name": "random_mask", "label": "places"}
ONES = {"name": "constant", "label": "ones", "value": 1.0}
ZERO_BIASES = {"name": "sign_constant", "label": "zero_biases", "biases": "zeros"}
ARMS = ["ticket", {"name": "reinit", "draws": 2}, "random_mask", "sign_constant"]
LABELLED = [FULL, AGAIN, PLACES, ONES, ZERO_BIASES]


@pytest.fixture(scope="module")
def out(campaign_file, tmp_path_factory):
    """A run with every arm from the start."""
    folder = tmp_path_factory.mktemp("labels")
    file = campaign_file(folder, arms=[*ARMS, *LABELLED], rewind={"step": 5}, store={"trained": "all"}, rounds=1)
    tickets.run(file, out=folder / "out")
    return folder / "out"


@pytest.fixture(scope="module")
def saved(out):
    return tickets.load(out)


def same(one, other):
    arrays = ("mask", "values", "trained")
    return [
        all(np.array_equal(getattr(one, which)[name], getattr(other, which)[name]) for name in getattr(one, which))
        for which in arrays
    ]


def test_tables_have_the_labels_in_the_campaigns_order(saved):
    labels = [
        "ticket",
        "reinit",
        "random_mask",
        "sign_constant",
        "reinit_full",
        "again",
        "places",
        "ones",
        "zero_biases",
    ]
    assert list(saved.rounds["arm"].unique()) == labels
    assert set(saved.curves["arm"]) == set(labels)
    assert list(saved.roles()) == labels


def test_the_same_arm_draws_the_same_under_any_label(saved):
    for number in (0, 1):
        for draw in (0, 1):
            assert same(saved.arm("reinit", 1, number, draw), saved.arm("again", 1, number, draw)) == [True] * 3
        assert same(saved.arm("random_mask", 0, number), saved.arm("places", 0, number)) == [True] * 3
    # With the whole schedule the start is the same, and the end another.
    assert same(saved.arm("reinit", 0, 1), saved.arm("reinit_full", 0, 1)) == [True, True, False]


def test_options_are_the_labelled_arms_own(saved):
    ones = saved.arm("ones", 0, 1)
    assert all((ones.values[name][kept] == 1).all() for name, kept in ones.mask.items())
    biases = {arm: saved.arm(arm, 0, 1).values["1.bias"] for arm in ("sign_constant", "zero_biases", "ones", "ticket")}
    assert not biases["zero_biases"].any()
    assert not biases["ones"].any()
    assert np.array_equal(biases["sign_constant"], saved.ticket(0, 0).values["1.bias"])


def test_a_labelled_arm_with_a_mask_of_its_own_keeps_it(out, saved):
    places, ticket = saved.arm("places", 0, 1), saved.ticket(0, 1)
    assert {name: int(kept.sum()) for name, kept in places.mask.items()} == {
        name: int(kept.sum()) for name, kept in ticket.mask.items()
    }
    assert not np.array_equal(places.mask["1.weight"], ticket.mask["1.weight"])
    assert verify(out) == []


def test_a_run_grows_by_labelled_arms_to_the_same_bits(campaign_file, out, saved, tmp_path):
    changes = {"rewind": {"step": 5}, "store": {"trained": "all"}}
    tickets.run(campaign_file(tmp_path, arms=ARMS, rounds=0, **changes), out=tmp_path / "out")
    whole = campaign_file(tmp_path, arms=[*ARMS, *LABELLED], rounds=1, **changes)
    (one,) = status(tmp_path / "out")
    assert one.missing_arms == []
    grown = tickets.run(whole, out=tmp_path / "out")
    assert grown.runs == saved.runs
    for arm in ("reinit_full", "places", "ones", "zero_biases"):
        for number in (0, 1):
            assert same(grown.arm(arm, 1, number), saved.arm(arm, 1, number)) == [True] * 3
    assert verify(tmp_path / "out") == []
    part = next((tmp_path / "out").glob("*/cohort-000/round-000.1/manifest.json"))
    assert json.loads(part.read_bytes())["arms"][0] == {"arm": "reinit_full", "draw": 0, "name": "reinit"}


def test_arms_without_a_label_are_written_as_ever(campaign_file, tmp_path):
    saved = tickets.run(campaign_file(tmp_path, rounds=0, arms=["ticket", "sign_constant"]), out=tmp_path / "out")
    manifest = json.loads(next((tmp_path / "out").glob("*/cohort-000/round-000/manifest.json")).read_bytes())
    assert manifest["arms"] == [{"arm": "ticket", "draw": 0}, {"arm": "sign_constant", "draw": 0}]
    assert manifest["arm_options"] == {arm: {"start": None, "value": None} for arm in ("ticket", "sign_constant")}
    assert saved.config()["arms"] == [
        {"name": name, "draws": 1, "start": None, "value": None} for name in ("ticket", "sign_constant")
    ]
    assert "include" not in saved.config()["prune"]
