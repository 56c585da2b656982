"""A cache of compiled kernels on disk. Each file is complete, and its name is a hash of everything it depends on.

It replaces Numba's cache, which trusts a truncated file and does not notice changes in the source of called functions.
An error with a file is never a failure: the kernel is compiled again.

A cached kernel is executable code, like the .pyc files in __pycache__: it is unpickled and run. Its hash detects
damage, not forgery. A file is therefore read only if it belongs to the current user and nobody else may write to it.
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
config: Any = numba_config  # built at run time from the environment
_FORM = b"tickets kernel 1\n"  # the start of a file; the SHA-256 of the rest follows
_MODE = 0o644  # of a file, before the umask
_DIGEST = hashlib.sha256().digest_size
# Numba's settings that change the compiled code, in addition to those of the processor.
_SETTINGS = ("OPT", "BOUNDSCHECK", "DEBUGINFO_DEFAULT", "LOOP_VECTORIZE", "SLP_VECTORIZE", "DISABLE_INTEL_SVML")


class KernelCache:
    """The cached versions of one function, one for each signature: the interface that a Numba dispatcher expects."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = f"{function.__module__.rpartition('.')[2]}.{function.__qualname__}"

    @property
    def cache_path(self) -> str | None:
        """The first folder that is tried."""
        return next(map(str, places()), None)

    def load_overload(self, signature: Any, target_context: Any) -> Any:
        """The compiled version for a signature, or None if there is no usable file."""
        target_context.refresh()
        name = self._name(signature, target_context.codegen())
        for folder in places():
            content = read_whole(folder / name)
            if content is not None:
                # The hash is right; a version that cannot be used even so is ignored.
                with contextlib.suppress(Exception):
                    return CompileResult._rebuild(target_context, *pickle.loads(content))
        return None

    def save_overload(self, signature: Any, compiled: Any) -> None:
        """Save a version in the first folder that is writable."""
        if compiled.lifted or compiled.library.has_dynamic_globals:
            return  # valid in this process only
        content = dumps(compiled._reduce())
        name = self._name(signature, compiled.codegen)
        any(write_whole(folder / name, content) for folder in places())

    def enable(self) -> None:
        """Required by Numba; this cache is always enabled."""

    def disable(self) -> None:
        """Required by Numba; this cache is always enabled."""

    def flush(self) -> None:
        """Called by Numba before it recompiles. Nothing to do: the name of a file determines its content."""

    def _name(self, signature: Any, codegen: Any) -> str:
        settings = [str(getattr(config, name, None)) for name in _SETTINGS]
        made_of = (*_versions(), *codegen.magic_tuple(), *settings, sources_digest(SOURCES), self._function, signature)
        return f"{self._function}-{hashlib.sha256(repr(made_of).encode()).hexdigest()[:40]}.kernel"


def places() -> Iterator[Path]:
    """The folders that are tried in order: $NUMBA_CACHE_DIR if set, else beside the sources, then the user's cache."""
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
    """The content that `write_whole` wrote, or None if the file is missing, damaged or not the user's own."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # does not block on a FIFO
        with open(descriptor, "rb") as file:
            content = file.read() if _is_own(os.fstat(descriptor)) else b""
    except OSError:
        return None
    head, digest, rest = content[: len(_FORM)], content[len(_FORM) :][:_DIGEST], content[len(_FORM) + _DIGEST :]
    return rest if head == _FORM and hashlib.sha256(rest).digest() == digest else None


def _is_own(found: os.stat_result) -> bool:
    """Whether it is a regular file of the current user that nobody else may write to."""
    own = not hasattr(os, "getuid") or (
        found.st_uid == os.getuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    )
    return stat.S_ISREG(found.st_mode) and own


def write_whole(path: Path, content: bytes) -> bool:
    """Write a file atomically, even if the power fails. Returns whether it was written."""
    temporary = path.with_name(f".tmp-{path.name}-{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE)
        with open(descriptor, "wb") as file:
            file.write(_FORM + hashlib.sha256(content).digest() + content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:  # read-only, full, owned by another user, or a folder of that name
        with contextlib.suppress(OSError):
            temporary.unlink()
        return False
    return True
