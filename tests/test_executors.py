"""Executors of concurrent.futures give the bits of one process; what goes wrong with one is said, and loses nothing."""

from __future__ import annotations

import json
import multiprocessing
import threading
import warnings
from concurrent.futures import CancelledError, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace

import pytest
from played_executors import Instant

import tickets
from tickets.errors import DiskError, ExecutorError, InputError
from tickets.executor_process import Report, train_for
from tickets.executors import engine_for, on_executor
from tickets.listener import Begun, Note, RoundDone, Steps
from tickets.piece import Elsewhere
from tickets.store import run_folders, status, verify

pytestmark = pytest.mark.usefixtures("preloaded")

SMALL = {"replicates": 2, "cohort_size": 1, "rounds": 1, "arms": ["ticket", "reinit"], "rewind": {"step": 5}}
SPAWN = multiprocessing.get_context("spawn")
GO_ON = "committed rounds are kept; the same call with a new executor goes on"


@pytest.fixture(scope="module")
def small(campaign_file, tmp_path_factory, contents):
    """A campaign file of two pieces of work, and as one process trains it: its folder's contents and its events."""
    folder, events = tmp_path_factory.mktemp("small"), []
    file = campaign_file(folder, **SMALL)
    tickets.run(file, out=folder / "out", listener=events.append)
    return file, contents(folder / "out"), events


def of_kind(kind, events):
    return [event for event in events if isinstance(event, kind)]


def rounds_of(events):
    """The rounds in some events, without the time that they took."""
    return sorted(json.dumps(vars(replace(done, seconds=0.0))) for done in of_kind(RoundDone, events))


@pytest.mark.parametrize("pool", [lambda: ProcessPoolExecutor(1, SPAWN), lambda: ThreadPoolExecutor(2), Instant])
def test_an_executor_gives_the_bits_and_the_events_of_one_process(pool, small, contents, tmp_path):
    file, wanted, one = small
    events = []
    with pool() as executor:
        tickets.run(file, out=tmp_path / "out", executor=executor, listener=events.append)
    assert contents(tmp_path / "out") == wanted
    assert verify(tmp_path / "out") == []
    assert rounds_of(events) == rounds_of(one)
    assert of_kind(Begun, events) == of_kind(Begun, one)
    (begun,), steps = of_kind(Begun, events), of_kind(Steps, events)
    assert sum(event.count for event in steps) == begun.steps
    assert len(steps) == 4  # one a round
    said = [note.text for note in of_kind(Note, events)]
    assert any("which it trains one after another" in text for text in said) == isinstance(executor, ThreadPoolExecutor)


FRAGILE = """
import multiprocessing, os, signal, torch
from pathlib import Path

class Killed(torch.nn.Module):
    def __init__(self, flag, signal):
        super().__init__()
        self.layer, self.flag, self.signal = torch.nn.Linear(64, 10), Path(flag), signal
    def forward(self, x):
        if self.training and multiprocessing.parent_process() is not None and self.flag.exists():
            if list(self.flag.parent.glob("out/*/cohort-000/round-000")):
                self.flag.unlink()
                os.kill(os.getpid(), self.signal)
        return self.layer(x.flatten(1))
"""


def test_a_process_that_is_killed_breaks_its_pool_and_the_same_call_goes_on(campaign_file, module, contents, tmp_path):
    model = {"name": f"{module('fragile', FRAGILE)}:Killed", "flag": str(tmp_path / "flag"), "signal": 9}
    file, out = campaign_file(tmp_path, replicates=1, rounds=1, model=model), tmp_path / "out"
    (tmp_path / "flag").touch()
    with ProcessPoolExecutor(1, SPAWN) as executor, pytest.raises(ExecutorError) as raised:
        tickets.run(file, out=out, executor=executor)
    assert str(raised.value).startswith(
        "executor concurrent.futures.process.ProcessPoolExecutor has broken: BrokenProcessPool: "
    )
    assert str(raised.value).endswith(
        f'(a script that starts processes does so below `if __name__ == "__main__":`); {GO_ON}'
    )
    (run,) = run_folders(out)
    assert [path.name for path in run.glob("cohort-000/round-*")] == ["round-000"]
    with pytest.raises(ExecutorError, match=r"takes no work: BrokenProcessPool: "):
        tickets.run(file, out=out, executor=executor)
    tickets.run(file, out=out, executor=Instant())
    tickets.run(file, out=tmp_path / "whole")
    assert contents(out) == contents(tmp_path / "whole")


