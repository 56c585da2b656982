"""Seven ideas from outside the package, each at most 15 lines: the README's own example, run and checked by hand."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from preloaded import Preloaded, start_preloaded
from torch import nn

import tickets
from tickets.store import Saved, verify
from tickets.work import train

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
MOST_LINES = 15


def file_in_readme(name: str) -> str:
    """The content of the code block that begins with the comment `# name`."""
    (found,) = re.findall(rf"^```\w+\n# {re.escape(name)}\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE)
    return str(found)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, preloading: Preloaded | None) -> Path:
    """A folder with the README's files, in which the campaign has been run by the command and by the engine."""
    there = tmp_path_factory.mktemp("outsider")
    for name in ("ideas.py", "ideas.toml", "engine.py"):
        (there / name).write_text(file_in_readme(name), encoding="utf-8")
    ran = [sys.executable, "-W", "error", "-m", "tickets", "run", "ideas.toml", "--out", "by_command"]
    run_python(ran, there)
    with pytest.MonkeyPatch.context() as patch:
        start_preloaded(patch, preloading)
        run_python([sys.executable, "-W", "error", str(there / "engine.py")], there)
    return there


def run_python(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def saved(folder: Path) -> Saved:
    return tickets.load(folder / "by_command", trust_code=True)


@pytest.fixture
def ideas(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(folder))
    import ideas

    return ideas


def test_each_idea_has_at_most_fifteen_lines() -> None:
    tree = ast.parse(file_in_readme("ideas.py"))
    lines = {node.name: node.end_lineno - node.lineno + 1 for node in tree.body if hasattr(node, "name")}
    assert set(lines) == {"Residual", "saddle", "huber", "saliency", "salient_at_start", "scaled", "norms"}
    assert max(lines.values()) <= MOST_LINES
    (engine,) = (node for node in ast.parse(file_in_readme("engine.py")).body if isinstance(node, ast.FunctionDef))
    assert engine.end_lineno - engine.lineno + 1 <= MOST_LINES


def test_the_model_the_data_and_the_loss_are_the_users(saved, ideas) -> None:
    ticket = saved.ticket(replicate=0, round=1)
    network = ticket.build()
    assert type(network).__name__ == "Residual"
    assert network.first.out_features == 16
    network.load_state_dict({name: torch.from_numpy(value) for name, value in ticket.trained.items()})
    *_, test_x, test_y = ideas.saddle(noise=0.05)
    row = saved.rounds.query("replicate == 0 and round == 1 and arm == 'ticket'").iloc[0]
    with torch.no_grad():
        loss = nn.functional.huber_loss(network(test_x), test_y, delta=0.5)
        r2 = 1 - ((network(test_x) - test_y) ** 2).sum() / ((test_y - test_y.mean(0)) ** 2).sum()
    assert row["final_test_loss"] == pytest.approx(float(loss), rel=1e-4)
    assert row["final_test_accuracy"] == pytest.approx(float(r2), rel=1e-4)


def test_the_score_prunes_by_gradients(saved) -> None:
    """At rate 0.5, half of each tensor goes; which half is not what magnitude would choose."""
    dense, pruned = saved.ticket(replicate=0, round=0), saved.ticket(replicate=0, round=1)
    assert all(int(mask.sum()) == round(mask.size / 2) for mask in pruned.mask.values())
    by_magnitude = {name: np.abs(dense.trained[name]) > np.median(np.abs(dense.trained[name])) for name in pruned.mask}
    assert any((by_magnitude[name] != mask).any() for name, mask in pruned.mask.items())


def test_the_arm_has_its_own_masks_and_values(saved) -> None:
    ticket, salient = (saved.arm(arm, replicate=1, round=2) for arm in ("ticket", "salient"))
    theta0 = saved.ticket(replicate=1, round=0).values
    assert sum(int(mask.sum()) for mask in salient.mask.values()) == sum(int(m.sum()) for m in ticket.mask.values())
    assert any((salient.mask[name] != mask).any() for name, mask in ticket.mask.items())
    for name, mask in salient.mask.items():
        expected = (np.float32(0.9) * theta0[name]) * mask
        assert np.array_equal(salient.values[name], expected)


def test_the_probe_is_a_table(saved) -> None:
    norms = saved.probe("norms").set_index(["replicate", "round", "arm"])["norm"]
    assert len(norms) == 2 * 3 * 3
    for replicate in (0, 1):
        trained = saved.ticket(replicate, round=2).trained["last.weight"]
        assert norms[replicate, 2, "ticket"] == pytest.approx(float(np.linalg.norm(trained)), rel=1e-5)


def test_the_engine_gives_the_same_bits(folder: Path, saved) -> None:
    by_engine = tickets.load(folder / "runs" / "saved" / "ideas")
    assert by_engine.rounds.drop(columns="seconds").equals(saved.rounds.drop(columns="seconds"))
    assert not verify(folder / "by_command")
    assert not verify(folder / "runs" / "saved" / "ideas")


def test_an_engine_decides_the_order(folder: Path, ideas, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(folder)
    trained = []

    def backwards(works, listener):
        for work in reversed(works):
            trained.append(work.name.rpartition("/")[2])
            yield work, train(work, listener)

    settings = ["cohort_size=1", "train.steps=4", "train.evaluate_every=2", "rounds=1"]
    tickets.run("ideas.toml", out=tmp_path / "out", engine=backwards, settings=settings)
    assert trained == ["cohort-001", "cohort-000"]
