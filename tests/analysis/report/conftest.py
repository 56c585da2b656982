"""Saved runs to report on."""

from __future__ import annotations

from pathlib import Path

import pytest

import tickets

TRAIN = {"steps": 60, "evaluate_every": 20, "batch_size": 100, "learning_rate": 1e-2}


@pytest.fixture(scope="session")
def folder(campaign_file, tmp_path_factory) -> Path:
    """A campaign of one run: 3 replicates x 3 rounds x (ticket, 2 draws of reinit, random_mask) on 8x8 digits."""
    there = tmp_path_factory.mktemp("reported")
    tickets.run(campaign_file(there, replicates=3, train=TRAIN), out=there / "tiny")
    return there / "tiny"


@pytest.fixture(scope="session")
def saved(folder):
    return tickets.load(folder)


@pytest.fixture(scope="session")
def report_of(campaign_file, tmp_path_factory):
    """report_of(**changes): the saved campaign, changed, and the files of its report."""
    from tickets.analysis.report import make_report

    def make(**changes):
        there = tmp_path_factory.mktemp("changed")
        tickets.run(campaign_file(there, **{"rounds": 1, **changes}), out=there / "out")
        saved = tickets.load(there / "out", skip_damaged=True)
        return saved, make_report(saved)[0]

    return make
