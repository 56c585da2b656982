"""The types of the values in a campaign file, each with the sentence that says which values are allowed.

A type is a pydantic annotation. A campaign file's own keys have such types in schema.py; the options of a model, a data
set, a score, an arm or a probe have them in the signature of its function. The sentence is written here once: it is
the error message for a value that is not allowed, and `tickets list` prints it. pydantic's own messages name Python's
types; messages.py translates them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import NoneType
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from tickets.config import bounds
from tickets.errors import nearest

STRICT = ConfigDict(extra="forbid", strict=True, frozen=True)  # the configuration of every table
LIST = Field(strict=False)  # accepts TOML's lists as tuples; their elements stay strict

ILLEGAL = "illegal"  # the error type of a value of the right type that is not allowed
UNKNOWN = "unknown"  # the error type of an unknown name

_FINITE = "must be a finite number"  # every number is
_MOST = f"must be at most {bounds.COUNT:,}"  # every count is
_UNSAID = (_FINITE, _MOST)


@dataclass(frozen=True)
class Legal:
    """Raises an error with `sentence` for a value that fails `test`; `short` replaces the type's description."""

    sentence: str
    test: Callable[[Any], bool]
    short: str = ""

    def __call__(self, value: Any) -> Any:
        """The value itself."""
        if not self.test(value):
            raise PydanticCustomError(ILLEGAL, "{sentence}", {"sentence": self.sentence})
        return value


@dataclass(frozen=True)
class OneOf:
    """Raises an error for a string that is not among `names`.

    Parameters
    ----------
    noun
        What the names are names of.
    names
        The names that are allowed.
    functions
        Whether "module:function" is allowed too.
    also
        What else is allowed, in words.
    meant
        {another name: what to write instead}, for names of other things that may be taken for these.
    """

    noun: str
    names: tuple[str, ...]
    functions: bool = False
    also: str = ""
    meant: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def described(self) -> str:
        """The names, quoted, in their order."""
        *names, last = (f'"{name}"' for name in self.names)
        return f"{', '.join(names)} or {last}" if names else last

    def __call__(self, value: Any) -> Any:
        """The value itself."""
        if isinstance(value, str) and (value in self.names or (self.functions and is_target(value))):
            return value
        allowed = listed(self.names, self.functions, self.also)
        if not isinstance(value, str):
            sentence = f"must be a string, not {kind_of(value)} ({allowed})"
            raise PydanticCustomError(ILLEGAL, "{sentence}", {"sentence": sentence})
        if self.functions and ":" in value:
            sentence = f"not of the form module:function ({allowed})"
        else:
            hint = self.meant.get(value) or nearest(value, self.names)
            sentence = f"unknown {self.noun}{hint} ({allowed})"
        raise PydanticCustomError(UNKNOWN, "{sentence}", {"sentence": sentence})


def legal(sentence: str, test: Callable[[Any], bool], short: str = "") -> AfterValidator:
    """A validator that raises an error with `sentence` for a value that fails `test`."""
    return AfterValidator(Legal(sentence, test, short))


def one_of(noun: str, names: Iterable[str], functions: bool = False, also: str = "") -> BeforeValidator:
    """A validator that raises an error for a string that is not among `names`; see `OneOf`."""
    return BeforeValidator(OneOf(noun, tuple(names), functions, also))


def listed(names: Iterable[str], functions: bool = False, also: str = "") -> str:
    """The end of an error message: "allowed: ..." and the names, sorted."""
    more = [*(["or module:function"] if functions else []), *([also] if also else [])]
    return "allowed: " + ", ".join([*sorted(names), *more])


def kind_of(value: object) -> str:
    """The type of a value in a campaign file, in words: "a string", "a whole number", "a table"."""
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


def described(annotation: Any) -> str:
    """The values that a type allows, in words: "a finite number, greater than 0"."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        checks = [getattr(mark, "func", None) for mark in arguments[1:]]
        for check in checks:
            if isinstance(check, OneOf):
                return check.described
        rules = [check for check in checks if isinstance(check, Legal)]
        if any(rule.short for rule in rules):
            return next(rule.short for rule in rules if rule.short)
        sentences = [rule.sentence.removeprefix("must be ") for rule in rules if rule.sentence not in _UNSAID]
        return ", ".join([described(arguments[0]), *sentences])
    if origin is tuple:
        word, comma, rule = described(arguments[0]).partition(", ")
        return f"a list of {word.removeprefix('a ')}s{comma and ', each '}{rule}"
    if arguments and NoneType in arguments:
        return described(next(part for part in arguments if part is not NoneType))
    words_of = {int: "a whole number", float: "a number", str: "a string", bool: "true or false"}
    return words_of.get(annotation, str(annotation))


def is_target(name: str) -> bool:
    """Whether a name has the form "module:function"; the module's name may have dots."""
    module, _, function = name.partition(":")
    return function.isidentifier() and all(part.isidentifier() for part in module.split("."))


def is_path(name: object) -> bool:
    """Whether the system can take a value as a path: text without the character NUL."""
    return isinstance(name, str) and bool(name) and "\0" not in name


def as_table(value: Any) -> Any:
    """A table with only a name for a plain string, which is short for it; any other value unchanged."""
    return {"name": value} if isinstance(value, str) else value


def is_option(value: object) -> bool:
    """Whether a value can be an option of a user's function: both TOML and JSON can express it."""
    if isinstance(value, list):
        return all(is_option(part) for part in value)
    if isinstance(value, dict):
        return all(isinstance(key, str) and is_option(part) for key, part in value.items())
    return isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value))