def fails(work, order):
    raise MemoryError("of the node")


def cancels(work, order):
    raise CancelledError


class CommClosedError(OSError):
    """As Dask has it."""


CommClosedError.__module__ = "distributed.comm.core"


def closed(work, order):
    raise CommClosedError("in <TCP>")


@pytest.mark.parametrize(("stands_in", "why"), [
    (fails, "MemoryError: of the node"),
    (lambda work, order: None, "its future has the result None, not that of the function it was given"),
    (lambda work, order: Report(why=7), "yielded 7 as why "),
    (lambda work, order: Report(stopped=True), "was stopped in its training"),
    (lambda work, order: Report(), "reported this work as trained, but cohort 0, round 0 is not committed"),
])  # fmt: skip
def test_a_result_of_another_form_fails_its_run(stands_in, why, campaign_file, tmp_path):
    file = campaign_file(tmp_path, rounds=0, replicates=1)
    with pytest.raises(RuntimeError) as raised:
        tickets.run(file, out=tmp_path / "out", executor=Instant(stands_in))
    assert why in str(raised.value)
    assert f"{Instant.__qualname__}" in str(raised.value)
    (found,) = status(tmp_path / "out")
    assert found.state == "failed"


class Refuses(Executor):
    def submit(self, function, /, *arguments):
        raise RuntimeError("no new futures after shutdown")


class Other(Executor):
    def submit(self, function, /, *arguments):
        return threading.Event()


@pytest.mark.parametrize(("executor", "kind", "why"), [
    (Refuses(), ExecutorError, f"takes no work: RuntimeError: no new futures after shutdown .*; {GO_ON}"),
    (Other(), InputError, r"its submit returned <threading.Event at .*>; must be an executor of concurrent.futures, "),
    (Instant(cancels), ExecutorError, f"has broken: CancelledError.*; {GO_ON}"),
    (Instant(closed), ExecutorError, f"has broken: CommClosedError: in <TCP> .*; {GO_ON}"),
    (Instant(lambda work, order: Report(error=DiskError("no space left"))), DiskError, "^no space left$"),
])  # fmt: skip
def test_what_stops_every_run_is_raised(executor, kind, why, campaign_file, tmp_path):
    file = campaign_file(tmp_path, **SMALL)
    with pytest.raises(kind, match=why):
        tickets.run(file, out=tmp_path / "out", executor=executor)


def test_what_is_no_executor_is_refused_before_anything_is_written(campaign_file, tmp_path):
    class Client:
        def submit(self): ...
        def get_executor(self): ...

    file, out = campaign_file(tmp_path, rounds=0), tmp_path / "out"
    form = r"must be an executor of concurrent.futures, such as a ProcessPoolExecutor or Dask's client.get_executor\(\)"
    for executor, why in [
        (4, rf"executor = 4: has no method submit; {form}"),
        (ProcessPoolExecutor, rf"executor = ProcessPoolExecutor: is a class; {form}"),
        (Client(), r"executor = <.*: give what its get_executor\(\) returns"),
    ]:
        with pytest.raises(InputError, match=why):
            tickets.run(file, out=out, executor=executor)
    with pytest.raises(InputError, match="executor and workers = 2: the executor has processes of its own"):
        tickets.run(file, out=out, executor=Instant(), workers=2)
    with pytest.raises(InputError, match="executor and engine: give one of them"):
        tickets.run(file, out=out, executor=Instant(), engine=on_executor(Instant()))
    with pytest.raises(InputError, match="in_flight = 0: must be a whole number from 1"):
        on_executor(Instant(), in_flight=0)
    assert not out.exists()


