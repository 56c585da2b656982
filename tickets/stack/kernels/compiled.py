"""How the kernels are compiled, and what they all count in.

Compiled code lets other threads run beside it, and NaN and infinities are what they are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from llvmlite import binding
from numba import njit

from tickets.errors import InputError
from tickets.stack.jit import OFF
from tickets.stack.kernels.kept import Kept, config

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
    if config.DISABLE_JIT:
        raise InputError(OFF)
    made: Any = njit(**options)(function)
    made._cache = Kept(function)
    kernel: Function = made
    return kernel