def _has_64_bits(value: object) -> bool:
    """Whether every whole number in an option is one of TOML and of every tensor and column."""
    if isinstance(value, list | dict):
        return all(map(_has_64_bits, value.values() if isinstance(value, dict) else value))
    return not isinstance(value, int) or -(2**63) <= value < 2**63


_Any = TypeVar("_Any")

ADDED_LATER = "added later"
# A key or an option that did not exist from the beginning. At its default it is left out of the configuration, so that
# run ids and saved configurations from before it are unchanged. Every other key is always written: a run id without it
# would not change with the default.
AddedLater = Annotated[_Any, ADDED_LATER]

# Adding 0.0 turns -0.0 into 0.0, so that equal settings have equal JSON and the same run id.
Number = Annotated[float, legal(_FINITE, math.isfinite), AfterValidator(lambda number: number + 0.0)]
Positive = Annotated[Number, legal("must be greater than 0", lambda number: number > 0)]
NotNegative = Annotated[Number, legal("must be at least 0", lambda number: number >= 0)]
Fraction = Annotated[Number, legal("must be between 0 and 1", lambda number: 0 <= number <= 1)]
FractionBelowOne = Annotated[Number, legal("must be at least 0 and less than 1", lambda number: 0 <= number < 1)]
PositiveFraction = Annotated[Number, legal("must be greater than 0 and at most 1", lambda number: 0 < number <= 1)]


def at_most(most: int) -> AfterValidator:
    """A validator that raises an error for a number above `most`."""
    return legal(f"must be at most {most:,}", lambda number: number <= most)


FROM_ZERO = legal("must be at least 0", lambda number: number >= 0)
FROM_ONE = legal("must be at least 1", lambda number: number >= 1)

Count = Annotated[int, FROM_ZERO, at_most(bounds.COUNT)]
CountFromOne = Annotated[int, FROM_ONE, at_most(bounds.COUNT)]
CountsFromOne = Annotated[tuple[CountFromOne, ...], LIST]
PointsOfALine = Annotated[
    int,
    legal("must be at least 3: both ends and what is between", lambda number: number >= 3),
    at_most(bounds.POINTS),
]
Widths = Annotated[tuple[Annotated[int, FROM_ONE, at_most(bounds.WIDTH)], ...], LIST]
MadeExamples = Annotated[int, FROM_ONE, at_most(bounds.MADE_EXAMPLES)]
Seed = Annotated[int, legal("must be at least 0 and less than 2**63", lambda number: 0 <= number < 2**63)]
Zero = Annotated[
    int, legal("must be 0: start = 0 gives the full schedule; no other start is offered", lambda n: n == 0, short="0")
]

ScopeName = Literal["layer", "global"]
Scope = Annotated[ScopeName, one_of("scope", get_args(ScopeName))]

EndName = Literal["theta0", "trained"]  # the values before any training, or after the round's
End = Annotated[EndName, one_of("choice", get_args(EndName))]


def _as_score(value: Any) -> Any:
    # The table of prune.score needs the types of this module.
    from tickets.config.tables import ScoreConfig

    return ScoreConfig.model_validate(value).model_dump(mode="json", exclude_none=True)


# The score of an arm: as prune.score, with every option.
ScoreOption = Annotated[
    Any,
    BeforeValidator(_as_score),
    legal("must be a score", lambda value: True, short="a score's name, or a table with its name and options"),
]

BiasesName = Literal["zeros", "model"]
Biases = Annotated[BiasesName, one_of("choice", get_args(BiasesName))]
StartBiasesName = Literal["zeros", "model", "scaled"]
StartBiases = Annotated[StartBiasesName, one_of("choice", get_args(StartBiasesName))]  # of model.init

BaseName = Literal["kaiming_normal", "kaiming_uniform", "glorot_normal", "glorot_uniform", "pytorch"]
Base = Annotated[BaseName, one_of("init", get_args(BaseName))]
PlantedName = Literal["circle", "relu", "helix"]
PlantedTarget = Annotated[PlantedName, one_of("planted network", get_args(PlantedName))]

SupermaskWeightsName = Literal["initial", "signed_constant"]
SupermaskWeights = Annotated[SupermaskWeightsName, one_of("choice", get_args(SupermaskWeightsName))]
EdgePopupWeightsName = Literal["normal", "signed_constant"]
EdgePopupWeights = Annotated[EdgePopupWeightsName, one_of("choice", get_args(EdgePopupWeightsName))]

Target = Annotated[str, legal("must have the form module:function", is_target, short='"module:function"')]
Option = Annotated[
    Any,
    legal(
        "must be a string, a number, true or false, or a list or table of these (no dates, no nan or inf)",
        is_option,
    ),
    legal("must be a whole number of at most 64 bits", _has_64_bits),
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
        "and must not begin with '.' or '-' (it names a folder)",
        _is_slug,
    ),
]


def _is_label(name: str) -> bool:
    return _is_slug(name) and "." not in name


# No dots: in the keys of a file, a dot and the draw follow the label (`reinit.draw1`).
Label = Annotated[
    str,
    legal(
        f"must be 1 to {NAME_LENGTH} of the letters a-z and A-Z, digits, '_' and '-', and must not begin with '-' "
        "(it names an arm in tables and files)",
        _is_label,
    ),
]
