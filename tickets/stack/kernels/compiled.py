"""How the kernels are compiled, and the vector sizes that they share.

Compiled code releases the GIL. Fast-math is limited to contraction and unsigned zeros, so that NaN and infinities
propagate as IEEE 754 defines.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from llvmlite import binding
from numba import njit

from tickets.errors import InputError
from tickets.stack.jit import OFF
from tickets.stack.kernels.cache import KernelCache, config

Function = TypeVar("Function", bound=Callable[..., Any])

VECTOR_BYTES = 64  # the widest registers; LLVM uses two or four narrower ones where they are missing
SEVERAL = 4  # vectors in a row of a tile: as many sums, and their operands, fit in registers
IN_PAIRS = bool(binding.get_host_cpu_features().get("avx512f"))  # enough registers for the sums of two units

OPTIONS: Any = {"nogil": True, "error_model": "numpy", "fastmath": {"contract", "nsz"}}


def compiled(function: Function) -> Function:
    """Compile the function at its first call, and cache the result for other processes if a folder is writable."""
    return _compiled(function, OPTIONS)


def compiled_for_sums(function: Function) -> Function:
    """As `compiled`, with vectorised sums: their order is not sequential, but always the same."""
    return _compiled(function, {**OPTIONS, "fastmath": {*OPTIONS["fastmath"], "reassoc"}})


def _compiled(function: Function, options: dict[str, Any]) -> Function:
    if config.DISABLE_JIT:
        raise InputError(OFF)
    made: Any = njit(**options)(function)
    made._cache = KernelCache(function)
    kernel: Function = made
    return kernel
