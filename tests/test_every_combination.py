"""Score x scope x rewind.kind x optimizer x kind of network: two rounds, with exact counts, zeros, nesting and resume.

Every two values that can meet do so in one of the combinations; all combinations are tried by `make torture`.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from every_pair import Combination, every_pair
from matrix_models import INCLUDED, KINDS

import tickets
from tickets.catalogue import SCORES
from tickets.catalogue.scores import OF_LAYERS
from tickets.errors import InputError
from tickets.store import verify

OPTIMIZERS: Mapping[str, Mapping[str, Any]] = {
    "sgd": {"optimizer": "sgd", "momentum": 0.9, "weight_decay": 0.05, "learning_rate": 0.05},
    "adam": {"optimizer": "adam", "weight_decay": 0.05, "learning_rate": 0.01},
    "adamw": {"optimizer": "adamw", "weight_decay": 0.5, "learning_rate": 0.01},
}
FACTORS = {
    "score": list(SCORES),
    "scope": ["layer", "global"],
    "rewind": ["weights", "learning_rate", "none"],
    "optimizer": list(OPTIMIZERS),
    "network": list(KINDS),
}
RATE = 0.3
FEWER = {"synflow": {"name": "synflow", "iterations": 10}}  # of 100, which `make torture` takes


def refusal(combination: Combination) -> str | None:
    """A part of the message that refuses the combination; None for those that can meet."""
    if combination["score"] in OF_LAYERS and combination["scope"] == "layer":
        return 'says how many weights each layer keeps, which prune.scope = "layer" says already'
    return None


def can_meet(combination: Combination) -> bool:
    return refusal(combination) is None


def campaign(combination: Combination, scores: Mapping[str, Any]) -> dict[str, Any]:
    kind = combination["rewind"]
    return {
        "name": "tiny",
        "replicates": 1,
        "rounds": 2,
        "data": {"name": "matrix_models:data", "validation": 8},
        "model": {"name": "matrix_models:net", "kind": combination["network"]},
        "arms": ["ticket"],
        "train": {**OPTIMIZERS[combination["optimizer"]], "batch_size": 8, "steps": 4, "evaluate_every": 2},
        "prune": {
            "score": scores.get(combination["score"], combination["score"]),
            "scope": combination["scope"],
            "rate": RATE,
            "include": INCLUDED.get(combination["network"], []),
        },
        "compute": {"threads": 1, "memory_gib": 0.5},
        **({} if kind == "weights" else {"rewind": {"kind": kind}}),
        **({"fine_tune": {"steps": 3}} if kind == "none" else {}),
    }


def expected(counts: list[int], scope: str) -> list[int]:
    """What stays of each count of surviving weights: of each tensor, or of all together."""
    left = counts if scope == "layer" else [sum(counts)]
    return [count - round(RATE * count) for count in left]


def check(combination: Combination, folder: Path, scores: Mapping[str, Any]) -> None:
    given = campaign(combination, scores)
    saved = tickets.run(given, out=folder / "saved")
    rounds = [saved.ticket(replicate=0, round=number) for number in range(3)]
    for before, after in itertools.pairwise(rounds):
        counts = [[int(mask.sum()) for mask in ticket.mask.values()] for ticket in (before, after)]
        found = counts[1] if combination["scope"] == "layer" else [sum(counts[1])]
        assert found == expected(counts[0], combination["scope"])
        assert all(not (mask & ~before.mask[name]).any() for name, mask in after.mask.items())
    for ticket in rounds:
        for name, mask in ticket.mask.items():
            pruned = [values[name][~mask] for values in (ticket.values, ticket.trained)]
            assert all(np.array_equal(values, np.zeros_like(values)) for values in pruned)
    assert verify(folder / "saved") == []
    _resumed(given, folder, saved.runs[0], rounds[2])


def _resumed(given: Mapping[str, Any], folder: Path, run: str, uninterrupted: Any) -> None:
    """Round 2 once more, from what round 1 has committed: the same bits."""
    shutil.rmtree(folder / "saved" / run / "cohort-000" / "round-002")
    again = tickets.run(given, out=folder / "saved").ticket(replicate=0, round=2)
    for found, wanted in ((again.mask, uninterrupted.mask), (again.trained, uninterrupted.trained)):
        assert {name: array.tobytes() for name, array in found.items()} == {
            name: array.tobytes() for name, array in wanted.items()
        }


def shown(combination: Combination) -> str:
    return "-".join(combination.values())


EVERY = [dict(zip(FACTORS, values, strict=True)) for values in itertools.product(*FACTORS.values())]
PAIRWISE = every_pair(FACTORS, can_meet)
REFUSED = list({(one["score"], one["scope"]): one for one in EVERY if not can_meet(one)}.values())


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("combination", PAIRWISE, ids=shown)
def test_every_pair_meets(combination: Combination, tmp_path: Path) -> None:
    check(combination, tmp_path, FEWER)


@pytest.mark.torture
@pytest.mark.parametrize("combination", [one for one in EVERY if can_meet(one)], ids=shown)
def test_every_combination(combination: Combination, tmp_path: Path) -> None:
    check(combination, tmp_path, {})


@pytest.mark.parametrize("combination", REFUSED, ids=shown)
def test_what_cannot_be_combined_is_refused(combination: Combination, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=refusal(combination)):
        tickets.run(campaign(combination, {}), out=tmp_path / "saved")
    assert not (tmp_path / "saved").exists()
