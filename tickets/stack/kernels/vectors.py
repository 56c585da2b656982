"""Generation of LLVM vector code, which Numba cannot express, for the loops in loops.py.

Arrays are C-contiguous and have one floating-point type. A tile is (rows, columns) of at most SEVERAL vectors. A line
is (units, pixels, columns) of any number of vectors; its source continues in the following rows.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from tickets.stack.kernels.compiled import IN_PAIRS, SEVERAL, VECTOR_BYTES

MANY = 8 if IN_PAIRS else SEVERAL  # vectors of a line that are processed at once

Write = Callable[[Any, int], None]  # generates code: (first vector, an LLVM value; number of vectors, an int)


class Code:
    """Generates the LLVM code of one call of an intrinsic, with its arguments by name."""

    def __init__(self, context: Any, builder: Any, signature: Any, arguments: Any, names: str) -> None:
        self.builder = builder
        self._integers: dict[str, Any] = {}
        self._in_line = False
        self._arrays: dict[str, tuple[Any, Any]] = {}  # a pointer to the first element, and the length of a row
        for name, kind, argument in zip(names.split(), signature.args, arguments, strict=True):
            if isinstance(kind, types.Array):
                array = context.make_array(kind)(context, builder, argument)
                first, *others = cgutils.unpack_tuple(builder, array.shape)
                self._arrays[name] = array.data, functools.reduce(builder.mul, others or [first])
                self._in_line |= kind.ndim == 3
            else:
                self._integers[name] = context.cast(builder, argument, kind, types.intp)
        real = context.get_data_type(signature.args[names.split().index("rows")].dtype)
        self.lanes = VECTOR_BYTES // (4 if isinstance(real, ir.FloatType) else 8)
        self.vector = ir.VectorType(real, self.lanes)

    def index(self, name: str) -> Any:
        """An integer argument."""
        return self._integers[name]

    def at(self, name: str, index: Any) -> Any:
        """A pointer to an element of a one-dimensional argument."""
        return self.builder.gep(self._arrays[name][0], [index])

    def row(self, name: str, index: Any, at: Any, vectors: int) -> list[Any]:
        """Pointers to `vectors` vectors of one row of a matrix argument, from vector `at` on."""
        first, length = self._arrays[name]
        pointer = self.builder.gep(first, [self.builder.mul(index, length)])
        pointer = self.builder.gep(self.builder.bitcast(pointer, self.vector.as_pointer()), [at])
        return [self.builder.gep(pointer, [cgutils.intp_t(vector)]) for vector in range(vectors)]

    def by_registers(self, write: Write) -> None:
        """Generate code for all `vectors`, as many at a time as fit in registers."""
        (self._by_line if self._in_line else self._by_tile)(write)

    def _by_tile(self, write: Write) -> None:
        """At most SEVERAL vectors: each number of vectors has its own code."""
        for count in range(SEVERAL, 0, -1):
            with self.builder.if_then(self.builder.icmp_signed("==", self.index("vectors"), cgutils.intp_t(count))):
                write(cgutils.intp_t(0), count)

    def _by_line(self, write: Write) -> None:
        """Any number of vectors: MANY at a time, then the remainder by halves of that."""
        builder, vectors, many = self.builder, self.index("vectors"), cgutils.intp_t(MANY)
        times = builder.udiv(vectors, many)
        with cgutils.for_range(builder, times) as loop:
            write(builder.mul(loop.index, many), MANY)
        done, left, count = builder.mul(times, many), builder.urem(vectors, many), MANY // 2
        while count:
            size = cgutils.intp_t(count)
            there = builder.icmp_unsigned(">=", left, size)
            with builder.if_then(there):
                write(done, count)
            done = builder.select(there, builder.add(done, size), done)
            left = builder.select(there, builder.sub(left, size), left)
            count //= 2

    def source(self, edge: Any) -> Any:
        """The row that an edge reads."""
        return self.builder.zext(self.builder.load(self.at("sources", edge)), cgutils.intp_t)

    def load(self, pointer: Any) -> Any:
        """Load a vector. Memory of torch is aligned to whole vectors, but this is not assumed."""
        return self.builder.load(pointer, align=4)

    def store(self, vector: Any, pointer: Any) -> None:
        """Store a vector."""
        self.builder.store(vector, pointer, align=4)

    def broadcast(self, number: Any) -> Any:
        """A vector whose elements are all `number`."""
        nothing = ir.Constant(self.vector, ir.Undefined)
        single = self.builder.insert_element(nothing, number, ir.IntType(32)(0))
        return self.picked(single, nothing, [0] * self.lanes)

    def multiply_add(self, a: Any, b: Any, c: Any) -> Any:
        """a * b + c with one rounding."""
        real = "f32" if isinstance(self.vector.element, ir.FloatType) else "f64"
        kind = ir.FunctionType(self.vector, [self.vector] * 3)
        name = f"llvm.fma.v{self.lanes}{real}"
        return self.builder.call(cgutils.get_or_insert_function(self.builder.module, kind, name), [a, b, c])

    def totals(self, vectors: list[Any]) -> Any:
        """The sum of the elements of each vector; the number of vectors is a power of 2, at most the vectors' length.

        Pairwise: neighbouring elements of two vectors are added and interleaved, then neighbours of the result.
        """
        wide = 1
        while len(vectors) > 1:
            vectors = [self._merged(one, other, wide) for one, other in zip(vectors[::2], vectors[1::2], strict=True)]
            wide *= 2
        (folded,), lanes = vectors, self.lanes
        while lanes > wide:
            lanes //= 2
            folded = self.builder.fadd(
                self.picked(folded, folded, range(lanes)), self.picked(folded, folded, range(lanes, 2 * lanes))
            )
        return folded

    def _merged(self, one: Any, other: Any, wide: int) -> Any:
        """Sums of neighbouring groups of `wide` elements, taken from the two vectors alternately."""
        firsts = [at for begin in range(0, self.lanes, 2 * wide) for at in range(begin, begin + wide)]
        places = [[at + half for at in firsts] for half in (0, wide)]
        turns = [
            [
                at + vector * self.lanes
                for begin in range(0, len(half), wide)
                for vector in (0, 1)
                for at in half[begin : begin + wide]
            ]
            for half in places
        ]
        low, high = (self.picked(one, other, turn) for turn in turns)
        return self.builder.fadd(low, high)

    def picked(self, one: Any, other: Any, places: Sequence[int]) -> Any:
        """The elements at `places` of the concatenation of two vectors."""
        return self.builder.shuffle_vector(
            one, other, ir.Constant(ir.VectorType(ir.IntType(32), len(places)), list(places))
        )
