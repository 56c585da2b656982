"""A rule that relates one key of a campaign file to another, and its error."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from tickets.catalogue import ARMS, ArmEntry, arm_entry

Flat = Mapping[str, Any]
"""A table as rules see it: {"train.steps": 1000, "arms[0].draws": 1, ...}, without the keys whose values are illegal.

Rules of arms take the keys of the arms in it, too: "arms[0]", ...
"""


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


def entry_at(values: Flat, at: str) -> ArmEntry | None:
    """The entry of an arm in a flat table; None for an unknown name. at: the arm's key, such as "arms[0]"."""
    name = values.get(f"{at}.name")
    # An arm of the catalogue has the rules of its entry; in a flat table the defaults of the user's stand beside it.
    keys = ("role", "pruned", "train", *(() if name in ARMS else ("mask", "values")))
    return arm_entry({"name": name, **{key: values.get(f"{at}.{key}") for key in keys}})
