"""Functions that a campaign file names: import them, and bind the options that the file gives them."""

from __future__ import annotations

import copy
import importlib
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from tickets.catalogue import Entry
from tickets.errors import InputError, UserCodeError, nearest
from tickets.importing import file_of, import_fix, refuse_another
from tickets.users_code import not_python, one_line


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
    """A function with its options, and with what the program itself knows, as keyword arguments.

    Parameters
    ----------
    function
        The function to be called, such as one that makes a network.
    kind
        The key of its table in a campaign file, for errors: "model", "data".
    name
        The name of the function in the campaign file, for errors.
    options
        Keyword arguments from the campaign file. Each call gets copies of its own.
    given
        Keyword arguments from the program, such as the shape of an input; those for which the function has no
        parameter are left out, and so is None for a parameter with a default value.

    Raises
    ------
    InputError
        With every problem: an option that the function does not have, one that it needs and that is missing, and one
        that only the program may give.
    """
    signature = _signature_of(function, given=frozenset(given))
    _check(kind, name, options, [signature])
    passed = {key: value for key, value in given.items() if signature.passes(key, value)}
    return _Call(function, options, passed)


def with_options(
    function: Callable[..., Any], kind: str, name: str, options: Mapping[str, Any], *, positional: int
) -> Callable[..., Any]:
    """A function with its options as keyword arguments, to be called with its first parameters.

    Parameters
    ----------
    function
        The function to be called, such as a score or a probe.
    kind
        The key of its table in a campaign file, for errors: "prune.score".
    name
        The name of the function in the campaign file, for errors.
    options
        Keyword arguments from the campaign file. Each call gets copies of its own.
    positional
        How many positional arguments the program gives; the parameters for them are not options.

    Raises
    ------
    InputError
        With every problem: an option that the function does not have, one that it needs and that is missing, and one
        that only the program may give.
    """
    return shared_options(kind, name, options, (function, positional))[0]


def shared_options(
    kind: str, name: str, options: Mapping[str, Any], *functions: tuple[Callable[..., Any], int]
) -> tuple[Callable[..., Any], ...]:
    """Several functions of one table, such as the two rules of an arm, each with the options that it has.

    Parameters
    ----------
    kind, name, options
        As for `with_options`.
    *functions
        Each function, and how many positional arguments the program gives it.

    Returns
    -------
    tuple of callables
        The functions, in their order; each is called with its positional arguments alone.

    Raises
    ------
    InputError
        As by `with_options`; an option needs to be one of at least one of the functions.
    """
    signatures = [_signature_of(function, positional) for function, positional in functions]
    _check(kind, name, options, signatures)
    return tuple(
        _Call(function, {key: value for key, value in options.items() if signature.has(key)})
        for (function, _), signature in zip(functions, signatures, strict=True)
    )


@dataclass(frozen=True)
class _Call:
    """A function with keyword arguments. Each call gets its own options: a function may write to a list among them."""

    function: Callable[..., Any]
    options: Mapping[str, Any]
    given: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, *arguments: Any) -> Any:
        return self.function(*arguments, **copy.deepcopy(dict(self.options)), **self.given)


@dataclass(frozen=True)
class _Signature:
    """The parameters of a function.

    Parameters
    ----------
    options
        Those that a campaign file can give, by name.
    given
        The names of those that only the program gives.
    program
        Those that only the program gives and that the function has, by name.
    takes_any
        Whether the function takes any keyword argument; True if its signature is not known, as that of a few builtins.
    """

    options: Mapping[str, inspect.Parameter]
    given: frozenset[str]
    program: Mapping[str, inspect.Parameter]
    takes_any: bool

    def has(self, option: str) -> bool:
        """Whether the function takes an option."""
        return option in self.options or (self.takes_any and option not in self.given)

    def passes(self, key: str, value: Any) -> bool:
        """Whether the program gives the function a value; None leaves a parameter's own default standing."""
        return key in self.program and (value is not None or self.program[key].default is inspect.Parameter.empty)


def _signature_of(function: Callable[..., Any], positional: int = 0, given: frozenset[str] = frozenset()) -> _Signature:
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return _Signature({}, given, {}, takes_any=True)
    by_position = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    first = [parameter.name for parameter in parameters if parameter.kind in by_position][:positional]
    named = {p.name: p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    program = given.union(first)
    return _Signature(
        options={key: parameter for key, parameter in named.items() if key not in program},
        given=program,
        program={key: parameter for key, parameter in named.items() if key in given},
        takes_any=any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters),
    )


def _check(kind: str, name: str, options: Mapping[str, Any], signatures: Sequence[_Signature]) -> None:
    """Raise InputError with every option that the functions do not take, or need and do not get."""
    allowed = list(dict.fromkeys(key for signature in signatures for key in signature.options))
    listed = f"(allowed: {', '.join(allowed)})" if allowed else "(it has no options)"
    problems = []
    for key, value in options.items():
        if any(signature.has(key) for signature in signatures):
            continue
        if any(key in signature.given for signature in signatures):
            problems.append(f"{kind}.{key} = {value!r}: {name!r} gets {key!r} from the program; leave it out")
        else:
            problems.append(f"{kind}.{key} = {value!r}: {name!r} has no such option{nearest(key, allowed)} {listed}")
    for key in allowed:
        found = (signature.options[key] for signature in signatures if key in signature.options)
        if key not in options and any(parameter.default is inspect.Parameter.empty for parameter in found):
            problems.append(f"{kind}.{key}: {name!r} needs this option and it is not given {listed}")
    if problems:
        raise InputError(problems)


def resolve(target: str) -> Callable[..., Any]:
    """The function that "module:function" names, imported now; it is not called.

    Raises InputError, naming the module or the function that is missing, or if the function is compiled or comes with
    Python itself; UserCodeError if importing the module fails.
    """
    module_name, _, function_name = target.partition(":")
    refuse_another(module_name, target)
    try:
        module = _imported(module_name)
    except ModuleNotFoundError as error:
        raise UserCodeError(
            f"{target!r}: cannot import {module_name!r} ({one_line(error)}); {import_fix(module_name, error)}"
        ) from error
    except (Exception, SystemExit) as error:  # whatever the user's module does as it is imported
        raise UserCodeError(
            f"{target!r}: importing {module_name!r} fails ({one_line(error)}); fix the module"
        ) from error
    found: Callable[..., Any] | None = getattr(module, function_name, None)
    if not callable(found):
        names = [name for name, value in vars(module).items() if callable(value)]
        raise InputError(
            f"{target!r}: module {module_name!r} has no function {function_name!r}"
            f"{nearest(function_name, names)}{file_of(module)}"
        )
    if reason := not_python(found):
        raise InputError(
            f"{target!r}: {reason}, and it was not called; name a function or class written in Python, "
            "in a module of your own"
        )
    return found


def _imported(name: str) -> ModuleType:
    """Import a module. Process-wide settings that it changes are restored."""
    if name in sys.modules:
        return sys.modules[name]
    from tickets.process_state import settings_kept  # needs torch, as all that is named in the tables does

    with settings_kept():
        return importlib.import_module(name)
