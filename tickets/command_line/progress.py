"""What `tickets run` shows while it works: live on a terminal, one timestamped line a round elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from tickets.command_line.terminal import make_console, say
from tickets.listener import Listener, RoundDone


class Lines(Listener):
    """One timestamped line a round, for files and pipes."""

    def begin(self, runs: int, work: int, done: int) -> None:
        """Say what is to do."""
        self.say(f"{counted(runs, 'run')}, {_to_do(work, done)}")

    def tick(self, steps: int) -> None:
        """Say nothing: steps are too many for lines."""

    def round_done(self, done: RoundDone) -> None:
        """Say what a round gave."""
        self.say(describe(done))

    def say(self, text: str) -> None:
        """Print a line with the time."""
        print(f"{datetime.now().astimezone().isoformat(timespec='seconds')} {text}", flush=True)


class Live(Listener):
    """A bar with the time left, and a line above it for each round, on a terminal."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
        from rich.progress import TimeRemainingColumn as TimeLeft

        console = make_console()
        bar = BarColumn(bar_width=max(3, min(40, console.width - 36)))  # what stands beside it takes 35 columns
        self._bar = Progress(
            TextColumn("{task.description}"), bar, TaskProgressColumn(), TimeElapsedColumn(),
            TextColumn("left"), TimeLeft(), console=console,
        )  # fmt: skip
        self._task = self._bar.add_task("training", total=None)

    def begin(self, runs: int, work: int, done: int) -> None:
        """Set the bar's length."""
        self._bar.update(self._task, total=work or 1, completed=0 if work else 1)
        self.say(f"{counted(runs, 'run')}, {_to_do(work, done)}")

    def tick(self, steps: int) -> None:
        """Move the bar."""
        self._bar.advance(self._task, steps)

    def round_done(self, done: RoundDone) -> None:
        """Say what a round gave, above the bar."""
        self.say(describe(done))

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        say(self._bar.console, text)

    def __enter__(self) -> Live:
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()


@contextmanager
def make_listener() -> Iterator[Listener]:
    """The listener that fits where stdout goes."""
    if not sys.stdout.isatty():
        yield Lines()
        return
    with Live() as live:
        yield live


def counted(count: int, noun: str) -> str:
    """`1 run`, `2 runs`."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def describe(done: RoundDone) -> str:
    """A round in one line."""
    scale, form = (100, ".2f") if done.measured == "accuracy" else (1, ".4f")
    accuracies = "  ".join(f"{arm} {scale * accuracy:{form}}" for arm, accuracy in done.accuracy.items())
    if done.measured != "accuracy":
        accuracies = f"test {done.measured}: {accuracies}"
    lost = f"  ({done.diverged} diverged)" if done.diverged else ""
    return f"{done.run} {done.folder}  density {done.density:.4f}  {accuracies}{lost}  ({done.seconds:.1f} s)"


def _to_do(work: int, done: int) -> str:
    waiting = f"{counted(work, 'training step')} to take" if work else "nothing is missing"
    there = f", {counted(done, 'round')} {'is' if done == 1 else 'are'} there already" if done else ""
    return waiting + there
