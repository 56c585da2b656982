"""Which runs a folder holds, and which folders are refused."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tickets.errors import InputError
from tickets.store import load


def test_folders_without_a_run_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"nothing: no such folder; give a folder that `tickets run` wrote"):
        load(tmp_path / "nothing")
    with pytest.raises(InputError, match=r"no saved run in it \(no \*/run.json\); give a folder"):
        load(tmp_path)


def test_two_folders_with_one_run_are_refused(tmp_path, example):
    for name in ("one", "two"):
        example.named("same").write(tmp_path / name)
    with pytest.raises(InputError, match="one and two both hold run same; move one of them away"):
        load(tmp_path)


def test_loading_needs_no_torch_and_importing_tickets_not_even_pandas(saved_run):
    program = f"""
import sys, tickets
assert not {{"torch", "pandas", "numpy", "pydantic"}} & set(sys.modules), sorted(sys.modules)
saved = tickets.load({str(saved_run)!r})
saved.rounds, saved.curves, saved.ticket(0, 1)
import tickets.store
tickets.store.verify({str(saved_run)!r}), tickets.store.status({str(saved_run)!r})
assert "pandas" in sys.modules and "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)
