"""A rule that relates one key of a campaign file to another, and what is said where it is broken."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Broken(NamedTuple):
    """A broken rule.

    Parameters
    ----------
    key
        The dotted key whose value breaks it.
    sentence
        What is wrong and what is allowed.
    beside
        The other keys of the rule.
    """

    key: str
    sentence: str
    beside: tuple[str, ...] = ()


class Rule(NamedTuple):
    """A rule: `judge`, called with the values of `keys`, returns what is wrong with the last of them, or None."""

    keys: tuple[str, ...]
    judge: Callable[..., str | None]
