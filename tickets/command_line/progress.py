"""The output of `tickets run` while it trains: a progress bar on a terminal, otherwise a timestamped line per round."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from tickets.command_line.printing import print_line
from tickets.command_line.terminal import make_console, say
from tickets.listener import Begun, Event, Listener, Note, RoundDone, Steps
from tickets.plurals import counted


class Lines:
    """A listener that prints a timestamped line for each event except training steps; for files and pipes."""

    def __call__(self, event: Event) -> None:
        """Print a line."""
        text = line(event)
        if text is not None:
            print_line(f"{datetime.now().astimezone().isoformat(timespec='seconds')} {text}")
            sys.stdout.flush()


class Live:
    """A listener that shows a progress bar with the time left, and prints a line above it for each other event."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
        from rich.progress import TimeRemainingColumn as TimeLeft

        console = make_console()
        bar = BarColumn(bar_width=max(3, min(40, console.width - 36)))  # the columns beside it take 35 characters
        self._bar = Progress(
            TextColumn("{task.description}"), bar, TaskProgressColumn(), TimeElapsedColumn(),
            TextColumn("left"), TimeLeft(), console=console,
        )  # fmt: skip
        self._task = self._bar.add_task("training", total=None)

    def __call__(self, event: Event) -> None:
        """Advance the bar, or print a line above it."""
        if isinstance(event, Steps):
            self._bar.advance(self._task, event.count)
            return
        if isinstance(event, Begun):
            self._bar.update(self._task, total=event.steps or 1, completed=0 if event.steps else 1)
        text = line(event)
        if text is not None:
            say(self._bar.console, text)

    def __enter__(self) -> Live:
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()


@contextmanager
def make_listener() -> Iterator[Listener]:
    """The listener for standard output: `Live` on a terminal, otherwise `Lines`."""
    if not sys.stdout.isatty():
        yield Lines()
        return
    with Live() as live:
        yield live


def line(event: Event) -> str | None:
    """An event as one line of text.

    Parameters
    ----------
    event
        The event.

    Returns
    -------
    str or None
        None for `Steps`, which is not printed.
    """
    if isinstance(event, Begun):
        return _begun(event)
    if isinstance(event, RoundDone):
        return _round_done(event)
    return event.text if isinstance(event, Note) else None


def _round_done(done: RoundDone) -> str:
    scale, form = (100, ".2f") if done.measured == "accuracy" else (1, ".4f")
    accuracies = "  ".join(f"{arm} {scale * accuracy:{form}}" for arm, accuracy in done.accuracy.items())
    if done.measured != "accuracy":
        accuracies = f"test {done.measured}: {accuracies}"
    lost = f"  ({done.diverged} diverged)" if done.diverged else ""
    return f"{done.run} {done.folder}  density {done.density:.4f}  {accuracies}{lost}  ({done.seconds:.1f} s)"


def _begun(begun: Begun) -> str:
    runs, done = counted(begun.runs, "run"), begun.rounds_done
    waiting = f"{counted(begun.steps, 'training step')} to take" if begun.steps else "nothing is missing"
    there = f", {counted(done, 'round')} {'is' if done == 1 else 'are'} there already" if done else ""
    return f"{runs}, {waiting}{there}"
