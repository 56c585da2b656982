"""The functions outside the catalogue that a run names, and the source files of their code."""

from __future__ import annotations

import ast
import hashlib
import inspect
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from pathlib import Path
from types import ModuleType
from typing import Any

from tickets.users_code import home, is_standard, is_users_file

_FUNCTION = re.compile(r"[^\W\d][\w.]*:[^\W\d]\w*")
NO_SOURCE = "no source"


def named_functions(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The functions outside the catalogue that a run's configuration names. Nothing is imported.

    Parameters
    ----------
    config
        The configuration, as JSON values.

    Returns
    -------
    tuple of str
        Every "module:function" in it, in its order, each once. This package's own are left out: rules that an arm of
        the user's shares with the catalogue's.
    """
    if isinstance(claims := config.get("claim"), list | tuple):  # what one says or selects names no function
        config = {**config, "claim": [one.get("function") for one in claims if isinstance(one, Mapping)]}
    found = (text for text in _texts(config) if _FUNCTION.fullmatch(text))
    return tuple(dict.fromkeys(text for text in found if text.split(":")[0].split(".")[0] != "tickets"))


def source_hashes(functions: Sequence[str]) -> dict[str, str]:
    """The SHA-256 of the source file of each module that some functions are made of. Nothing is imported.

    For each function, these are the module in its name, the module in which it is defined, and the user's own modules
    that these import, anywhere in the file, directly or not. Imports of installed packages are not followed. Only
    modules that are imported already count.

    Parameters
    ----------
    functions
        "module:function" each.

    Returns
    -------
    dict
        The SHA-256 by module name, sorted. For a module without a file (a notebook's), that of the function's own
        source; "no source" if there is neither.
    """
    hashes: dict[str, str] = {}
    for function in functions:
        module_name, _, name = function.partition(":")
        module = sys.modules.get(module_name)
        found = getattr(module, name, None)
        if module is None or found is None:
            continue
        for start in dict.fromkeys((*_packages(module_name), home(found))):
            for one in _with_imports(start):
                hashes[one] = _hash_of_file(sys.modules[one]) or _hash_of_function(found)
    return dict(sorted(hashes.items()))


def where_from(functions: Sequence[str]) -> list[str]:
    """The modules that some functions are named in, with their files: `my_nets (/home/me/my_nets.py)`.

    Parameters
    ----------
    functions
        "module:function" each.

    Returns
    -------
    list of str
        One text for each module that is imported already.
    """
    names = dict.fromkeys(function.partition(":")[0] for function in functions)
    imported = [(name, sys.modules[name]) for name in names if name in sys.modules]
    return [f"{name} ({getattr(module, '__file__', None) or NO_SOURCE})" for name, module in imported]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _texts(part)


def _with_imports(start: str) -> list[str]:
    """A module and the user's modules that it imports, directly or not, of those that are imported already."""
    found, pending = [], [start]
    while pending:
        name = pending.pop()
        module = sys.modules.get(name)
        if module is None or name in found or (name != start and not _is_users(module)):
            continue
        found.append(name)
        if _is_users(module):
            pending += _imported(module)
    return found


def _is_users(module: ModuleType) -> bool:
    file = getattr(module, "__file__", None)
    return file is not None and not is_standard(module) and is_users_file(file)


def _imported(module: ModuleType) -> Iterator[str]:
    """The names of all modules that a module's import statements may refer to, with their packages."""
    try:
        tree = ast.parse(Path(str(module.__file__)).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return  # compiled, or no longer Python since an edit, which changes the hash of the file
    package = getattr(module, "__package__", None) or ""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _packages(alias.name)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, package)
            yield from _packages(base)
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _absolute(node: ast.ImportFrom, package: str) -> str:
    """The module of a `from ... import`, with its leading dots resolved."""
    if not node.level:
        return node.module or ""
    above = reduce(lambda name, _: name.rpartition(".")[0], range(node.level - 1), package)
    return ".".join(part for part in (above, node.module) if part)


def _packages(name: str) -> Iterator[str]:
    """a, a.b and a.b.c for a.b.c: importing it runs all of them."""
    parts = name.split(".")
    yield from (".".join(parts[: end + 1]) for end in range(len(parts)))


def _hash_of_file(module: ModuleType) -> str | None:
    file = getattr(module, "__file__", None)
    try:
        return hashlib.sha256(Path(file).read_bytes()).hexdigest() if file else None
    except OSError:
        return None


def _hash_of_function(function: Any) -> str:
    try:
        return hashlib.sha256(inspect.getsource(function).encode()).hexdigest()
    except (OSError, TypeError):
        return NO_SOURCE
