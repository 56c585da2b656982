"""Where the user's own modules and relative paths are found, for a while.

Modules are found where Python finds any, then in folders that are added.
"""

from __future__ import annotations

import importlib
import os
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType

from tickets.errors import InputError

_LOCK = threading.Lock()
_USES: Counter[str] = Counter()  # by folder that was added to sys.path here: how many blocks use it now
_EVER: set[str] = set()  # every folder that was added since the process began


@contextmanager
def importable(*folders: Path) -> Iterator[None]:
    """A block in which modules are also found in some folders, after everywhere else.

    The folders stand at the end of sys.path, so that a file called random.py in one of them hides no module of the
    standard library or of an installed package. Processes that are spawned in the block find the modules too.

    Parameters
    ----------
    *folders
        The folders, in the order in which they are searched.
    """
    used: list[str] = []
    with _LOCK:
        for name in dict.fromkeys(str(folder.absolute()) for folder in folders):
            if name not in _USES and any(_same(name, there) for there in sys.path):
                continue  # Python searches it anyway
            if name not in _USES:
                sys.path.append(name)
                _EVER.add(name)
            _USES[name] += 1
            used.append(name)
    try:
        yield
    finally:
        with _LOCK:
            for name in used:
                _USES[name] -= 1
                if not _USES[name]:
                    del _USES[name]
                    sys.path.remove(name)


@contextmanager
def working_in(folder: Path | None) -> Iterator[None]:
    """A block with this working directory, if there is such a folder here."""
    if folder is None or not folder.is_dir():
        yield
        return
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def current_folder() -> list[Path]:
    """The current folder, as a list; an empty one if the folder was removed."""
    try:
        return [Path.cwd()]
    except FileNotFoundError:
        return []


def import_fix(name: str, error: ModuleNotFoundError) -> str:
    """The end of the message that a module cannot be imported: what is missing, or where the module may lie.

    Parameters
    ----------
    name
        The module.
    error
        The error that its import raised.

    Returns
    -------
    str
    """
    if error.name and not f"{name}.".startswith(f"{error.name}."):
        return f"it imports {error.name!r}, which is not installed and lies in no folder that is searched"
    here = "".join(f" ({folder})" for folder in current_folder())
    return (
        f"write module:function of a module that is installed, or lies in the current folder{here} or beside the "
        "campaign file"
    )


def file_of(module: ModuleType) -> str:
    """The end of a message about a module: its file, and a file of the same name that it hides.

    Parameters
    ----------
    module
        A module that is imported.

    Returns
    -------
    str
        " (it is /a/nets.py, and hides /b/nets.py, which needs another name)"; "" if the module has no file.
    """
    file = getattr(module, "__file__", None)
    if not file:
        return ""
    with _LOCK:
        folders = list(_USES)
    found = (PathFinder.find_spec(module.__name__.partition(".")[0], [folder]) for folder in folders)
    others = [spec.origin for spec in found if spec is not None and spec.origin and not _same(spec.origin, file)]
    return f" (it is {file}" + (f", and hides {others[0]}, which needs another name)" if others else ")")


def refuse_another(name: str, target: str) -> None:
    """Raise an error for a module that an earlier block imported from its folder, if another file is found now.

    Python keeps one module of a name in a process.

    Parameters
    ----------
    name
        The module.
    target
        The "module:function" that names it.

    Raises
    ------
    InputError
        If the module that is imported has another file than the one that would be imported now.
    """
    top = name.partition(".")[0]
    if top not in sys.modules:
        importlib.invalidate_caches()  # the file may have been written a moment ago
    file = getattr(sys.modules.get(top), "__file__", None)
    if not file or not any(Path(folder) in Path(file).parents for folder in _EVER):
        return
    spec = PathFinder.find_spec(top)
    if spec is not None and spec.origin and not _same(spec.origin, file):
        raise InputError(
            f"{target!r}: {top!r} was imported from {file} before, but is {spec.origin} here; give one of them another "
            "name, or use a Python process for each"
        )


def _same(one: str, other: str) -> bool:
    one_there, other_there = (Path(path) if path else next(iter(current_folder()), None) for path in (one, other))
    return None not in (one_there, other_there) and os.path.realpath(str(one_there)) == os.path.realpath(
        str(other_there)
    )
