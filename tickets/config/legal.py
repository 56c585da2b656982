"""The kinds of value that a campaign file can hold, each with the sentence that says what is legal.

A kind is a pydantic annotation. Its sentence is written here once and is what the user reads when a value
is not legal; pydantic's own sentences name Python's types and are translated in checking.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ConfigDict
from pydantic_core import PydanticCustomError

from tickets.errors import nearest

STRICT = ConfigDict(extra="forbid", strict=True, frozen=True)  # what every table is

ILLEGAL = "illegal"  # the error type of a value of the right kind that is not allowed
UNKNOWN = "unknown"  # the error type of a name that nothing has


def kind_of(value: object) -> str:
    """What a value is, in a campaign file's words: "a string", "a whole number", "a table"."""
    if isinstance(value, bool):
        return "true or false"
    kinds: tuple[tuple[type | tuple[type, ...], str], ...] = (
        (int, "a whole number"),
        (float, "a decimal number"),
        (str, "a string"),
        ((list, tuple), "a list"),
        (Mapping, "a table"),
    )
    return next((words for kind, words in kinds if isinstance(value, kind)), f"a {type(value).__name__}")


def legal(sentence: str, test: Callable[[Any], bool]) -> AfterValidator:
    """Refuses, with `sentence`, a value that fails `test`."""

    def check(value: Any) -> Any:
        if not test(value):
            raise PydanticCustomError(ILLEGAL, "{sentence}", {"sentence": sentence})
        return value

    return AfterValidator(check)


def one_of(noun: str, names: Iterable[str], functions: bool = False) -> BeforeValidator:
    """Refuses a string that is not among `names`; `functions` also allows "module:function"."""
    allowed = sorted(names)

    def check(value: Any) -> Any:
        if not isinstance(value, str):
            raise PydanticCustomError(
                ILLEGAL,
                "{sentence}",
                {"sentence": f"must be a string, not {kind_of(value)} ({listed(allowed, functions)})"},
            )
        if value not in allowed and not (functions and is_target(value)):
            raise PydanticCustomError(
                UNKNOWN, "{sentence}", {"sentence": unknown_name(noun, value, allowed, functions)}
            )
        return value

    return BeforeValidator(check)


def unknown_name(noun: str, name: str, allowed: Iterable[str], functions: bool = False) -> str:
    """The sentence for a name that nothing has."""
    names = sorted(allowed)
    if functions and ":" in name:
        return f"not of the form module:function ({listed(names, functions)})"
    return f"unknown {noun}{nearest(name, names)} ({listed(names, functions)})"


def listed(names: Iterable[str], functions: bool = False) -> str:
    """The end of a sentence that lists what is allowed."""
    return "allowed: " + ", ".join([*sorted(names), *(["or module:function"] if functions else [])])


def is_target(name: str) -> bool:
    """Whether a name has the form "module:function", dots allowed in the module's name."""
    module, _, function = name.partition(":")
    return function.isidentifier() and all(part.isidentifier() for part in module.split("."))


def as_table(value: Any) -> Any:
    """A plain string is short for a table that has only a name; anything else is left as it is."""
    return {"name": value} if isinstance(value, str) else value


ARM_KEYS = ("mask", "values", "name", "label", "draws", "role", "pruned", "given")


def as_arm(value: Any) -> Any:
    """As `as_table`; the keys of an arm with rules of its own that are no key of arms are put under `given`."""
    table = as_table(value)
    if not isinstance(table, Mapping) or not (table.get("mask") or table.get("values")):
        return table
    own = {key: part for key, part in table.items() if key not in ARM_KEYS}
    declared = {key: part for key, part in table.items() if key in ARM_KEYS}
    return {**declared, "given": {**dict(table.get("given", ())), **own}}


def as_pairs(value: Any) -> Any:
    """A table as pairs of keys and values, which can be a key; anything else is left as it is."""
    return tuple(value.items()) if isinstance(value, Mapping) else value


def is_option(value: object) -> bool:
    """Whether a value can be an option of a user's function: what both TOML and JSON can say."""
    if isinstance(value, list):
        return all(is_option(part) for part in value)
    if isinstance(value, dict):
        return all(isinstance(key, str) and is_option(part) for key, part in value.items())
    return isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value))


# Adding 0.0 turns -0.0 into 0.0, so that equal settings have equal JSON and so the same run id.
Number = Annotated[float, legal("must be a finite number", math.isfinite), AfterValidator(lambda number: number + 0.0)]
Positive = Annotated[Number, legal("must be greater than 0", lambda number: number > 0)]
NotNegative = Annotated[Number, legal("must be at least 0", lambda number: number >= 0)]
Fraction = Annotated[Number, legal("must be between 0 and 1", lambda number: 0 <= number <= 1)]
PositiveFraction = Annotated[Number, legal("must be greater than 0 and at most 1", lambda number: 0 < number <= 1)]
FractionBelowOne = Annotated[Number, legal("must be at least 0 and less than 1", lambda number: 0 <= number < 1)]

Count = Annotated[int, legal("must be at least 0", lambda number: number >= 0)]
CountFromOne = Annotated[int, legal("must be at least 1", lambda number: number >= 1)]
Seed = Annotated[int, legal("must be at least 0 and less than 2**63", lambda number: 0 <= number < 2**63)]
Zero = Annotated[
    int, legal("must be 0: start = 0 gives the full schedule; no other start is offered", lambda n: n == 0)
]

Target = Annotated[str, legal("must have the form module:function", is_target)]
Option = Annotated[
    Any,
    legal(
        "must be a string, a number, true or false, or a list or table of these (no dates, no nan or inf)",
        is_option,
    ),
]

NAME_LENGTH = 100  # leaves room in a folder's name (255 bytes on the usual file systems) for what tools add


def _is_slug(name: str) -> bool:
    # A leading dot would hide the folder, or leave it ("..") altogether.
    letters = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
    return 0 < len(name) <= NAME_LENGTH and set(name) <= letters and name[0] not in ".-"


Slug = Annotated[
    str,
    legal(
        f"must be 1 to {NAME_LENGTH} of the letters a-z and A-Z, digits, '.', '_' and '-', "
        "and not begin with '.' or '-' (it names a folder)",
        _is_slug,
    ),
]


def _is_label(name: str) -> bool:
    return _is_slug(name) and "." not in name


# No dots: what follows one in a key is the draw (`reinit.draw1`).
Label = Annotated[
    str,
    legal(
        f"must be 1 to {NAME_LENGTH} of the letters a-z and A-Z, digits, '_' and '-', and not begin with '-' "
        "(it names an arm in tables and files)",
        _is_label,
    ),
]
