"""Runs that earlier versions saved load, verify, resume and grow, and what is in them stays as it is.

A folder of tests/golden/schema-N/ is a campaign: its file, its folder as it was saved, and its tables as CSV.
"""

from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tomli_w

import tickets
from tickets.store import read_values, status, verify

GOLDEN = Path(__file__).parent / "golden" / "schema-1"
NAMES = ("arms", "rewind", "units")


@pytest.fixture(params=NAMES)
def campaign(request, tmp_path, monkeypatch):
    """A copy of the campaign's folder, to run and to change."""
    monkeypatch.syspath_prepend(str(GOLDEN))
    return shutil.copytree(GOLDEN / request.param, tmp_path / request.param)


def file_of(campaign):
    return campaign / f"{campaign.name}.toml"


def committed(folder):
    """The bytes of everything that was committed: initial and rewound values, rounds, manifests."""
    return {path: path.read_bytes() for path in sorted(folder.glob("*/cohort-*/**/*")) if path.is_file()}


def assert_recorded(frame, campaign, name):
    """Every digit of every number is as it was recorded; later versions may have more columns."""
    text = (campaign / f"{name}.csv").read_text()
    assert frame[text.partition("\n")[0].split(",")].to_csv(index=False) == text


def test_they_load_and_verify_and_their_tables_have_the_recorded_numbers(campaign):
    saved = tickets.load(campaign / "saved")
    assert verify(campaign / "saved") == []
    assert [one.state for one in status(campaign / "saved")] == ["done"]
    for name in ("rounds", "curves") + (("units",) if campaign.name == "units" else ()):
        assert_recorded(getattr(saved, name), campaign, name)


def test_their_tickets_are_the_rewound_values_under_the_mask_and_can_be_built(campaign):
    saved = tickets.load(campaign / "saved", trust_code=True)
    ticket = saved.ticket(replicate=1, round=1)
    cohort = next(path.parent.parent for path in (campaign / "saved").glob("*/*/initial/manifest.json")
                  if 1 in json.loads(path.read_bytes())["replicates"])  # fmt: skip
    start = read_values(cohort / ("rewind" if campaign.name == "rewind" else "initial"))[1]
    assert {"arms": 0.8, "rewind": 0.8, "units": 0.5}[campaign.name] == pytest.approx(ticket.density, abs=0.01)
    made = ticket.build().state_dict()
    for name, value in start.items():
        wanted = value * ticket.mask[name] if name in ticket.mask else value
        np.testing.assert_array_equal(ticket.values[name], wanted)
        np.testing.assert_array_equal(made[name].numpy(), wanted)


def test_the_same_campaign_again_finds_nothing_missing_and_records_the_network(campaign, watcher):
    folder, listener = campaign / "saved", watcher()
    before = committed(folder)
    tickets.run(file_of(campaign), out=folder, listener=listener)
    assert listener.promised == 0
    assert listener.rounds == []
    assert committed(folder) == before
    rounds = tickets.load(folder).rounds["round"].nunique()
    for path in folder.glob("*/run.json"):
        network = json.loads(path.read_bytes())["began_with"]
        assert network["first_seen_after_rounds"] == rounds
        assert np.shape(network["outputs"]) == (8, 10)
    # Run once more, what is recorded is compared.
    tickets.run(file_of(campaign), out=folder)


def test_they_grow_by_a_round_a_replicate_and_an_arm(campaign, watcher):
    folder, listener = campaign / "saved", watcher()
    before = committed(folder)
    grown = tomllib.loads(file_of(campaign).read_text())
    grown |= {"replicates": 3, "rounds": grown["rounds"] + 1, "arms": [*grown["arms"], "shuffle"]}
    file_of(campaign).write_text(tomli_w.dumps(grown))
    saved = tickets.run(file_of(campaign), out=folder, listener=listener)
    assert {path: path.read_bytes() for path in before} == before
    assert verify(folder) == []
    assert [one.state for one in status(folder)] == ["done"]
    key = ["replicate", "round", "arm", "draw"]
    old = pd.read_csv(campaign / "rounds.csv", usecols=key)
    assert_recorded(saved.rounds.merge(old, on=key), campaign, "rounds")
    arms = [(arm, 0) if isinstance(arm, str) else (arm["name"], draw) for arm in grown["arms"]
            for draw in range(1 if isinstance(arm, str) else arm["draws"])]  # fmt: skip
    wanted = {(r, k, *arm) for r in range(3) for k in range(grown["rounds"] + 1) for arm in arms}
    assert set(saved.rounds[key].itertuples(index=False, name=None)) == wanted


@pytest.mark.parametrize("campaign", ["rewind"], indirect=True)
def test_a_damaged_round_of_theirs_is_set_aside_and_trained_again(campaign):
    folder = campaign / "saved"
    (folder / ".lock").touch()  # as earlier versions left it
    first, *_ = sorted(folder.glob("*/cohort-000/round-000/trained.safetensors"))
    before = {path: data for path, data in committed(folder).items() if "cohort-000" not in path.parts}
    first.write_bytes(first.read_bytes()[:-1])
    assert [problem.path for problem in verify(folder)] == [str(first)]
    tickets.run(file_of(campaign), out=folder, repair=True)
    assert verify(folder) == []
    assert [one.state for one in status(folder)] == ["done"]
    assert {path: path.read_bytes() for path in before} == before
    assert list(folder.glob("*/cohort-000/set-aside-round-000-*/trained.safetensors"))
