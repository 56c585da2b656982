"""Every call of the store to the file system, step by step: to record it, to have it fail, or to cut the power."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

CALLS = ("open", "write", "pwrite", "ftruncate", "fsync", "close", "mkdir", "rename", "replace", "link", "unlink")

Hook = Callable[[str, tuple[Any, ...], Callable[[], Any]], Any]
"""hook(name, arguments, call) stands for a call: what it returns is returned, and `call()` makes the real one."""


@contextmanager
def stepped(root: Path, hook: Hook) -> Iterator[None]:
    """A block in which the functions of `os` that change files below a folder go through a hook."""
    below = f"{root}/"
    opened: set[int] = set()
    real = {name: getattr(os, name) for name in CALLS}

    def concerns(first: Any, options: dict[str, Any]) -> bool:
        if isinstance(first, int):
            return first in opened
        return "dir_fd" not in options and f"{os.fspath(first)}/".startswith(below)

    def wrapped(name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            if not concerns(arguments[0], options):
                return real[name](*arguments, **options)

            def make() -> Any:
                result = real[name](*arguments, **options)
                if name == "open":
                    opened.add(result)
                elif name == "close":
                    opened.discard(arguments[0])
                return result

            return hook(name, arguments, make)

        return call

    with mock.patch.multiple(os, **{name: wrapped(name) for name in CALLS}):
        yield


class Fault:
    """A hook that makes the n-th step fail, and all later ones too if the cause lasts.

    Attributes
    ----------
    step
        The steps so far.
    failed
        What failed first: the name of the function and its first argument.
    """

    def __init__(self, n: int, number: int, lasting: bool = False, short: bool = False) -> None:
        self.n, self.number, self.lasting, self.short = n, number, lasting, short
        self.step = 0
        self.failed: tuple[str, Any] | None = None

    def __call__(self, name: str, arguments: tuple[Any, ...], call: Callable[[], Any]) -> Any:
        self.step += 1
        if self.step != self.n and not (self.lasting and self.step > self.n):
            return call()
        self.failed = self.failed or (name, arguments[0])
        if name == "close":
            call()  # a descriptor is closed, whatever close says
        elif name == "write" and self.short:
            part = arguments[1][: len(arguments[1]) // 2]
            count = os.pwrite(arguments[0], part, os.lseek(arguments[0], 0, os.SEEK_CUR))
            os.lseek(arguments[0], count, os.SEEK_CUR)
            return count
        raise OSError(self.number, os.strerror(self.number), str(arguments[0]))


_NAMES = """
    ENOSPC EDQUOT EIO EACCES EPERM EROFS EMFILE ENFILE EFBIG ENAMETOOLONG ENOTDIR EISDIR ENOENT ESTALE ENODEV EREMOTEIO
"""
REFUSALS = tuple(getattr(errno, name) for name in _NAMES.split())
