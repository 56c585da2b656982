"""Whether Numba may compile, without importing it, which takes half a second."""

from __future__ import annotations

import os
import sys

OFF = "NUMBA_DISABLE_JIT is set, so that the kernels cannot be compiled"


def jit_is_off() -> bool:
    """Whether compilation is disabled by NUMBA_DISABLE_JIT, as it may be under a debugger."""
    config = sys.modules.get("numba.core.config")
    if config is not None:
        return bool(config.DISABLE_JIT)
    try:
        return bool(int(os.environ.get("NUMBA_DISABLE_JIT", "0")))
    except ValueError:  # Numba treats it as 0
        return False
