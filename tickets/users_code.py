"""The user's code: which files hold it, where in it an error was raised, and how the error reads in one line."""

from __future__ import annotations

import functools
import inspect
import os
import site
import sys
import sysconfig
import traceback
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

_MOST_SHOWN = 500  # characters of an exception's text
_INSTALLED = ("site-packages", "dist-packages")
_OURS = ("tickets", "torch", "functorch", "numpy", "numba", "pandas", "pyarrow", "safetensors", "sklearn", "mnist1d")


def is_users_file(name: str) -> bool:
    """Whether a source file is the user's own: not of the standard library, an installed package or this package.

    Parameters
    ----------
    name
        The file's name as a code object has it. The cells of a notebook and the input of a prompt
        ("<ipython-input-1>", "<stdin>") are the user's; code that a library generated ("<string>",
        "<frozen importlib>") is not.

    Returns
    -------
    bool
    """
    if name.startswith("<"):
        return name.startswith(("<ipython", "<stdin"))
    path = os.path.realpath(name)
    if not name or set(_INSTALLED) & set(Path(path).parts):
        return False
    return not any(path.startswith(folder + os.sep) for folder in (*_library_folders(), *_installed_folders()))


def is_standard(module: ModuleType | None) -> bool:
    """Whether a module is built into Python or belongs to its standard library (os, subprocess, posix)."""
    file = getattr(module, "__file__", None)
    if module is None or file is None:
        # The module of a script or notebook and a namespace package have no file either.
        return getattr(module, "__name__", "builtins").partition(".")[0] in {*sys.builtin_module_names, "builtins"}
    path = os.path.realpath(file)
    inside = any(path.startswith(folder + os.sep) for folder in _library_folders())
    return inside and not set(_INSTALLED) & set(Path(path).parts)


def not_python(function: Any) -> str | None:
    """Why an object cannot be a function of the user's. It is not called.

    Allowed are functions and classes written in Python, and callable objects of such classes, also if they are
    partial or decorated, unless they belong to Python's standard library.

    Parameters
    ----------
    function
        Any object.

    Returns
    -------
    str or None
        The end of a sentence about the object ("comes with Python itself (os)"); None if it is allowed.
    """
    inner = _innermost(function)
    if not inspect.isfunction(inner) and not inspect.isclass(inner):
        inner = type(inner)
        if not any(inspect.isfunction(vars(one).get("__call__")) for one in inner.__mro__):
            return "is compiled, not written in Python, so what it takes cannot be checked"
    if is_standard(sys.modules.get(home(inner))):
        return f"comes with Python itself ({home(inner)})"
    return None


def home(function: Any) -> str:
    """The name of the module in which a function, a class or the class of a callable object is defined."""
    inner = _innermost(function)
    if inspect.isfunction(inner):
        return str(inner.__globals__.get("__name__", ""))
    return str(getattr(inner, "__module__", None) or type(inner).__module__)


def _innermost(function: Any) -> Any:
    """The function or class inside a partial, a bound method or a decorator of the standard library."""
    while True:
        if isinstance(function, functools.partial):
            function = function.func
        elif inspect.ismethod(function):
            function = function.__func__
        elif _is_wrapper_of_python(function):
            function = function.__wrapped__
        else:
            return function


def _is_wrapper_of_python(function: Any) -> bool:
    """Whether a decorator of the standard library made an object, such as functools.cache or singledispatch."""
    if inspect.isclass(function) or not hasattr(function, "__wrapped__"):
        return False
    return not inspect.isfunction(function) or is_standard(sys.modules.get(function.__globals__.get("__name__", "")))


def one_line(error: BaseException) -> str:
    """An exception in one line: its type, its text, and the last line of the user's own code that raised it.

    Parameters
    ----------
    error
        The exception.

    Returns
    -------
    str
        `ValueError: no good (at nets.py:12, in forward)`; without the place if none of the code is the user's.
    """
    place = _place(error)
    return f"{type(error).__name__}: {_text(error)}" + (f" (at {place})" if place else "")


def whole_traceback(error: BaseException) -> str:
    """The traceback as Python prints it, with those of the exceptions that caused this one."""
    return _encodable("".join(traceback.format_exception(error)))


def _text(error: BaseException) -> str:
    try:
        text = _encodable(" ".join(str(error).split()))
    except Exception:  # the user's exception may have a __str__ that raises
        text = "(its text cannot be made)"
    return text if len(text) <= _MOST_SHOWN else text[:_MOST_SHOWN] + " ..."


def _encodable(text: str) -> str:
    """The text without lone surrogates, which file names may contain and UTF-8 cannot encode."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _place(error: BaseException) -> str | None:
    """The last line of the user's own code, else of another installed package; None if there is neither."""
    chain = list(with_causes(error))
    for is_meant in (is_users_file, _is_of_another_package):
        for one in chain:
            if isinstance(one, SyntaxError) and one.filename and is_meant(one.filename):
                return f"{shown(one.filename)}:{one.lineno}"
            for frame in reversed(traceback.extract_tb(one.__traceback__)):
                if is_meant(frame.filename):
                    within = "" if frame.name == "<module>" else f", in {frame.name}"
                    return f"{shown(frame.filename)}:{frame.lineno}{within}"
    return None


def _is_of_another_package(name: str) -> bool:
    """Whether a file belongs to an installed package that the user chose, such as a model's."""
    parts = Path(name).parts
    below = next((parts[place + 1 :] for place, part in enumerate(parts) if part in _INSTALLED), ())
    return bool(below) and below[0].partition(".")[0] not in _OURS


def with_causes(error: BaseException) -> Iterator[BaseException]:
    """An exception, then the exceptions that caused it, each once."""
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)


def shown(name: str) -> str:
    """A file's path, relative to the current folder if the file lies in it."""
    path = Path(name)
    try:
        return str(path.relative_to(Path.cwd())) if path.is_absolute() else name
    except (ValueError, OSError):
        return name


@cache
def _library_folders() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    return tuple({os.path.realpath(paths[key]) for key in ("stdlib", "platstdlib")})


@cache
def _installed_folders() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    folders = [paths["purelib"], paths["platlib"], *site.getsitepackages(), site.getusersitepackages()]
    return tuple({os.path.realpath(folder) for folder in (*folders, os.path.dirname(__file__))})
