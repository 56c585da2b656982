"""What a saved run names is not called, nor imported, unless the caller says so."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from resealed import write_sealed

import tickets
from tickets.errors import InputError
from tickets.store import notes_of, run_folders, verify

LOUD = """
from pathlib import Path
from torch import nn
Path({imported!r}).touch()

def net(called=None):
    Path({called!r}).touch()
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
"""


@pytest.fixture
def loud(module, tmp_path):
    """A user's model that leaves a file behind when its module is imported, and one when it is called."""
    marks = tmp_path / "imported", tmp_path / "called"
    return module("loud", LOUD.format(imported=str(marks[0]), called=str(marks[1]))) + ":net", marks


@pytest.fixture
def saved(campaign_file, tmp_path):
    """The folder of a small run of the catalogue's mlp."""
    tickets.run(campaign_file(tmp_path, rounds=0), out=tmp_path / "out")
    return tmp_path / "out"


def forge(out, **model):
    (folder,) = run_folders(out)
    table = json.loads((folder / "run.json").read_bytes())
    table["config"]["model"] = model
    write_sealed(folder / "run.json", table)
    return folder


def test_a_saved_run_of_ones_own_model_is_built_only_where_it_is_trusted(loud, campaign_file, tmp_path):
    name, marks = loud
    returned = tickets.run(campaign_file(tmp_path, rounds=0, model=name), out=tmp_path / "out")
    assert returned.ticket(0, 0).build()[1].weight.shape == (10, 64)  # what run returns is trusted
    for mark in marks:
        mark.unlink()
    del sys.modules[name.partition(":")[0]]
    ticket = tickets.load(tmp_path / "out").ticket(0, 0)
    with pytest.raises(
        InputError, match=rf"its model is '{name}', .* not called.*tickets.load\(..., trust_code=True\)"
    ):
        ticket.build()
    with pytest.raises(InputError, match="trust_code"):
        tickets.load(tmp_path / "out", trust_code=["other:net"]).ticket(0, 0).build()
    assert not any(mark.exists() for mark in marks)
    for trust in (True, [name], name):
        assert len(tickets.load(tmp_path / "out", trust_code=trust).arm("reinit", 1, 0).build()) == 2
    assert all(mark.exists() for mark in marks)


@pytest.mark.parametrize(("name", "options", "reason"), [
    ("os:system", {"command": "touch PWNED"}, "is compiled"),
    ("posix:system", {"command": "touch PWNED"}, "is compiled"),
    ("os:popen", {"cmd": "touch PWNED"}, "comes with Python itself"),
    ("subprocess:run", {"args": ["touch", "PWNED"]}, "comes with Python itself"),
    ("subprocess:Popen", {"args": ["touch", "PWNED"]}, "comes with Python itself"),
    ("builtins:exec", {"source": "open('PWNED', 'w')"}, "is compiled"),
    ("pandas:read_pickle", {"file": "PWNED"}, "has no such option"),
])  # fmt: skip
def test_what_can_be_no_model_is_not_called_even_where_it_is_trusted(
    name, options, reason, saved, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    forge(saved, name=name, **options)
    with pytest.raises(InputError, match=r"trust_code=True"):
        tickets.load(saved).ticket(0, 0).build()
    with pytest.raises(InputError, match=reason):
        tickets.load(saved, trust_code=True).ticket(0, 0).build()
    assert not (tmp_path / "PWNED").exists()


@pytest.mark.parametrize("changes", [
    {"model": {"name": "os:system", "command": "touch PWNED"}},
    {"data": {"name": "os:system", "command": "touch PWNED"}},
    {"prune": {"score": "os:system"}},
])  # fmt: skip
def test_nor_by_a_campaign_file(changes, campaign_file, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="'os:system': is compiled"):
        tickets.run(campaign_file(tmp_path, **changes), out=tmp_path / "out")
    assert not (tmp_path / "PWNED").exists()
    assert not (tmp_path / "out").exists()


def test_a_run_that_the_campaign_does_not_name_is_not_trusted_by_running_it(saved, loud, campaign_file, tmp_path):
    name, marks = loud
    foreign = forge(saved, name=name)
    foreign.rename(foreign.with_name("foreign"))
    table = json.loads((saved / "foreign" / "run.json").read_bytes())
    write_sealed(saved / "foreign" / "run.json", {**table, "run": "foreign"})
    for path in (saved / "foreign").glob("*/*/manifest.json"):
        write_sealed(path, {**json.loads(path.read_bytes()), "run": "foreign"})
    returned = tickets.run(campaign_file(tmp_path, rounds=0), out=saved)
    with pytest.raises(InputError, match="trust_code"):
        returned.ticket(0, 0, run="foreign").build()
    assert not any(mark.exists() for mark in marks)


@pytest.mark.parametrize("reader", ["status", "compare", "report", "verify"])
@pytest.mark.usefixtures("page_only")
def test_no_command_that_reads_calls_it(reader, saved, loud, command):
    name, marks = loud
    forge(saved, name=name)
    said = command(reader, saved)
    assert "Traceback" not in said.err
    assert not any(mark.exists() for mark in marks)


def test_verify_notes_it_and_says_that_the_id_is_anothers(saved, loud, command):
    name, _ = loud
    assert notes_of(saved) == []
    folder = forge(saved, name=name)
    (problem,) = verify(saved)
    assert "its settings are those of run " in problem.what
    (note,) = notes_of(saved)
    assert note.what == f"names code that is not part of tickets: {name}; it was not called"
    assert (said := command("verify", saved)).code == 1
    assert f"note: {folder / 'run.json'}: {note.what}\n" in said.out
    as_json = command("verify", saved, "--json")
    assert len(json.loads(as_json.out)) == 1
    assert as_json.err == f"note: {folder / 'run.json'}: {note.what}\n"


def test_an_untrusted_build_imports_no_torch_either(saved, loud):
    name, marks = loud
    forge(saved, name=name)
    code = (
        f"import sys, tickets\nticket = tickets.load({str(saved)!r}).ticket(0, 0)\n"
        "try:\n    ticket.build()\nexcept tickets.InputError:\n    print('torch' in sys.modules)\n"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed == "False\n"
    assert not any(mark.exists() for mark in marks)
