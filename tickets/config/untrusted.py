"""Check the form of a campaign's table before its keys are checked: its size, its nesting, its numbers and strings.

Everything after this may walk the table recursively, print its values, and write them as TOML and JSON.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tickets.config.bounds import DEPTH, DIGITS, LENGTHS, VALUES
from tickets.config.messages import Place, Problem, dotted

_BITS = 1023  # of a whole number: more than any key takes, and few enough that a float holds it


def form_problems(table: Mapping[Any, Any]) -> Iterator[Problem]:
    """What keeps a table from being the content of a campaign file of bounded size; nothing for honest campaigns.

    Parameters
    ----------
    table
        The table: dicts, lists and values. Other objects, such as sections made in Python, are not looked into.
    """
    waiting: list[tuple[Place, Any]] = [((), table)]
    count = 0
    while waiting:
        place, value = waiting.pop()
        at = dotted(place) or "the campaign"
        if isinstance(value, Mapping):
            parts: list[tuple[Any, Any]] = list(value.items())
            wrong = [key for key, _ in parts if not isinstance(key, str) or _wrong_value(key)]
            if wrong:
                yield Problem(at, "", f"has the key {ascii(wrong[0])[:60]}; keys must be strings of Unicode text")
                continue
        elif isinstance(value, list | tuple):
            parts = list(enumerate(value))
        else:
            sentence = _wrong_value(value)
            if sentence is not None:
                yield Problem(at, "", sentence)
            continue
        count += len(parts)
        if count > VALUES:
            yield Problem("the campaign", "", f"has more than {VALUES:,} values (numbers, strings, ...) in all")
            return
        most = LENGTHS.get(_without_indices(place), VALUES)
        if len(parts) > most and not isinstance(value, Mapping):
            yield Problem(at, "", f"has {len(parts):,} elements; must be at most {most:,}")
        elif len(place) > DEPTH:
            yield Problem(dotted(place[:3]), "", f"its lists or tables are nested too deep: at most {DEPTH} levels")
            return
        else:
            waiting += [((*place, key), part) for key, part in reversed(parts)]


def _without_indices(place: Place) -> str:
    return ".".join(part for part in place if isinstance(part, str))


def _wrong_value(value: object) -> str | None:
    if isinstance(value, int) and value.bit_length() > _BITS:
        return f"must be a number of fewer digits (at most {DIGITS:,} of them are read, and no key takes as many)"
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return f"must be Unicode text, and {value[:60]!a} has half a character in it (or bytes that are no UTF-8)"
    return None
