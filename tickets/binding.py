"""A function named in a campaign file, and the options written beside its name, made into one call."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tickets.catalogue import Entry, resolve
from tickets.errors import InputError, nearest


def named_function(kind: str, name: str, table: Mapping[str, Entry]) -> Callable[..., Any]:
    """The function that `name` stands for: an entry of `table`, or any "module:function".

    `kind` ("model", "data") is the word that an error begins with. Raises InputError for an unknown name.
    """
    if name in table:
        return resolve(table[name].target)
    if ":" in name:
        return resolve(name)
    allowed = f'{", ".join(table)}, or "module:function"'
    raise InputError(f"{kind} = {name!r}: unknown{nearest(name, table)} (allowed: {allowed})")


def bound(
    function: Callable[..., Any], kind: str, name: str, options: Mapping[str, Any], given: Mapping[str, Any]
) -> Callable[[], Any]:
    """`function` with `options` as keyword arguments, and with those of `given` for which it has a parameter.

    `given` holds what the program itself knows (the shape of an input, the data folder); a function need
    not take it. A given None leaves a parameter's own default standing. Raises InputError, with every
    problem, for an option that the function does not have, one that it needs and lacks, and one that only
    the program may give.
    """
    parameters = _parameters(function)
    if parameters is None:
        return _Call(function, options, {})
    named = _named(parameters)
    _check(parameters, kind, name, options, given)
    passed = {
        key: value
        for key, value in given.items()
        if key in named and (value is not None or named[key].default is inspect.Parameter.empty)
    }
    return _Call(function, options, passed)


def with_options(
    function: Callable[..., Any], kind: str, name: str, options: Mapping[str, Any], *, positional: int
) -> Callable[..., Any]:
    """`function` with `options` as keyword arguments, to be called with its first parameters.

    Parameters
    ----------
    function
        Any function.
    kind, name
        What it is and what it is called, for errors.
    options
        Keyword arguments.
    positional
        How many parameters the program itself passes, by position; they are no options.

    Raises
    ------
    InputError
        With every option that the function does not have, and every one that it needs and that is not given.
    """
    parameters = _parameters(function)
    if parameters is not None:
        given = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)][:positional]
        _check(parameters, kind, name, options, given)
    return _Call(function, options, {}) if options else function


def _named(parameters: Sequence[inspect.Parameter]) -> dict[str, inspect.Parameter]:
    return {p.name: p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}


def _check(
    parameters: Sequence[inspect.Parameter],
    kind: str,
    name: str,
    options: Mapping[str, Any],
    given: Collection[str],
) -> None:
    """Raise InputError for options that a function with these parameters does not have, or lacks."""
    named = _named(parameters)
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters)
    allowed = [key for key in named if key not in given]
    listed = f"(allowed: {', '.join(allowed)})" if allowed else "(it has no options)"

    problems = []
    for key, value in options.items():
        if key in given:
            problems.append(f"{kind}.{key} = {value!r}: {name!r} gets {key!r} from the program; leave it out")
        elif key not in named and not takes_any:
            problems.append(f"{kind}.{key} = {value!r}: {name!r} has no such option{nearest(key, allowed)} {listed}")
    for key in allowed:
        if named[key].default is inspect.Parameter.empty and key not in options:
            problems.append(f"{kind}.{key}: {name!r} needs this option and it is not given {listed}")
    if problems:
        raise InputError(problems)


@dataclass(frozen=True)
class _Call:
    """A function with its arguments. Each call gets its own options: a function may write to a list among them."""

    function: Callable[..., Any]
    options: Mapping[str, Any]
    given: Mapping[str, Any]

    def __call__(self, *arguments: Any) -> Any:
        return self.function(*arguments, **copy.deepcopy(dict(self.options)), **self.given)


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter] | None:
    """The parameters, or None for the few builtins that do not tell them."""
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return None
