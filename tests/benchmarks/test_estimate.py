"""The estimated time of a campaign beside the time that it takes."""

from __future__ import annotations

from pathlib import Path

import pytest

import tickets
from tickets import estimate
from tickets.preparation import prepare

pytestmark = pytest.mark.bench

FACTOR = 3.0  # a wide bound: other work may begin or end in between
CAMPAIGNS = {
    "dense layers": {
        "data": "mnist1d",
        "model": {"name": "mlp", "widths": [100, 100]},
        "train": {"steps": 400, "evaluate_every": 50, "batch_size": 100},
    },
    "convolutions": {
        "data": "digits",
        "model": "conv2",
        "train": {"steps": 60, "evaluate_every": 20, "batch_size": 60, "learning_rate": 2e-4},
    },
}


@pytest.mark.parametrize("kind", CAMPAIGNS)
def test_the_estimate_is_near_the_time_that_it_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(estimate, "WORTH_SAYING_S", 0.0)
    campaign = {
        "name": "estimated", "replicates": 2, "rounds": 4, "arms": ["ticket", "reinit"], "prune": {"rate": 0.4},
        **CAMPAIGNS[kind],
    }  # fmt: skip
    ready = prepare(campaign, out=tmp_path / "out", data=None, settings=(), device="cpu", workers=1)
    found = estimate.estimate(ready, ready.todo)
    assert found is not None
    expected = sum(found.seconds.values())
    taken = float(tickets.run(campaign, out=tmp_path / "out").rounds["seconds"].sum())
    assert taken / FACTOR < expected < taken * FACTOR
    assert found.spent < estimate.BUDGET_S + estimate.BUDGET_SHARE * expected + 1
