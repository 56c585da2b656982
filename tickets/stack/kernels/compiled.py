"""How the kernels are compiled, and what they all count in.

Compiled code lets other threads run beside it, and NaN and infinities are what they are.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from llvmlite import binding
from numba import njit

Function = TypeVar("Function", bound=Callable[..., Any])

VECTOR_BYTES = 64  # as wide as registers come; where they are narrower, LLVM takes two or four for each
SEVERAL = 4  # vectors in a row of a tile: registers hold as many sums, and what is added
IN_PAIRS = bool(binding.get_host_cpu_features().get("avx512f"))  # where registers hold the sums of two units

OPTIONS: Any = {"nogil": True, "error_model": "numpy", "fastmath": {"contract", "nsz"}}


def compiled(function: Function) -> Function:
    """The function, compiled when it is first called and kept for other processes, if there is a place to keep it."""
    return _compiled(function, OPTIONS)


def compiled_for_sums(function: Function) -> Function:
    """As `compiled`, with sums taken by vectors: in another order than one after the other, but always in the same."""
    return _compiled(function, {**OPTIONS, "fastmath": {*OPTIONS["fastmath"], "reassoc"}})


def _compiled(function: Function, options: dict[str, Any]) -> Function:
    try:
        made: Function = njit(cache=True, **options)(function)
    except RuntimeError:  # nowhere to keep what was compiled: it is compiled in each process
        made = njit(**options)(function)
    return made


@functools.cache
def forget_what_is_stale(function: Any, folder: Path = Path(__file__).parent) -> None:
    """Remove what was kept of any kernel before one of the kernels' files was last changed.

    Numba asks whether a function's own file has changed since, and not the files of those that it calls. function: any
    of the kernels; what is kept of all of them lies in one folder.
    """
    changed = max(file.stat().st_mtime for file in folder.glob("*.py"))
    kept = function.stats.cache_path  # None where there is no place to keep anything
    for index in Path(kept).glob("*.nbi") if kept else ():
        with contextlib.suppress(FileNotFoundError):  # another process removed it first
            if index.stat().st_mtime < changed:
                index.unlink()
