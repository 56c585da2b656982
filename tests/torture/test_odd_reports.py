"""Reports and comparisons of honest but odd campaigns: everything diverged, one of everything, nothing to compare."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hostile.forged_contents import said_by

import tickets
from tickets.catalogue import PROBES

PLAIN: Mapping[str, Any] = {
    "name": "odd",
    "replicates": 2,
    "rounds": 2,
    "data": "digits",
    "model": {"name": "mlp", "widths": [4]},
    "arms": ["ticket", "reinit"],
    "probes": [name for name in PROBES if name not in ("planted", "early_bird")],
    "train": {"steps": 6, "evaluate_every": 3, "batch_size": 50, "learning_rate": 0.01, "optimizer": "sgd"},
    "store": {"trained": "all"},
    "compute": {"threads": 1, "memory_gib": 0.5},
}
TRAIN = PLAIN["train"]
HUGE = {**TRAIN, "learning_rate": 1e30}
ODD: Mapping[str, Mapping[str, Any]] = {
    "everything diverged": {"train": HUGE},
    "the ticket diverged": {"train": HUGE, "arms": ["ticket", {"name": "reinit", "train": {"learning_rate": 0.01}}]},
    "the control diverged": {"arms": ["ticket", {"name": "reinit", "train": {"learning_rate": 1e30}}]},
    "one replicate": {"replicates": 1},
    "one round": {"rounds": 0},
    "one arm": {"arms": ["ticket"]},
    "one of everything, diverged": {"replicates": 1, "rounds": 0, "arms": ["ticket"], "train": HUGE},
    "one step": {"train": {**TRAIN, "steps": 1, "evaluate_every": 1}},
    "measurements alone": {"arms": ["ticket", "repeat", "reorder"]},
    "every weight is 0": {"model": {"name": "mlp", "widths": [4], "init": {"name": "constant", "value": 0.0}}},
    "hardly a weight is left": {"prune": {"rate": 0.999}},
    "a narrower network": {"arms": ["ticket", "small_dense", "random_mask"]},
    "no margin": {"verdict": {"density": 0.5, "controls": ["reinit"], "margin": 0.0}},
    "a sweep of which one half diverged": {"rounds": 1, "sweep": {"train.learning_rate": [1e-3, 1e30]}},
}


@pytest.mark.torture
@pytest.mark.parametrize("name", ODD)
def test_an_odd_campaign_is_reported_and_compared(name: str, tmp_path: Path) -> None:
    from tickets.analysis.report import PAGE, make_report

    saved = tickets.run({**PLAIN, **ODD[name]}, out=tmp_path / "out")
    files, left_out = make_report(saved)
    assert left_out == {}
    assert not re.search(r"\b(nan|inf)\b", re.sub(r"<[^>]*>", " ", files[PAGE].decode()))
    for command in ("compare", "claims", "status", "verify"):
        assert "Traceback" not in said_by(command, tmp_path / "out")
