"""The campaign files in runs/examples: short, each read, and run with a few steps by two replicates."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

import tickets
from tickets.catalogue import KINDS
from tickets.store import verify

EXAMPLES = sorted((Path(__file__).parents[1] / "runs" / "examples").glob("*.toml"))
MOST_LINES = 20
STEPS = 6
SWEPT = 3  # values of a key that is swept


def fewer(score: Any) -> Any:
    """A score that prunes step by step, with fewer steps."""
    table = {"name": score} if isinstance(score, str) else score
    return {**table, "iterations": 3} if table["name"] == "synflow" else score


def shrunk(file: Path) -> dict[str, Any]:
    """The campaign with a few steps, two replicates, two rounds and three swept values at most; all else as it is."""
    table = tomllib.loads(file.read_text(encoding="utf-8"))
    train, prune = table.get("train", {}), table.get("prune", {})
    table["train"] = {**train, "steps": STEPS, "evaluate_every": STEPS // 2, "evaluate_on": 50}
    for key in ("milestones", "warmup_steps"):
        if key in train:
            table["train"][key] = [2] if key == "milestones" else 1
    table["replicates"] = min(2, table.get("replicates", 2))
    if "densities" in prune:
        table["prune"] = {**prune, "densities": prune["densities"][:2]}
        table.pop("rounds", None)
    elif "density" not in prune:
        table["rounds"] = min(2, table.get("rounds", 2))
    if "score" in prune:
        table["prune"] = {**table["prune"], "score": fewer(prune["score"])}
    table["arms"] = [
        {**arm, "score": fewer(arm["score"])} if isinstance(arm, dict) and "score" in arm else arm
        for arm in table.get("arms", ["ticket"])
    ]
    if "sweep" in table:
        table["sweep"] = {key: values[:SWEPT] for key, values in table["sweep"].items()}
    if table.get("rewind", {}).get("step", 0) > 0:
        table["rewind"] = {**table["rewind"], "step": 2}
    if "fine_tune" in table:
        table["fine_tune"] = {**table["fine_tune"], "steps": 3}
    table["compute"] = {"threads": 1, "memory_gib": 0.5, **table.get("compute", {})}
    return table


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_an_example_is_short_and_runs(file: Path, tmp_path: Path) -> None:
    assert len(file.read_text(encoding="utf-8").splitlines()) <= MOST_LINES
    table = shrunk(file)
    assert table["name"] == file.stem
    prune = table.get("prune", {})
    if "masks_from" in prune:  # it takes the masks of another example, which is run first
        source = shrunk(file.with_name(f"{Path(prune['masks_from']).name}.toml"))
        tickets.run({**source, "rounds": table["rounds"]}, out=tmp_path / "source")
        table["prune"] = {**prune, "masks_from": str(tmp_path / "source")}
    tickets.run(table, out=tmp_path / "saved")
    saved = tickets.load(tmp_path / "saved")
    arms = [arm if isinstance(arm, str) else arm.get("label", arm["name"]) for arm in table.get("arms", [])]
    assert set(arms) <= set(saved.rounds["arm"])
    for probe in table.get("probes", []):
        assert len(saved.probe(probe if isinstance(probe, str) else probe["name"]))
    assert verify(tmp_path / "saved") == []


@pytest.mark.parametrize("kind", ["arms", "scores", "probes"])
def test_every_name_of_the_catalogue_is_in_an_example(kind: str) -> None:
    written = "".join(file.read_text(encoding="utf-8") for file in EXAMPLES)
    assert [name for name in KINDS[kind] if f'"{name}"' not in written] == []
