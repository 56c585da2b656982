"""Networks of arm `small_dense` on disk: written, read back, verified, resumed and added later."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from resealed import write_sealed

import tickets
from tickets.config import parse_run
from tickets.probes import Networks
from tickets.source import load_source
from tickets.store import run_folders, verify
from tickets.store.own_models import own_model_problems, wrong_network

SMALL = {"name": "small_dense", "draws": 2}
CHANGES: dict[str, Any] = {
    "model": {"name": "mlp", "widths": [8, 6]},
    "arms": [SMALL, "ticket", "random_mask"],  # the first network of a file is a narrower one
    "train": {"steps": 8, "evaluate_every": 4, "evaluate_on": 50},
    "rewind": {"step": 2},
    "prune": {"rate": 0.4, "scope": "global"},
    "store": {"trained": "all"},
    "probes": ["units", f"{__name__}:seen"],
}


def seen(networks: Networks) -> list[dict[str, Any]]:
    """How many units the first layer of each network has, and how many networks of the round before there are."""
    before = networks.earlier(networks.round - 1)
    own = [len(values) for values in networks.values["1.weight"]]
    there = 0 if before is None else len(before.labels)
    return [{"network": place, "units": count, "before": there} for place, count in enumerate(own)]


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory, campaign_file: Callable[..., Path]) -> Callable[..., Path]:
    """Train the campaign, with changes, in a folder by name; the folder."""
    folder = tmp_path_factory.mktemp("small_dense")

    def run(name: str, **changes: Any) -> Path:
        tickets.run(campaign_file(folder / "files", **{**CHANGES, **changes}), out=folder / name)
        return folder / name

    return run


@pytest.fixture(scope="module")
def whole(campaign: Callable[..., Path]) -> Path:
    return campaign("whole")


@pytest.fixture(scope="module")
def cohort(whole: Path) -> Path:
    return run_folders(whole)[0] / "cohort-000"


def manifest(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "manifest.json").read_bytes())
    return found


def test_the_manifest_says_which_networks_they_are(cohort: Path) -> None:
    entries = manifest(cohort / "round-002")["arms"]
    widths = [3, 2]  # 64 inputs, 10 classes: 3 x 64 + 6 + 20 = 218 weights; 223 of 620 are left
    assert sum(manifest(cohort / "round-002")["surviving"]["0"].values()) == 223
    assert entries[0] == {
        "arm": "small_dense", "draw": 0,
        "model": {"name": "mlp", "init": "pytorch", "widths": widths},
        "shapes": {
            "1.weight": [3, 64], "1.bias": [3], "3.weight": [2, 3], "3.bias": [2], "5.weight": [10, 2], "5.bias": [10],
        },
    }  # fmt: skip
    assert [entry["arm"] for entry in entries] == ["small_dense", "small_dense", "ticket", "random_mask"]
    assert "model" not in entries[2]
    file = json.loads((cohort.parent / "run.json").read_bytes())
    assert file["small_dense"]["rounds"][2] == {"round": 2, "left": 223, "widths": widths, "weights": 218}
    assert file["small_dense"]["trained_by"].startswith(f"{file['execution']['strategy']}, as the dense networks")


def test_they_verify_and_come_back_as_modules(whole: Path) -> None:
    assert verify(whole) == []
    saved = tickets.load(whole)
    assert set(saved.rounds.groupby(["replicate", "round"])["density"].nunique()) == {1}  # compared at the round's
    ticket = saved.ticket(1, 2)
    network = saved.arm("small_dense", 1, 2, 1)
    assert network.model["widths"] == [3, 2]
    assert network.density == ticket.density
    assert [int(mask.sum()) for mask in network.mask.values()] == [192, 6, 20]
    assert network.trained is not None
    assert {name: value.shape for name, value in network.trained.items()} == {
        name: value.shape for name, value in network.values.items()
    }
    module = network.build()
    assert [tuple(value.shape) for value in module.parameters()] == [(3, 64), (3,), (2, 3), (2,), (10, 2), (10,)]
    for name, value in module.named_parameters():
        assert torch.equal(value, torch.from_numpy(network.values[name]))
    assert not np.array_equal(network.values["1.weight"], saved.arm("small_dense", 1, 2, 0).values["1.weight"])
    assert ticket.build()[1].out_features == 8
    assert saved.arm("random_mask", 1, 2).build()[1].out_features == 8


def test_probes_measure_the_networks_of_the_runs_model_alone(whole: Path) -> None:
    saved = tickets.load(whole)
    assert set(saved.probe("units")["arm"]) == {"ticket", "random_mask"}
    rows = saved.probe("seen")
    assert set(rows["arm"]) == {"ticket", "random_mask"}
    assert set(rows["units"]) == {8}
    assert rows.groupby("round")["before"].first().tolist() == [0, 4, 4]  # of two replicates, two arms


def test_the_trained_network_has_the_test_accuracy_of_the_table(whole: Path) -> None:
    saved = tickets.load(whole)
    config = parse_run(saved.config())
    examples = load_source(config.data, None).examples
    rows = saved.rounds.set_index(["replicate", "round", "arm", "draw"])["final_test_accuracy"]
    for number in (0, 2):
        network = saved.arm("small_dense", 0, number)
        module = network.build().eval()
        module.load_state_dict(
            {name: torch.from_numpy(value.copy()) for name, value in (network.trained or {}).items()}
        )
        with torch.no_grad():
            right = (module(examples.test_inputs).argmax(1) == examples.test_labels).double().mean()
        assert float(right) == pytest.approx(rows[0, number, "small_dense", 0], abs=1e-6)


def test_a_run_that_goes_on_gives_the_same_bits(
    campaign: Callable[..., Path], whole: Path, contents: Callable[[Path], dict[str, Any]]
) -> None:
    shorter = campaign("shorter", rounds=1)
    assert not (run_folders(shorter)[0] / "cohort-000" / "round-002").exists()
    campaign("shorter")
    found, wanted = contents(shorter), contents(whole)
    assert {key: value for key, value in found.items() if "cohort-" in key} == {
        key: value for key, value in wanted.items() if "cohort-" in key
    }


def test_it_can_be_added_to_a_run_that_is_there(campaign: Callable[..., Path]) -> None:
    campaign("later", arms=["ticket", "random_mask"])
    later = campaign("later", arms=["ticket", "random_mask", {"name": "small_dense", "label": "small"}])
    part = run_folders(later)[0] / "cohort-000" / "round-001.1"
    assert [(entry["arm"], entry["name"]) for entry in manifest(part)["arms"]] == [("small", "small_dense")]
    assert verify(later) == []
    saved = tickets.load(later)
    assert saved.arm("small", 0, 1).build()[1].in_features == 64
    assert set(saved.probe("units")["arm"]) == {"ticket", "random_mask"}
    (line,) = (note for note in saved.notes() if "hidden widths" in note)
    assert line.startswith("small: dense networks with hidden widths 8-6 in round 0 to 3-2 in round 2")


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda entry: entry["shapes"].update({"1.weight": [2, 64]}), "is (3, 64), but the manifest says (2, 64)"),
        (lambda entry: entry["shapes"].pop("1.bias"), "1.bias is (3,), but the manifest says missing"),
        (lambda entry: entry["shapes"].update(more=[1]), "more is missing, but the manifest says (1,)"),
        (lambda entry: entry.pop("shapes"), "do not have the layout of saved runs (KeyError('shapes'))"),
        (lambda entry: entry.pop("model"), "1.weight is (3, 64), but must be"),
    ],
)  # fmt: skip
def test_other_shapes_than_the_manifests_are_found(
    cohort: Path, change: Callable[[dict[str, Any]], Any], found: str
) -> None:
    folder = cohort / "round-002"
    before = (folder / "manifest.json").read_bytes()
    content = json.loads(before)
    for entry in content["arms"][:2]:
        change(entry)
    try:
        write_sealed(folder / "manifest.json", content)
        assert any(found in finding.what for finding in verify(cohort.parent)), [f.what for f in verify(cohort.parent)]
    finally:
        (folder / "manifest.json").write_bytes(before)


def test_a_network_with_more_weights_than_the_ticket_is_found() -> None:
    manifest = {"arms": [{"arm": "small", "model": {}, "shapes": {"a": [2, 2], "b": [2]}}, {"arm": "ticket"}]}
    network = {"a": np.zeros((2, 2)), "b": np.zeros(2)}
    arrays = {(0, "small", 0): network, (0, "ticket", 0): {}}
    masks = {"a": np.array([[True, True, True], [True, False, False]])}  # b is no prunable parameter
    shapes = {"a": (2, 3), "b": (2,)}
    assert list(own_model_problems(manifest, arrays, {0: masks}, shapes)) == []
    masks["a"][0, 0] = False
    assert list(own_model_problems(manifest, arrays, {0: masks}, shapes)) == [
        "replicate 0, arm 'small', draw 0: has 4 weights, more than the 3 that the ticket has left"
    ]
    masks["a"][0, 0] = True
    assert list(own_model_problems(manifest, arrays, {0: masks}, {"a": (2, 1), "b": (2,)})) == [
        "replicate 0, arm 'small', draw 0: a is (2, 2), which is no narrower (2, 1)"
    ]


def test_the_writer_takes_no_network_with_a_mask_or_with_more_weights() -> None:
    of_round = {"a": np.array([[True, False], [True, True]])}
    assert wrong_network({"a": np.ones((1, 3), dtype=bool)}, of_round) is None
    assert wrong_network({"a": np.ones((2, 2), dtype=bool)}, of_round) == (
        "has 4 weights, more than the 3 of the round's mask"
    )
    assert wrong_network({"a": np.array([[True, False]])}, of_round) == "has no mask that keeps every weight"
    assert wrong_network({}, of_round) == "has no mask that keeps every weight"


def test_it_is_compared_as_a_control(whole: Path, command: Callable[..., Any]) -> None:
    said = json.loads(command("compare", whole, "--json").out)
    rows = [row for row in said if row["arm"] == "small_dense"]
    assert [row["round"] for row in rows] == [0, 1, 2]
    assert {row["n"] for row in rows} == {2}
