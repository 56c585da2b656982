"""Campaigns with learned masks: what is saved, built, verified, said in run.json, refused, and resumed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tickets
from tickets.catalogue import ARMS
from tickets.config import parse_run
from tickets.errors import InputError
from tickets.source import load_source
from tickets.store import Saved, read_initial, verify

TABLE = {
    "name": "learned",
    "seed": 3,
    "replicates": 2,
    "rounds": 1,
    "data": "digits",
    "model": {"name": "mlp", "widths": [6]},
    "arms": [
        "ticket",
        "reinit",
        {"name": "supermask", "rescale": True},
        {"name": "edge_popup", "draws": 2},
    ],
    "train": {"steps": 6, "evaluate_every": 3, "batch_size": 20, "evaluate_on": 50},
    "prune": {"density": 0.3},
    "rewind": {"step": 2},
    "store": {"trained": "all", "units": True},
    "compute": {"threads": 1, "memory_gib": 0.5},
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Saved]:
    folder = tmp_path_factory.mktemp("learned") / "out"
    return folder, tickets.run(TABLE, out=folder)


def test_what_is_built_gives_the_last_numbers_that_are_reported(saved: tuple[Path, Saved]) -> None:
    examples = load_source(parse_run(TABLE).data, None).examples
    rounds = saved[1].rounds.set_index(["arm", "replicate", "round", "draw"])["final_test_accuracy"]
    for arm, draw in (("supermask", 0), ("edge_popup", 0), ("edge_popup", 1)):
        for replicate, number in ((0, 0), (0, 1), (1, 1)):
            found = saved[1].arm(arm, replicate, number, draw=draw)
            with torch.no_grad():
                right = found.build().eval()(examples.test_inputs).argmax(1) == examples.test_labels
            assert rounds[arm, replicate, number, draw] == float(right.double().mean())
            ticket = saved[1].ticket(replicate, number)
            for name, mask in found.mask.items():
                assert int(mask.sum()) == int(ticket.mask[name].sum())
            assert found.trained is not None
            assert all(np.array_equal(found.values[name], found.trained[name]) for name in found.values)


def test_its_values_are_theta0_after_a_rewind_step_too(saved: tuple[Path, Saved]) -> None:
    (cohort,) = saved[0].glob("*/cohort-000")
    found, theta0 = saved[1].arm("supermask", 1, 1), read_initial(cohort, 1)
    for name, mask in found.mask.items():
        factor = np.float32(mask.size / mask.sum())
        assert np.array_equal(found.values[name][mask], theta0[name][mask] * factor)
    steps = saved[1].curves.query("arm == 'supermask' and replicate == 0 and round == 1")["step"]
    assert steps.tolist() == [0, 3, 6]


def test_it_verifies_and_says_how_masks_are_learned(saved: tuple[Path, Saved]) -> None:
    folder, found = saved
    assert verify(folder) == []
    (file,) = folder.glob("*/run.json")
    execution = json.loads(file.read_text())["execution"]
    assert execution["learned"] == {
        "strategy": "looped",
        "reason": "a learned mask needs the gradient of every weight; not compared with a plain loop",
    }
    assert execution["strategy"] == "sparse"
    manifest = json.loads((file.parent / "cohort-000" / "round-001" / "manifest.json").read_text())
    assert manifest["arm_options"]["supermask"]["rescale"] is True
    units = found.probe("units")
    assert set(units["arm"]) == {"ticket", "reinit", "supermask", "edge_popup"}


def test_the_accuracy_before_training_is_that_of_step_0(saved: tuple[Path, Saved]) -> None:
    rounds, curves = saved[1].rounds, saved[1].curves
    keys = ["replicate", "round", "arm", "draw"]
    first = curves.sort_values("step").groupby(keys)["test_accuracy"].first()
    for row in rounds.to_dict("records"):
        was_trained = row["round"] == 1 and row["arm"] == "ticket"  # at the rewind step
        wanted = first[tuple(row[key] for key in keys)]
        assert (np.isnan(row["untrained_test_accuracy"])) == was_trained
        assert was_trained or row["untrained_test_accuracy"] == wanted


def test_interrupted_it_gives_the_same_bits(
    saved: tuple[Path, Saved], watcher: Any, contents: Callable[[Path], Any], tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        tickets.run(TABLE, out=tmp_path / "out", listener=watcher(stop=(1, 9)))
    tickets.run(TABLE, out=tmp_path / "out")
    assert contents(tmp_path / "out") == contents(saved[0])


def test_added_later_they_are_a_part_of_their_own(watcher: Any, tmp_path: Path) -> None:
    small = {**TABLE, "replicates": 1, "rewind": {"step": 0}, "store": {"trained": "none"}}
    before = tickets.run({**small, "arms": ["ticket"]}, out=tmp_path / "out")
    listener = watcher()
    after = tickets.run({**small, "arms": ["ticket", "edge_popup"]}, out=tmp_path / "out", listener=listener)
    assert listener.networks == listener.promised == 2 * 6
    assert before.runs == after.runs
    assert sorted(path.name for path in (tmp_path / "out").glob("*/cohort-000/round-001.1")) == ["round-001.1"]
    (file,) = (tmp_path / "out").glob("*/run.json")
    assert json.loads(file.read_text())["execution"]["learned"]["strategy"] == "looped"
    assert verify(tmp_path / "out") == []


def test_a_model_that_counts_its_steps_has_a_module_for_each_network(tmp_path: Path) -> None:
    arms = ["ticket", "supermask", "edge_popup"]
    table = {**TABLE, "model": "learned_models:counting", "arms": arms, "rewind": {"step": 0}, "store": {}}
    both = tickets.run(table, out=tmp_path / "both")
    alone = tickets.run({**table, "replicates": 1}, out=tmp_path / "alone")
    (file,) = (tmp_path / "both").glob("*/run.json")
    execution = json.loads(file.read_text())["execution"]
    assert execution["strategy"] == "plain"
    assert "each with a module of its own" in execution["learned"]["reason"]
    for arm in arms[1:]:
        one, other = (found.curves.query(f"arm == '{arm}' and replicate == 0") for found in (both, alone))
        assert one["test_loss"].tolist() == other["test_loss"].tolist()


@pytest.mark.parametrize(
    ("arm", "line"),
    [
        ({"name": "supermask", "pruned": "initial"}, r"pruned.*a learned mask decides between a weight and 0; leave"),
        ({"name": "supermask", "weights": "normal"}, r"weights.*unknown choice \(allowed: initial, signed_constant\)"),
        ({"name": "edge_popup", "weights": "initial"}, r"weights.*unknown choice \(allowed: normal, signed_constant\)"),
        ({"name": "edge_popup", "rescale": True}, r"rescale.*(supermask|unknown)"),
        ({"name": "supermask", "samples": -1}, r"samples.*must be at least 0"),
        ({"name": "supermask", "start": 0}, r"start.*unknown"),
    ],
)
def test_what_an_arm_cannot_have_is_refused(arm: dict[str, Any], line: str) -> None:
    with pytest.raises(InputError, match=line):
        parse_run({**TABLE, "arms": ["ticket", arm]})


def test_the_recipes_are_those_of_the_papers() -> None:
    assert dict(ARMS["edge_popup"].train) == {
        "optimizer": "sgd", "momentum": 0.9, "milestones": (), "learning_rate": 0.1, "weight_decay": 1e-4,
        "schedule": "cosine",
    }  # fmt: skip
    assert ARMS["supermask"].train["learning_rate"] == 100
