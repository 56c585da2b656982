"""Whether kernels can be compiled at all, told without the half second that importing their compiler takes."""

from __future__ import annotations

import os
import sys

OFF = "NUMBA_DISABLE_JIT is set, and what the kernels are written in runs only where it is compiled; unset it"


def jit_is_off() -> bool:
    """Whether Numba is set to compile nothing (NUMBA_DISABLE_JIT), as under a debugger."""
    config = sys.modules.get("numba.core.config")
    if config is not None:
        return bool(config.DISABLE_JIT)
    try:
        return bool(int(os.environ.get("NUMBA_DISABLE_JIT", "0")))
    except ValueError:  # which Numba takes as 0
        return False
