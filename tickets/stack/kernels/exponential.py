"""The exponential function of non-positive numbers, as a softmax needs it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

from tickets.stack.kernels.compiled import OPTIONS

MANTISSA_BITS = 23  # of single precision
EXPONENT_OF_1 = 127
SHIFT = np.float32(1.5 * 2**MANTISSA_BITS)  # float32 numbers near it are integers
PER_LN_2 = np.float32(1 / np.log(2))
LN_2 = np.float32(round(np.log(2) * 2**9) / 2**9)  # truncated, so that its products with n are exact
LN_2_REST = np.float32(np.log(2) - np.float64(LN_2))
ONE, C2, C3, C4, C5, C6, C7 = (np.float32(1 / math.factorial(k)) for k in range(1, 8))
LEAST = np.float32(-87)  # its exponential is near the smallest normal float32


def _power_maker() -> Any:
    """2**n for shifted = SHIFT + n in float32: the last bits of it, moved to the exponent."""

    @intrinsic
    def power(typing, shifted):
        def generate(context, builder, signature, arguments):
            integer = ir.IntType(32)
            bits = builder.add(builder.bitcast(arguments[0], integer), integer(EXPONENT_OF_1))
            return builder.bitcast(builder.shl(bits, integer(MANTISSA_BITS)), ir.FloatType())

        return types.float32(types.float32), generate

    return power


_power_of_two = _power_maker()


def exp(x):
    """exp(x) for x <= 0. In float32 by arithmetic that LLVM vectorises, unlike the function of libm.

    With x = n ln 2 + r for an integer n and abs(r) <= ln 2 / 2, it is 2**n times the Taylor series of exp(r). The error
    is at most one unit in the last place. Below LEAST, where float32 is subnormal, the result is 0.
    """
    raise NotImplementedError("only compiled code calls this")


@overload(exp, jit_options=OPTIONS)
def _exp(x):
    if x != types.float32:
        return lambda x: np.exp(x)

    def single(x):
        shifted = x * PER_LN_2 + SHIFT  # rounds to an integer: neighbouring numbers are 1 apart
        n = shifted - SHIFT
        r = x - n * LN_2 - n * LN_2_REST
        series = ONE + r * (ONE + r * (C2 + r * (C3 + r * (C4 + r * (C5 + r * (C6 + r * C7))))))
        return np.float32(0) if x < LEAST else series * _power_of_two(shifted)  # keeps NaN

    return single
