"""Every place in a table of JSON or TOML values, and the table with another value there."""

from __future__ import annotations

from typing import Any

Place = tuple[Any, ...]


def places(value: Any, at: Place = ()) -> list[Place]:
    """Every place in a table: of itself, its tables, its lists and their values."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(place for key, part in parts for place in places(part, (*at, key)))]


def changed(value: Any, place: Place, new: Any) -> Any:
    """A copy of the table with another value at a place."""
    if not place:
        return new
    key, *rest = place
    if isinstance(value, dict):
        return {**value, key: changed(value[key], tuple(rest), new)}
    return [*value[:key], changed(value[key], tuple(rest), new), *value[key + 1 :]]


def without(value: Any, place: Place) -> Any:
    """A copy of the table without what is at a place."""
    *before, last = place
    holder = value_at(value, tuple(before))
    if isinstance(holder, dict):
        return changed(value, tuple(before), {key: part for key, part in holder.items() if key != last})
    return changed(value, tuple(before), [part for index, part in enumerate(holder) if index != last])


def value_at(value: Any, place: Place) -> Any:
    """What is at a place."""
    for key in place:
        value = value[key]
    return value
