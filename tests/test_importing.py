"""A user's module is found in the current folder and beside the campaign file, and hides nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

import tickets
from tickets.binding import resolve
from tickets.errors import InputError
from tickets.importing import importable

NETS = """
import random, torch, {beside}
def wide(width=8):
    hidden = torch.nn.Linear(64, width), torch.nn.ReLU()
    return torch.nn.Sequential(torch.nn.Flatten(), *hidden, torch.nn.Linear(width, 10))
def data():
    torch.manual_seed(0)
    return torch.randn(60, 64), torch.arange(60) % 10, torch.randn(20, 64), torch.arange(20) % 10
"""


def write_module(folder: Path) -> str:
    """A module and what it imports, of names that no other test has; and a file that must hide nothing."""
    name = f"nets_{uuid.uuid4().hex}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.py").write_text(NETS.format(beside=f"{name}_also"))
    (folder / f"{name}_also.py").write_text("")
    (folder / "random.py").write_text("raise RuntimeError('this is no random')")
    (folder / "torch.py").write_text("raise RuntimeError('this is no torch')")
    return name


def command(folder, *arguments):
    """The installed command's way to start: the current folder is not on sys.path."""
    code = (
        "import sys; sys.path = [path for path in sys.path if path]; from tickets.command_line.app import main; main()"
    )
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment["PYTHONSAFEPATH"] = "1"
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], cwd=folder, env=environment, capture_output=True, text=True
    )


# With two workers the command itself imports the module too.
@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.torture), 2])
@pytest.mark.parametrize("place", ["the current folder", "beside the campaign file"])
def test_the_command_finds_a_module(place, workers, campaign_file, tmp_path):
    where = tmp_path / "campaigns"
    other = tmp_path / "other"
    other.mkdir()
    name = write_module(tmp_path if place == "the current folder" else where)
    changes = {
        "rounds": 0,
        "cohort_size": 1,
        "model": f"{name}:wide",
        "data": {"name": f"{name}:data", "validation": 6},
    }
    file = campaign_file(where, arms=["ticket"], train={"batch_size": 10, "steps": 2}, **changes)
    ended = command(
        tmp_path if place == "the current folder" else other,
        "run",
        file,
        "--out",
        tmp_path / "out",
        "--workers",
        workers,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert tickets.load(tmp_path / "out").rounds["replicate"].tolist() == [0, 1]


def test_from_python_too_and_sys_path_is_as_before(campaign_file, tmp_path):
    name = write_module(tmp_path)
    before = list(sys.path)
    file = campaign_file(tmp_path, rounds=0, model=f"{name}:wide", train={"steps": 2})
    saved = tickets.run(file, out=tmp_path / "out")
    assert sys.path == before
    assert saved.ticket(replicate=0, round=0).build()[1].weight.shape == (8, 64)


def test_a_mapping_finds_it_in_the_current_folder(tmp_path, monkeypatch):
    name = write_module(tmp_path)
    monkeypatch.chdir(tmp_path)
    table = {
        "name": "t",
        "replicates": 1,
        "rounds": 0,
        "data": "digits",
        "model": f"{name}:wide",
        "train": {"steps": 1},
    }
    assert len(tickets.run(table, out=tmp_path / "out").rounds) == 3


def test_a_module_that_is_found_anyway_comes_first(tmp_path):
    (tmp_path / "random.py").write_text("def mine(): ...")
    told = (
        rf"'random' has no function 'mine'.*\(it is .*random\.py, and hides {tmp_path}/random\.py, which needs another"
    )
    with importable(tmp_path), pytest.raises(InputError, match=told):
        resolve("random:mine")


def test_another_module_of_the_same_name_is_refused(tmp_path):
    name = write_module(tmp_path / "a")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / f"{name}.py").write_text("def wide(): ...")
    with importable(tmp_path / "a"):
        assert resolve(f"{name}:wide")() is not None
    with (
        importable(tmp_path / "b"),
        pytest.raises(InputError, match=rf"imported from .*/a/{name}\.py before, but is .*/b/"),
    ):
        resolve(f"{name}:wide")
    with importable(tmp_path / "a"):
        resolve(f"{name}:wide")


def test_a_module_that_is_not_there_says_where_it_may_be(tmp_path):
    with pytest.raises(InputError, match=r"cannot import 'no_nets' .*lies in the current folder \(.*\) or beside"):
        resolve("no_nets:wide")
    name = write_module(tmp_path)
    (tmp_path / f"{name}_also.py").unlink()
    with importable(tmp_path), pytest.raises(InputError, match=rf"it imports '{name}_also', which is not installed"):
        resolve(f"{name}:wide")


def test_a_current_folder_that_is_gone_is_no_matter(campaign_file, tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    file = campaign_file(tmp_path, rounds=0, model=f"{write_module(tmp_path)}:wide", train={"steps": 1})
    assert len(tickets.run(file, out=tmp_path / "out").runs) == 1
    with pytest.raises(InputError, match="lies in the current folder or beside the campaign file"):
        resolve("no_nets:wide")


def test_folders_that_several_blocks_name_stay_until_the_last_ends(tmp_path):
    before = list(sys.path)
    with importable(tmp_path):
        with importable(tmp_path, tmp_path / "."):
            assert sys.path == [*before, str(tmp_path)]
        assert sys.path == [*before, str(tmp_path)]
    assert sys.path == before
    with importable(Path(before[-1])):
        assert sys.path == before