def test_processes_of_a_pool_share_the_machine():
    assert engine_for(ProcessPoolExecutor(3, SPAWN), None, 1)[1] == 3
    assert engine_for(ThreadPoolExecutor(3), None, 1)[1] == 1
    assert engine_for(None, None, 3) == (None, 3)


def test_a_script_that_trains_as_it_is_imported_is_told_how_not_to(campaign_file, monkeypatch, tmp_path):
    monkeypatch.setattr(multiprocessing.current_process(), "_inheriting", True, raising=False)
    with pytest.raises(InputError, match=r"as it is imported; a script .* below `if __name__ == \"__main__\":`$"):
        tickets.run(campaign_file(tmp_path), out=tmp_path / "out", executor=Instant())
    assert not (tmp_path / "out").exists()


def test_a_full_disk_stops_every_run(campaign_file, monkeypatch, tmp_path):
    def full(folder, size=0):
        raise DiskError(f"no space left in {folder.name}")

    monkeypatch.setattr("tickets.work.check_writable", full)
    with pytest.raises(DiskError, match="no space left in cohort-000"):
        tickets.run(campaign_file(tmp_path, **SMALL), out=tmp_path / "out", executor=Instant())


def test_processes_that_are_forks_are_refused(campaign_file, tmp_path):
    file = campaign_file(tmp_path, rounds=0, replicates=1)
    with warnings.catch_warnings(), ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as executor:
        warnings.simplefilter("ignore", DeprecationWarning)  # of Python 3.12, for forks of a process with threads
        with pytest.raises(InputError, match=r"forks of this one.*ProcessPoolExecutor\(4, multiprocessing.get_context"):
            tickets.run(file, out=tmp_path / "out", executor=executor)


def test_no_more_pieces_are_in_flight_than_asked_for(campaign_file, tmp_path):
    class Counts(Executor):
        most, now = 0, 0

        def submit(self, function, /, *arguments):
            self.now += 1
            self.most = max(self.most, self.now)
            future = Future()

            def land():
                self.now -= 1
                future.set_result(function(*arguments))

            threading.Timer(0.05, land).start()
            return future

    file, executor = campaign_file(tmp_path, **SMALL | {"rounds": 0, "replicates": 5}), Counts()
    tickets.run(file, out=tmp_path / "out", engine=on_executor(executor, in_flight=2))
    assert executor.most == 2


def test_no_two_calls_are_equal_and_each_pickles(campaign_file, tmp_path):
    file, executor = campaign_file(tmp_path, **SMALL | {"rounds": 0}), Instant()
    tickets.run(file, out=tmp_path / "out", executor=executor)
    orders = [order for _, order in executor.calls]
    assert len(set(orders)) == 2
    assert {order.stop for order in orders} == {orders[0].stop}
    assert multiprocessing.reduction.ForkingPickler.loads(
        bytes(multiprocessing.reduction.ForkingPickler.dumps(orders))
    ) == orders  # fmt: skip


def test_a_cohort_that_another_process_has_is_come_back_to(campaign_file, watcher, contents, small, tmp_path):
    file, wanted, _ = small
    given = []

    def at_first_elsewhere(work, order):
        given.append(work.name)
        if given.count(work.name) == 1 and work.cohort.index == 0:
            return Report(why=Elsewhere("process 7 on b is training it"))
        return train_for(work, order)

    listener = watcher()
    tickets.run(file, out=tmp_path / "out", executor=Instant(at_first_elsewhere), listener=listener)
    assert [name[-3:] for name in given] == ["000", "001", "000"]
    assert any("process 7 on b is training it; comes back to it later" in text for text in listener.said)
    assert contents(tmp_path / "out") == wanted
