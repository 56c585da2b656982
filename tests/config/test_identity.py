"""Run ids are names of folders on people's disks: the literal ones here must never change."""
# ruff: noqa: E501 - a configuration and its id side by side

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tickets.config import SCHEMA_VERSION, identity, parse_campaign, parse_run, run_id

BASE: dict[str, Any] = {"name": "x", "data": "mnist1d", "model": "mlp"}


def id_of(**changed: Any) -> str:
    return run_id(parse_run({**BASE, **changed}))


GOLDEN: list[tuple[dict[str, Any], str]] = [
    ({}, "mnist1d-mlp-adam-0.001-seed0-d1012b5252"),
    ({"seed": 7, "data": "mnist", "model": "lenet_300_100", "train": {"learning_rate": 1.2e-3, "batch_size": 60}}, "mnist-lenet_300_100-adam-0.0012-seed7-9a09703a97"),
    ({"data": "cifar10", "model": {"name": "conv6", "dropout": 0.5}, "train": {"optimizer": "sgd", "momentum": 0.9, "learning_rate": 1e-5}}, "cifar10-conv6-sgd-1e-05-seed0-0249930b9d"),
    ({"data": "my_package.sets:f", "model": {"name": "my.nets:wide", "depth": 3, "scale": 0.5}, "prune": {"score": "my.scores:f", "exclude": ["fc*"]}}, "my_package_sets_f-my_nets_wide-adam-0.001-seed0-8bc2036ff2"),
    ({"train": {"optimizer": "adamw", "schedule": "step", "milestones": [100, 200]}, "rewind": {"step": 50}, "prune": {"scope": "global"}}, "mnist1d-mlp-adamw-0.001-seed0-824df04b2c"),
    ({"model": {"name": "mlp", "init": {"name": "constant", "value": 0.25}}}, "mnist1d-mlp-adam-0.001-seed0-4481d12e00"),
    ({"model": {"name": "lenet_300_100", "init": {"name": "sign_constant", "biases": "model"}}}, "mnist1d-lenet_300_100-adam-0.001-seed0-8c770f375b"),
    ({"model": {"name": "mlp", "init": "dct"}}, "mnist1d-mlp-adam-0.001-seed0-86f5c929b0"),
]  # fmt: skip


@pytest.mark.parametrize(("changed", "name"), GOLDEN)
def test_golden_ids(changed: dict[str, Any], name: str) -> None:
    assert id_of(**changed) == name


def test_what_an_identity_holds() -> None:
    run = parse_run({**BASE, "name": "y", "replicates": 2, "arms": ["ticket"]})
    assert identity(run) == {
        "schema_version": SCHEMA_VERSION,
        "seed": 0,
        "data": {"name": "mnist1d", "validation": 500},
        "model": {"name": "mlp", "init": "pytorch", "widths": [100, 100]},
        "train": {
            "optimizer": "adam",
            "learning_rate": 0.001,
            "momentum": 0.0,
            "weight_decay": 0.0,
            "batch_size": 100,
            "steps": 1000,
            "evaluate_every": 100,
            "schedule": "constant",
            "milestones": [],
            "gamma": 0.1,
            "warmup_steps": 0,
        },
        "prune": {
            "score": "magnitude",
            "scope": "layer",
            "rate": 0.2,
            "output_rate": 0.2,
            "conv_rate": 0.2,
            "exclude": [],
        },
        "rewind": {"step": 0},
    }
    assert json.loads(json.dumps(identity(run))) == identity(run)


@pytest.mark.parametrize(
    "changed",
    [
        {"seed": 1},
        {"data": "digits"},
        {"data": {"name": "mnist1d", "validation": 501}},
        {"data": {"name": "a:b"}},
        {"data": {"name": "a:b", "k": 1}},
        {"data": {"name": "a:b", "k": 2}},
        {"model": "conv2"},
        {"model": {"name": "mlp", "init": "glorot_normal"}},
        {"model": {"name": "mlp", "init": {"name": "pytorch", "biases": "zeros"}}},
        {"model": {"name": "mlp", "widths": [100]}},
        {"train": {"optimizer": "sgd"}},
        {"train": {"optimizer": "sgd", "momentum": 0.9}},
        {"train": {"learning_rate": 0.01}},
        {"train": {"weight_decay": 0.01}},
        {"train": {"batch_size": 10}},
        {"train": {"steps": 10}},
        {"train": {"evaluate_every": 10}},
        {"train": {"evaluate_on": 1000}},
        {"train": {"schedule": "cosine"}},
        {"train": {"schedule": "step", "milestones": [10]}},
        {"train": {"schedule": "step", "milestones": [20]}},
        {"train": {"gamma": 0.5}},
        {"train": {"warmup_steps": 10}},
        {"train": {"loss": "mse"}},
        {"train": {"loss": "my.losses:f"}},
        {"train": {"label_smoothing": 0.1}},
        {"train": {"class_weights": [1, 2]}},
        {"train": {"class_weights": [1, 3]}},
        {"prune": {"score": "random"}},
        {"prune": {"score": {"name": "a:b", "scale": 2}}},
        {"prune": {"score": {"name": "a:b", "scale": 3}}},
        {"prune": {"scope": "global"}},
        {"prune": {"rate": 0.1}},
        {"prune": {"output_rate": 0.1}},
        {"prune": {"conv_rate": 0.1}},
        {"prune": {"exclude": ["a"]}},
        {"prune": {"include": ["a"]}},
        {"rewind": {"step": 1}},
    ],
)
def test_what_decides_a_tickets_numbers_changes_the_id(changed: dict[str, Any]) -> None:
    assert id_of(**changed).rsplit("-", 1)[1] != id_of().rsplit("-", 1)[1]


