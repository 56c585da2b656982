"""The module of small regressions, and campaigns of them that are run."""

from __future__ import annotations

from typing import Any

import pytest
from small_regressions import CODE, SMALL, TRAIN

import tickets


@pytest.fixture
def name(module) -> str:
    return module("regress", CODE)


@pytest.fixture
def trained(name, campaign_file, tmp_path):
    """trained(loss, data={...}, model=...) runs a campaign; its folder and what is saved."""

    def train(loss: str, model: Any = None, **data: Any):
        loss = loss if loss in ("mse", "cross_entropy") else f"{name}:{loss}"
        options = {"data": {"name": f"{name}:data", **data}, "model": model or f"{name}:net"}
        file = campaign_file(tmp_path, train={**TRAIN, "loss": loss}, **options, **SMALL)
        return file, tickets.run(file, out=tmp_path / "out")

    return train
