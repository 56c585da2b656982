"""What `tickets.approximate` tells whoever waits for it."""

from __future__ import annotations


class Listener:
    """A listener that passes over everything; others override what they show."""

    def say(self, text: str) -> None:
        """A line of text."""

    def begin(self, total: int, missing: int) -> None:
        """The search begins: how many subsets there are in all, and how many are missing."""

    def advance(self, count: int) -> None:
        """So many more subsets were found."""