def test_every_key_of_the_identity_is_changed_above() -> None:
    (mark,) = test_what_decides_a_tickets_numbers_changes_the_id.pytestmark
    tables = [(key, value) for table in mark.args[1] for key, value in table.items() if isinstance(value, dict)]
    changed = {f"{key}.{inner}" for key, value in tables for inner in value}
    held = identity(parse_run(BASE))
    wanted = {f"{key}.{inner}" for key in ("train", "prune", "rewind") for inner in held[key]}
    assert wanted <= changed
    assert {"data.validation", "model.init", "model.widths"} <= changed


@pytest.mark.parametrize(
    "changed",
    [
        {"name": "y"},
        {"replicates": 50},
        {"rounds": 3},
        {"cohort_size": 2},
        {"arms": ["ticket", {"name": "reinit", "draws": 5}]},
        {"arms": ["ticket", {"name": "reinit", "label": "other"}, {"name": "constant", "biases": "model"}]},
        {"arms": ["ticket", {"name": "mine", "mask": "a:b", "scale": 2}, {"name": "reinit", "pruned": "initial"}]},
        {"probes": ["units", {"name": "a:b", "points": 3}]},
        {"prune": {"include": []}},
        {"train": {"loss": "cross_entropy", "label_smoothing": 0, "class_weights": []}},
        {"prune": {"score": {"name": "magnitude"}}},
        {"store": {"trained": "all"}},
        {"compute": {"strategy": "looped", "memory_gib": 1, "threads": 1}},
    ],
)
def test_what_decides_no_tickets_numbers_does_not(changed: dict[str, Any]) -> None:
    assert id_of(**changed) == id_of()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"train": {"learning_rate": 1}}, {"train": {"learning_rate": 1.0}}),
        ({"train": {"learning_rate": 1e-2}}, {"train": {"learning_rate": 0.01}}),
        ({"train": {"weight_decay": -0.0}}, {}),
        ({"prune": {"rate": 0.2, "output_rate": 0.2, "conv_rate": 0.2}}, {}),
        ({"prune": {"rate": 0}}, {"prune": {"rate": 0.0, "output_rate": 0}}),
        ({"rounds": 1, "prune": {"density": 0.9}}, {"prune": {"rate": 0.1}}),
        ({"rounds": 1, "prune": {"density": 0.1, "output_rate": 0.9}}, {"prune": {"rate": 0.9}}),
        ({"model": {"name": "mlp", "widths": [100, 100]}}, {}),
        ({"model": {"name": "mlp", "init": {"name": "pytorch"}}}, {}),
        ({"model": {"name": "mlp", "init": {"name": "pytorch", "biases": "model"}}}, {}),
        (
            {"model": {"name": "mlp", "init": {"name": "constant", "value": 0.5, "biases": "zeros"}}},
            {"model": {"name": "mlp", "init": "constant"}},
        ),
        (
            {"model": {"name": "mlp", "init": {"name": "constant", "value": 1}}},
            {"model": {"name": "mlp", "init": {"name": "constant", "value": 1.0}}},
        ),
        (
            {"model": {"name": "mlp", "init": {"name": "constant", "value": -0.0}}},
            {"model": {"name": "mlp", "init": {"name": "constant", "value": 0}}},
        ),
        ({"data": {"name": "a:b", "k": 1, "l": 2}}, {"data": {"l": 2, "k": 1, "name": "a:b"}}),
    ],
)
def test_the_same_thing_written_in_two_ways(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert id_of(**one) == id_of(**other)


def test_an_id_is_a_safe_folder_name() -> None:
    name = id_of(data="größe.daten:f", model="a" * 300 + ":b", train={"learning_rate": 1e30})
    assert name.isascii()
    assert len(name) < 150
    assert not set(name) & set("/\\: ")


def test_the_ids_and_the_json_of_many_configs_are_what_they_were() -> None:
    """Recorded with the classes that each model, data set and init had before options stood in signatures."""
    rows = json.loads((Path(__file__).parents[1] / "golden" / "configs.json").read_text())
    assert len(rows) > 90
    for row in rows:
        runs = parse_campaign(row["table"]).runs
        assert [run_id(run) for run in runs] == row["ids"], row["table"]
        dumped = [json.dumps(run.model_dump(mode="json"), sort_keys=True).encode() for run in runs]
        assert [hashlib.sha256(text).hexdigest()[:16] for text in dumped] == row["configs"], row["table"]
