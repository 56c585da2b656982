"""What a campaign tells whoever is watching while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol


@dataclass(frozen=True)
class RoundDone:
    """A round that is committed.

    accuracy: by arm, mean test accuracy (or R2) at early stop, or where the task has neither the mean test loss at the
    last step; NaN where all diverged. measured: which of them, "accuracy", "R2" or "loss".
    """

    run: str
    folder: str
    density: float
    accuracy: Mapping[str, float]
    diverged: int
    seconds: float
    measured: Literal["accuracy", "R2", "loss"] = "accuracy"


class Listener(Protocol):
    """Someone who is told what happens while a campaign runs."""

    def begin(self, runs: int, work: int, done: int) -> None:
        """`runs` runs need `work` more training steps, counted over all networks; `done` rounds are there."""

    def tick(self, steps: int) -> None:
        """So many more training steps were taken."""

    def round_done(self, done: RoundDone) -> None:
        """A round is on disk."""

    def say(self, text: str) -> None:
        """Something worth a line happened."""


class Silence(Listener):
    """Nobody is watching."""

    def begin(self, runs: int, work: int, done: int) -> None:
        """Ignore it."""

    def tick(self, steps: int) -> None:
        """Ignore it."""

    def round_done(self, done: RoundDone) -> None:
        """Ignore it."""

    def say(self, text: str) -> None:
        """Ignore it."""
