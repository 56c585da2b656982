"""Counts with their nouns."""

from __future__ import annotations


def counted(count: int, noun: str) -> str:
    """A count and its noun, which takes an "s" unless the count is 1: `1 run`, `2 runs`, `1,000 runs`."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")
