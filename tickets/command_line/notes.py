"""What is to be known of saved runs before their numbers are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tickets.store import Saved


def left_over_lines(saved: Saved, runs: Sequence[str]) -> Iterator[str]:
    """What of these runs is saved and no longer in the campaign file, each line with its run."""
    for run in runs:
        yield from (f"{run}: {line}" for line in saved.left_over(run))
