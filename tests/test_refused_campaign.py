"""A campaign whose disk refuses: the runs that can be written go on, a full disk stops it early, nothing is lost."""

from __future__ import annotations

import errno
import os
import pickle
from types import SimpleNamespace

import pytest
from stepped import Fault, stepped

from tickets.campaign import run_campaign
from tickets.errors import DiskError, InputError
from tickets.listener import Note
from tickets.store import read_events, run_folders, status, sweep_temporary, verify
from tickets.tries import LAST_BITS, TRIES, say_again
from tickets.worker_process import Death
from tickets.workers import _after_death, _failed

RATES = [0.1, 0.01, 0.001]


@pytest.fixture(scope="module")
def file(campaign_file, tmp_path_factory):
    return campaign_file(
        tmp_path_factory.mktemp("refused"),
        rounds=1,
        replicates=1,
        arms=["ticket"],
        train={"steps": 4, "evaluate_every": 4},
        sweep={"train.learning_rate": RATES},
    )


@pytest.fixture(scope="module")
def whole(file, contents):
    """The campaign where nothing is refused: its runs, and the contents of its folder."""
    runs = run(file, file.parent / "whole").runs
    return SimpleNamespace(runs=runs, contents=contents(file.parent / "whole"))


def run(file, out, listener=lambda event: None):
    return run_campaign(file, out=out, data=None, settings=(), device="cpu", workers=1, listener=listener)


def refused_below(part, number):
    """A hook that refuses to create or change anything below a folder whose path contains `part`."""

    def hook(name, arguments, call):
        changes = name in ("mkdir", "rename", "replace") or (name == "open" and arguments[1] & os.O_CREAT)
        if changes and part in str(arguments[0]):
            raise OSError(number, os.strerror(number), str(arguments[0]))
        return call()

    return hook


def events(out):
    return [event["event"] for folder in run_folders(out) for event in read_events(folder / "log.jsonl")]


@pytest.mark.parametrize("where", ["", "/cohort-000"])
def test_a_run_that_cannot_be_written_fails_and_the_others_go_on(where, file, whole, contents, tmp_path):
    out = tmp_path / "out"
    broken = whole.runs[1]
    with stepped(out, refused_below(broken + where, errno.EACCES)):
        outcome = run(file, out)
    assert list(outcome.failed) == [broken]
    assert outcome.failed[broken].startswith("permission denied in ")
    assert "make it writable and run the same command to go on" in outcome.failed[broken]
    by_state = {one.run: one.state for one in status(out)}
    assert [by_state[name] for name in whole.runs] == ["done", "failed" if where else "waiting", "done"]
    assert verify(out) == []
    assert run(file, out).failed == {}
    assert contents(out) == whole.contents


def test_a_full_disk_stops_the_campaign_before_more_is_trained_for_nothing(file, whole, contents, tmp_path, command):
    out, full = tmp_path / "out", []

    def hook(name, arguments, call):
        # Small files still find room: run.json, the log, the trial before each piece of work.
        path = os.readlink(f"/proc/self/fd/{arguments[0]}") if name == "write" else ""
        if name == "write" and len(arguments[1]) > 4096 and "run.json" not in path:
            full.append(name)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return call()

    with stepped(out, hook):
        said = command("run", file, "--out", out)
    assert said.code == 1
    (line,) = said.err.splitlines()
    assert line.startswith("error: no space left in ")
    assert events(out).count("started") == 1
    assert events(out).count("failed") == 1
    assert "round" not in events(out)
    assert command("run", file, "--out", out).code == 0
    assert contents(out) == whole.contents


def test_a_campaign_that_is_moved_while_it_runs_leaves_no_stub(file, whole, contents, watcher, tmp_path):
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"

    class Mover(watcher):
        def round_done(self, done):
            super().round_done(done)
            out.rename(elsewhere)

    mover = Mover()
    with pytest.raises(DiskError, match=r"was moved, removed or replaced|cannot be written \(No such file"):
        run(file, out, mover)
    assert len(mover.rounds) == 1
    assert not out.exists()
    elsewhere.rename(out)
    run(file, out)
    assert contents(out) == whole.contents


@pytest.mark.parametrize("n", [3, 25, 50, 75, 100])
def test_a_refusal_at_a_step_of_a_campaign(n, file, whole, contents, tmp_path, command):
    out = tmp_path / "out"
    fault = Fault(n, errno.EIO)
    with stepped(out, fault):
        said = command("run", file, "--out", out)
    assert fault.failed is not None
    assert said.code in (0, 1)
    assert "Traceback" not in said.err
    if run_folders(out):
        assert verify(out) == []
    assert command("run", file, "--out", out).code == 0
    assert contents(out) == whole.contents


def test_a_left_over_that_cannot_be_removed_is_a_note(tmp_path, file, monkeypatch):
    out, notes = tmp_path / "out", []
    out.mkdir()
    left_over = out / f".tmp-campaign.toml-{'a' * 32}"
    left_over.mkdir()

    def rmtree(path, *arguments, **options):
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), str(path))

    with monkeypatch.context() as patch:
        patch.setattr("shutil.rmtree", rmtree)
        run(file, out, lambda event: notes.append(event.text) if isinstance(event, Note) else None)
    (there,) = out.glob(".tmp-*")
    said = f"{there}: left by an interrupted process, cannot be removed (Operation not permitted); it does no harm"
    assert said in notes
    assert sweep_temporary(out, lambda: None) == [there]


def test_what_a_worker_meets_keeps_its_kind(tmp_path):
    error = pickle.loads(pickle.dumps(DiskError("no space left", needed=5)))
    assert (type(error), error.problems, error.needed) == (DiskError, ("no space left",), 5)
    assert isinstance(error, InputError)


def test_a_worker_died_and_what_is_saved_of_its_run_cannot_be_read(tmp_path, monkeypatch):
    def refuse(*given):
        raise DiskError("cannot read this folder (Input/output error)")

    monkeypatch.setattr("tickets.workers.next_try", refuse)
    work = SimpleNamespace(folder=tmp_path, cohort=SimpleNamespace(index=0), failures=())
    why = _after_death(SimpleNamespace(work=work, ready=True, networks=None), Death("killed", (), False, -9), print)
    assert why == "killed; cannot read this folder (Input/output error)"
    assert [event["why"] for event in read_events(tmp_path / "log.jsonl")] == [why]


def test_a_log_that_cannot_be_written_hides_no_reason_and_stops_no_other_run(tmp_path):
    (tmp_path / "log.jsonl").mkdir()
    work = SimpleNamespace(
        folder=tmp_path,
        name="run/cohort-000",
        cohort=SimpleNamespace(index=0),
        failures=("killed",),
        networks_at_most=2,
    )
    said = []
    say_again(work, "killed", said.append)
    assert [note.text for note in said] == [
        f"run/cohort-000: killed; try 2 of {TRIES} begins, with 2 networks at once; {LAST_BITS}"
    ]
    assert _failed(work, "killed, in each of 3 tries", Death("killed", ("last",), False, -9)) == (
        "killed, in each of 3 tries"
    )
