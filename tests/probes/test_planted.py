"""The probe `planted`: numbers of masks made by hand, and the rows of a run that is trained and saved."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch.nn import functional

import tickets
from tickets.config import parse_run
from tickets.fitting import Fitted, fit
from tickets.initial import initial_values
from tickets.measures import Label
from tickets.planted_networks import NETWORKS
from tickets.planting import planted_ticket
from tickets.probes import Context, Networks
from tickets.probes.networks import stacked
from tickets.probes.planted import planted
from tickets.seeds import stream
from tickets.source import load_source
from tickets.store import verify

TABLE: dict[str, Any] = {
    "name": "tiny",
    "seed": 4,
    "replicates": 2,
    "rounds": 1,
    "data": {"name": "circle", "examples": 80, "test": 50, "validation": 20},
    "model": {"name": "mlp", "widths": [20, 18, 3], "init": {"name": "planted", "target": "circle"}},
    "arms": ["ticket", {"name": "reinit", "draws": 2}],
    "probes": ["planted"],
    "train": {"steps": 6, "evaluate_every": 3, "batch_size": 10, "learning_rate": 1e-2},
    "prune": {"rate": 0.5},
    "compute": {"threads": 1, "memory_gib": 0.5},
}
INIT = {"name": "planted", "biases": "scaled", "target": "circle", "base": "kaiming_normal", "exact": False}


@pytest.fixture(scope="module")
def fitted() -> Fitted:
    run = parse_run(TABLE)
    return fit(run, load_source(run.data, None))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    there = tmp_path_factory.mktemp("planted") / "saved"
    tickets.run(TABLE, out=there)
    return there


def places(fitted: Fitted, replicate: int) -> dict[str, torch.Tensor]:
    return dict(planted_ticket(fitted.build, INIT, stream(4, replicate, "initial")).planting.masks)


def of_masks(fitted: Fitted, *masks: dict[str, torch.Tensor], replicates: tuple[int, ...]) -> Networks:
    """Networks of round 1 with these masks, of these replicates."""
    cpu = torch.device("cpu")
    context = Context(fitted.run, lambda: fitted.source.examples, fitted.build, lambda: fitted.anatomy, cpu, 64)
    labels = tuple(Label(replicate, 1, 0.5, "ticket", 0) for replicate in replicates)
    values = stacked([fitted.fresh(0)] * len(masks), cpu)
    return Networks(labels, 6, values, values, stacked(masks, cpu), context)


def test_the_numbers_of_masks_made_by_hand(fitted: Fitted) -> None:
    """Planted are 4 of 40, 32 of 360, 16 of 54 and 3 of 12 weights: 55 of 466."""
    first, second = places(fitted, 0), places(fitted, 1)
    thirty = ~first["3.weight"] & ((~first["3.weight"]).flatten().cumsum(0).view(18, 20) <= 30)
    mask = {
        "1.weight": first["1.weight"],  # 4 of 4
        "3.weight": thirty,  # 0 of 32, and 30 others
        "5.weight": torch.ones(3, 18, dtype=torch.bool),  # 16 of 16, and 38 others
        "7.weight": torch.zeros(4, 3, dtype=torch.bool),  # 0 of 3: the logits are the biases
    }
    empty = {name: torch.zeros_like(every) for name, every in mask.items()}
    table = planted(of_masks(fitted, mask, second, empty, replicates=(0, 1, 0)))
    assert table["network"].tolist() == [0, 1, 2]
    assert set(table["planted_weights"]) == {55}
    assert table["planted_density"].tolist() == [55 / 466] * 3
    assert table["kept"].tolist() == [20 / 55, 1, 0]
    assert table["precision"].tolist()[:2] == [20 / 88, 1]
    assert math.isnan(table["precision"][2])
    assert table["jaccard"].tolist() == [20 / (55 + 88 - 20), 1, 0]
    chance = [4 * 4 / 40 + 32 * 30 / 360 + 16, 4 * 4 / 40 + 32 * 32 / 360 + 16 * 16 / 54 + 3 * 3 / 12, 0]
    assert table["by_chance"].tolist() == pytest.approx([sum_ / 55 for sum_ in chance])

    x, y = fitted.source.examples.test_inputs, fitted.source.examples.test_labels
    logits = NETWORKS["circle"](3)(x)
    accuracy = float((logits.argmax(1) == y).double().mean())
    assert accuracy > 0.9
    assert table["planted_accuracy"].tolist() == [accuracy] * 3
    assert table["planted_loss"].tolist() == pytest.approx([float(functional.cross_entropy(logits, y))] * 3, abs=1e-5)
    of_class_0 = float((y == 0).double().mean())
    assert table["kept_accuracy"].tolist() == [of_class_0, accuracy, of_class_0]


def test_each_network_of_a_saved_run_has_a_row(folder: Path, fitted: Fitted) -> None:
    saved = tickets.load(folder)
    table, keys = saved.probe("planted"), ["replicate", "round", "arm", "draw"]
    pd.testing.assert_frame_equal(table[keys], saved.rounds[keys])
    assert verify(folder) == []
    for row in table[table["arm"] == "ticket"].to_dict("records"):
        mask = saved.ticket(replicate=row["replicate"], round=row["round"]).mask
        own = places(fitted, row["replicate"])
        both = sum(int((torch.as_tensor(mask[name]).bool() & own[name]).sum()) for name in own)
        assert row["kept"] == both / 55
    dense = table[table["round"] == 0]
    assert set(dense["kept"]) == set(dense["by_chance"]) == {1.0}
    assert (dense["kept_accuracy"] == dense["planted_accuracy"]).all()
    of_reinit = table[table["arm"] == "reinit"].drop_duplicates(["replicate", "round"])["kept"].tolist()
    assert of_reinit == table[table["arm"] == "ticket"]["kept"].tolist(), "the ticket that is sought is the replicate's"


def test_reinit_starts_from_random_values_without_a_ticket(folder: Path, fitted: Fitted) -> None:
    saved = tickets.load(folder)
    start = saved.arm("reinit", replicate=1, round=1, draw=1).build()
    base = {"name": "kaiming_normal", "biases": "scaled"}
    drawn = initial_values(fitted.build, base, stream(4, 1, "fresh_draw", 1, 1))
    mask = saved.ticket(replicate=1, round=1).mask
    for name, value in start.named_parameters():
        kept = torch.as_tensor(mask[name]).bool() if name in mask else torch.ones(value.shape, dtype=torch.bool)
        assert torch.equal(value.detach(), drawn[name] * kept)
    begun = saved.ticket(replicate=1, round=0).build()
    theta0 = initial_values(fitted.build, INIT, stream(4, 1, "initial"))
    assert all(torch.equal(value.detach(), theta0[name]) for name, value in begun.named_parameters())
