"""The campaigns about what layers do to inputs, made small: they run, and every claim can be answered."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

import tickets
from tickets.config import read_campaign

RUNS = Path(__file__).parents[1] / "runs"


@pytest.mark.parametrize(("name", "runs"), [("random_layers", 2 * 4 * 8), ("pruned_layers", 2 * 6)])
def test_a_campaign_about_layers_is_read(name: str, runs: int) -> None:
    campaign = read_campaign(RUNS / f"{name}.toml")
    assert len(campaign.runs) == runs
    assert len(campaign.runs[0].claim) >= 10


def test_the_claims_about_random_layers_can_be_answered(tmp_path: Path) -> None:
    table = tomllib.loads((RUNS / "random_layers.toml").read_text())
    inits = ["kaiming_normal", "dct", "quasi_normal"]
    widths = [[4, 4, 4], [8, 8, 8], [16, 16, 16]]
    table["sweep"] = {"data": ["digits"], "model.widths": widths, "model.init": inits}
    table["replicates"] = 2
    table["claim"] = [claim for claim in table["claim"] if not _about_others(claim, inits, widths)]
    saved = tickets.run(table, out=tmp_path / "saved")
    found = saved.claims()
    answered = found[found["id"] != "winning_ticket"]
    assert set(answered["id"]) == {claim["id"] for claim in table["claim"]} == {
        "kernel_in_the_limit", "rank_grows_with_width", "dct_deviates_more", "dct_passes_on_less",
        "quasi_normal_no_more",
    }  # fmt: skip
    assert (answered["n"] == 2).all()
    assert answered["estimate"].notna().all()


def _about_others(claim: dict, inits: list, widths: list) -> bool:
    """Whether a claim names a start or a width that the smaller sweep has not."""
    where = claim.get("where", {})
    return ("model.init" in where and where["model.init"] not in inits) or (
        "model.widths" in where and where["model.widths"] not in widths
    )


def test_the_claims_about_pruned_layers_can_be_answered(tmp_path: Path) -> None:
    table = tomllib.loads((RUNS / "pruned_layers.toml").read_text())
    inits = ["kaiming_normal", "dct", "quasi_normal"]
    table["sweep"] = {"data": ["digits"], "model.init": inits}
    table["model"]["widths"] = [12, 12, 12]
    table["replicates"] = 2
    table["train"] |= {"steps": 4, "evaluate_every": 4}
    table["claim"] = [claim for claim in table["claim"] if not _about_others(claim, inits, [])]
    saved = tickets.run(table, out=tmp_path / "saved")
    found = saved.claims()
    answered = found[found["id"] != "winning_ticket"]
    assert set(answered["id"]) == {claim["id"] for claim in table["claim"]}
    assert (answered["n"] > 0).all()
