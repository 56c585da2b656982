"""The order of the tests' files: those that take longest come first, so that in the end no worker waits for another."""

from __future__ import annotations

from pathlib import Path

import pytest

# Seconds on one core, of those that take ten and more; the order of the others is pytest's.
SECONDS: dict[str, int] = {}


def longest_first(items: list[pytest.Item]) -> None:
    """Sort the tests of a session by their files; within a file they stay as they are."""
    tests = Path(__file__).parent
    items.sort(key=lambda item: -SECONDS.get(item.path.relative_to(tests).as_posix(), 0))
