"""A training that is interrupted: it ends soon, and hands over its state where that saves much."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
import torch
from played_training import KilledError, Memory, assert_same, training

from tickets.stack.calls import Calls
from tickets.stack.progress import Interval, Progress
from tickets.stack.training import Trained


@pytest.fixture(autouse=True)
def interruptible(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Ctrl-C is not ignored, as it is in the background of a shell, and any training is worth saving."""
    monkeypatch.setattr("tickets.stack.progress.WORTHWHILE_S", 0.0)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupted(trained: Callable[..., Trained], progress: Progress, called: str, calls: int) -> None:
    """Train, with Ctrl-C at a call of `tick` or `observe`, which goes on once the lanes have been told to stop."""
    left, waits, stopped = [calls], threading.Event(), threading.Event()
    answer, close = Calls.answer, Calls.close

    def call(*_: object) -> None:
        left[0] -= 1
        if left[0] == -1:
            assert waits.wait(60)  # for the lanes, and no longer starts them
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        if left[0] < 0:
            assert stopped.wait(60)

    def answered(calls: Calls, until: Any) -> None:
        waits.set()
        answer(calls, until)

    def closed(calls: Calls) -> None:
        stopped.set()
        close(calls)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Calls, "answer", answered)
        patch.setattr(Calls, "close", closed)  # once the lanes have been stopped
        with pytest.raises(KeyboardInterrupt):
            trained(progress=progress, **{called: call})


@pytest.mark.parametrize(
    ("strategy", "changes", "called", "calls"),
    [
        ("sparse", {}, "tick", [0, 7]),
        ("layered", {"evaluate_every": 1}, "tick", range(14)),
        ("layered", {"evaluate_every": 1, "evaluate_on": 4}, "observe", [0, 6, 14]),  # as a step is evaluated
        ("looped", {"lanes": 2}, "tick", [5]),
        ("looped", {"networks_at_once": 2}, "tick", [18]),
        ("plain", {"keep_step": 1, "optimizer": "adam"}, "tick", [0, 1]),
    ],
)
def test_it_goes_on_from_where_it_was_interrupted_with_the_same_bits(
    bench: Any,
    strategy: str,
    changes: dict[str, Any],
    called: str,
    calls: Iterable[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tickets.stack.sparse.MOST_STEPS", 4)
    trained, taken = training(bench, strategy, "mlp", (6,), **changes), list[int]()
    wanted = trained(tick=taken.append)
    for call in calls:
        keeper, left = Memory(), list[int]()
        interrupted(trained, Progress(Interval(1000.0), keeper), called, call)
        assert (keeper.writes, keeper.refused) == (1, [])
        progress = Progress(Interval(1000.0), keeper, None, keeper.found())
        assert_same(wanted, trained(progress=progress, tick=left.append))
        assert keeper.rejected == []
        assert sum(left) == sum(taken)


@pytest.mark.parametrize("kind", ["no checkpoints are wanted", "it has only begun"])
def test_what_is_not_worth_saving_is_not_saved(bench: Any, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if kind == "it has only begun":
        monkeypatch.setattr("tickets.stack.progress.WORTHWHILE_S", 1000.0)
    keeper, seconds = Memory(), 2000.0 if kind == "it has only begun" else float("inf")
    interrupted(training(bench, "looped", "mlp", (6,)), Progress(Interval(seconds), keeper), "tick", 5)
    assert keeper.writes == 0


def test_what_has_been_trained_is_saved_if_nothing_is_in_training() -> None:
    """Between two turns, or before the result is taken."""
    progress, both = Progress(Interval(1000.0), keeper := Memory()), (slice(0, 1), slice(1, 2))
    for shard in both:
        progress.begin(shard)
    progress.end(both[0], {"step": 5})
    progress.interrupt()
    assert keeper.writes == 0  # the other one is to write it
    progress.end(both[1], {"step": 5})
    assert set(keeper.found()) == {"0-1", "1-2"}

    progress = Progress(Interval(1000.0), keeper := Memory())
    for shard in both:
        progress.begin(shard)
        progress.end(shard, {"step": 5})
    progress.interrupt()
    assert set(keeper.found()) == {"0-1", "1-2"}


def test_an_error_is_no_interrupt(bench: Any) -> None:
    trained, keeper = training(bench, "looped", "mlp", (6,), lanes=2), Memory()

    def tick(networks: int) -> None:
        raise KilledError

    with pytest.raises(KilledError):
        trained(progress=Progress(Interval(1000.0), keeper), tick=tick)
    assert keeper.writes == 0


@pytest.mark.parametrize("stop", [KeyboardInterrupt, KilledError])
def test_networks_whose_turn_has_not_come_do_not_begin(
    bench: Any, stop: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They would be made, and evaluated, only to be thrown away."""
    began = list[int]()
    real = torch.nn.Module.eval

    def tick(networks: int) -> None:
        monkeypatch.setattr(torch.nn.Module, "eval", lambda self: began.append(1) or real(self))
        raise stop

    with pytest.raises(stop):
        training(bench, "looped", "mlp", (6,), networks_at_once=1)(tick=tick)
    assert began == []
