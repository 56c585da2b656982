"""What is kept of compiled kernels for other processes: files that are there whole, each named by all that it is of.

In place of Numba's own cache, which trusts a torn file, and which asks whether a function's own source has changed but
not the sources of those that it calls. Nothing that goes wrong with a file is a failure: the kernel is compiled anew.

What is kept is executable code, as the .pyc files of a __pycache__ are: it is unpickled and run. A hash shows damage,
not who wrote it, so that a file is read only if it is the current user's own and nobody else may write to it.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import pickle
import stat
import sys
import uuid
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from numba.core import config as numba_config
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps

SOURCES = Path(__file__).parent
config: Any = numba_config  # made at run time, of the environment
_FORM = b"tickets kernel 1\n"  # what a file begins with; then the SHA-256 of the rest
_MODE = 0o644  # of a file, whatever the umask allows
_DIGEST = hashlib.sha256().digest_size
# Numba's settings that change what is compiled, beside those of the processor.
_SETTINGS = ("OPT", "BOUNDSCHECK", "DEBUGINFO_DEFAULT", "LOOP_VECTORIZE", "SLP_VECTORIZE", "DISABLE_INTEL_SVML")


class Kept:
    """The compiled versions of one function, one a signature: what a dispatcher of Numba asks of its cache."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = f"{function.__module__.rpartition('.')[2]}.{function.__qualname__}"

    @property
    def cache_path(self) -> str | None:
        """The folder that is tried first."""
        return next(map(str, places()), None)

    def load_overload(self, signature: Any, target_context: Any) -> Any:
        """The version for a signature, None where it is not kept or what is kept cannot be read."""
        target_context.refresh()
        name = self._name(signature, target_context.codegen())
        for folder in places():
            content = read_whole(folder / name)
            if content is not None:
                # Its hash is right, so it is as it was written; if it cannot be used for all that, it is not.
                with contextlib.suppress(Exception):
                    return CompileResult._rebuild(target_context, *pickle.loads(content))
        return None

    def save_overload(self, signature: Any, compiled: Any) -> None:
        """Keep a version, in the first folder that takes it."""
        if compiled.lifted or compiled.library.has_dynamic_globals:
            return  # of this process alone
        content = dumps(compiled._reduce())
        name = self._name(signature, compiled.codegen)
        any(write_whole(folder / name, content) for folder in places())

    def enable(self) -> None:
        """Numba's; it is never disabled."""

    def disable(self) -> None:
        """Numba's; it is never disabled."""

    def flush(self) -> None:
        """Numba's, before it recompiles; what is kept is right as long as its name is."""

    def _name(self, signature: Any, codegen: Any) -> str:
        settings = [str(getattr(config, name, None)) for name in _SETTINGS]
        made_of = (*_versions(), *codegen.magic_tuple(), *settings, sources_digest(SOURCES), self._function, signature)
        return f"{self._function}-{hashlib.sha256(repr(made_of).encode()).hexdigest()[:40]}.kernel"


def places() -> Iterator[Path]:
    """The folders where kernels may be kept, the first one first: $NUMBA_CACHE_DIR, or beside the sources, or the
    user's cache folder."""
    if config.CACHE_DIR:
        yield Path(config.CACHE_DIR) / "tickets"
        return
    yield SOURCES / "__pycache__"
    with contextlib.suppress(RuntimeError):  # there is no home folder
        cache = os.environ.get("XDG_CACHE_HOME")
        yield (Path(cache) if cache else Path.home() / ".cache") / "tickets" / "kernels"


@functools.cache
def sources_digest(folder: Path) -> str:
    """SHA-256 of the names and contents of all Python files in a folder."""
    files = sorted(folder.glob("*.py"))
    each = [(file.name, hashlib.sha256(file.read_bytes()).hexdigest()) for file in files]
    return hashlib.sha256(repr(each).encode()).hexdigest()


@functools.cache
def _versions() -> tuple[str, ...]:
    return (sys.version, version("numba"), version("llvmlite"), version("numpy"))


def read_whole(path: Path) -> bytes | None:
    """What `write_whole` wrote to a file, None where that is not what is there."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a FIFO must not be waited for
        with open(descriptor, "rb") as file:
            content = file.read() if _is_own(os.fstat(descriptor)) else b""
    except OSError:
        return None
    head, digest, rest = content[: len(_FORM)], content[len(_FORM) :][:_DIGEST], content[len(_FORM) + _DIGEST :]
    return rest if head == _FORM and hashlib.sha256(rest).digest() == digest else None


def _is_own(found: os.stat_result) -> bool:
    """Whether it is a regular file of the current user's that nobody else may write to."""
    own = not hasattr(os, "getuid") or (
        found.st_uid == os.getuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    )
    return stat.S_ISREG(found.st_mode) and own


def write_whole(path: Path, content: bytes) -> bool:
    """Write a file that is there whole or not at all, whenever the power fails; whether that could be done."""
    temporary = path.with_name(f".tmp-{path.name}-{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE)
        with open(descriptor, "wb") as file:
            file.write(_FORM + hashlib.sha256(content).digest() + content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:  # read-only, full, another user's, something else of that name
        with contextlib.suppress(OSError):
            temporary.unlink()
        return False
    return True
