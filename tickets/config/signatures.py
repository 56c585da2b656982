"""The options of the functions in `tickets.catalogue`, read from their signatures.

A function declares each of its options once, as a parameter with a default value and a type of tickets/config/types.py:

    def conv2(input_shape, classes, dropout: FractionBelowOne = 0.0): ...

Parameters without a default value are given by the program. The signature is read from the source text: importing the
function's module would import torch, which a campaign file can be checked without.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, get_args

from tickets.config import types

_NAME = "tickets"
_PACKAGE = Path(__file__).parents[1]


@dataclass(frozen=True)
class OptionType:
    """The type and the default value of an option.

    Parameters
    ----------
    type
        An annotation that pydantic checks values by.
    default
        The value of the option where a campaign file does not give it.
    """

    type: Any
    default: Any

    @property
    def added_later(self) -> bool:
        """Whether it is left out of the configuration at its default; see `types.AddedLater`."""
        return types.ADDED_LATER in get_args(self.type)


@cache
def options_of(*targets: str) -> Mapping[str, OptionType]:
    """The options of functions of this package, by name, in the order of their signatures.

    Parameters
    ----------
    *targets
        "module:function" of each function. An option that two functions have is the first one's. A function outside
        this package declares no options here: its module cannot be read without importing packages.

    Raises
    ------
    TypeError
        If a signature is not as this module's docstring says.
    """
    return {name: option for target in reversed(targets) for name, option in _declared(target)}


def _declared(target: str) -> Iterator[tuple[str, OptionType]]:
    module, _, function = target.partition(":")
    if module.partition(".")[0] != _NAME:
        return
    if function not in _functions(module):
        raise TypeError(f"{target}: no such function at the top of its module")
    arguments = _functions(module)[function].args
    positional = [*arguments.posonlyargs, *arguments.args]
    with_default = positional[len(positional) - len(arguments.defaults) :]
    pairs = [*zip(with_default, arguments.defaults, strict=True)]
    pairs += [
        (one, default) for one, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if default
    ]
    for parameter, default in pairs:
        yield parameter.arg, OptionType(_type(target, parameter), ast.literal_eval(default))


def _type(target: str, parameter: ast.arg) -> Any:
    if parameter.annotation is None:
        raise TypeError(f"{target}: {parameter.arg} needs a type of tickets.config.types")
    code = compile(ast.Expression(parameter.annotation), f"<{target}>", "eval")
    try:
        return eval(code, dict(vars(types)))
    except NameError as error:
        raise TypeError(f"{target}: the type of {parameter.arg} is not one of tickets.config.types ({error})") from None


@cache
def _functions(module: str) -> Mapping[str, ast.FunctionDef]:
    """The functions at the top of a module of this package, by name."""
    _, *parts = module.split(".")
    tree = ast.parse(_PACKAGE.joinpath(*parts).with_suffix(".py").read_bytes())
    return {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
