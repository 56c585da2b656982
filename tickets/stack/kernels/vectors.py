"""Code in LLVM's vectors, which Numba has no words for: what the loops (see loops.py) are written with.

Arrays are C-contiguous and of one floating-point type: a tile is (rows, columns), of at most SEVERAL vectors; lines are
(units, pixels, columns), which may have any number of them, and whose sources go on in the rows after theirs.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from tickets.stack.kernels.compiled import IN_PAIRS, SEVERAL, VECTOR_BYTES

MANY = 8 if IN_PAIRS else SEVERAL  # vectors of a line at a time

Write = Callable[[Any, int], None]  # code for so many vectors, an int, from that one on, a value of LLVM's


class Code:
    """The LLVM code of one call of an intrinsic; its arguments by name."""

    def __init__(self, context: Any, builder: Any, signature: Any, arguments: Any, names: str) -> None:
        self.builder = builder
        self._integers: dict[str, Any] = {}
        self._in_line = False
        self._arrays: dict[str, tuple[Any, Any]] = {}  # where the first element is, and the length of a row
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
        """An argument that is an integer."""
        return self._integers[name]

    def at(self, name: str, index: Any) -> Any:
        """A pointer to an element of an argument that is a vector."""
        return self.builder.gep(self._arrays[name][0], [index])

    def row(self, name: str, index: Any, at: Any, vectors: int) -> list[Any]:
        """Pointers to vectors of one row of an argument that is a matrix, from that one on."""
        first, length = self._arrays[name]
        pointer = self.builder.gep(first, [self.builder.mul(index, length)])
        pointer = self.builder.gep(self.builder.bitcast(pointer, self.vector.as_pointer()), [at])
        return [self.builder.gep(pointer, [cgutils.intp_t(vector)]) for vector in range(vectors)]

    def by_registers(self, write: Write) -> None:
        """Code for the argument `vectors`, as many at a time as registers hold."""
        (self._by_line if self._in_line else self._by_tile)(write)

    def _by_tile(self, write: Write) -> None:
        """At most SEVERAL: each number of them has code of its own."""
        for count in range(SEVERAL, 0, -1):
            with self.builder.if_then(self.builder.icmp_signed("==", self.index("vectors"), cgutils.intp_t(count))):
                write(cgutils.intp_t(0), count)

    def _by_line(self, write: Write) -> None:
        """However many: MANY at a time, and then halves of that."""
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
        """The row that an edge comes from."""
        return self.builder.zext(self.builder.load(self.at("sources", edge)), cgutils.intp_t)

    def load(self, pointer: Any) -> Any:
        """The vector there; torch's memory begins where whole vectors do, but no one need rely on it."""
        return self.builder.load(pointer, align=4)

    def store(self, vector: Any, pointer: Any) -> None:
        """Write a vector there."""
        self.builder.store(vector, pointer, align=4)

    def broadcast(self, number: Any) -> Any:
        """A vector of one number."""
        nothing = ir.Constant(self.vector, ir.Undefined)
        single = self.builder.insert_element(nothing, number, ir.IntType(32)(0))
        return self.picked(single, nothing, [0] * self.lanes)

    def multiply_add(self, a: Any, b: Any, c: Any) -> Any:
        """a b + c, rounded once."""
        real = "f32" if isinstance(self.vector.element, ir.FloatType) else "f64"
        kind = ir.FunctionType(self.vector, [self.vector] * 3)
        name = f"llvm.fma.v{self.lanes}{real}"
        return self.builder.call(cgutils.get_or_insert_function(self.builder.module, kind, name), [a, b, c])

    def totals(self, vectors: list[Any]) -> Any:
        """The sums of the numbers of each of some vectors, a power of 2 and at most as many as one has numbers.

        By pairs: neighbours are added and the two vectors' sums taken turn about, then neighbours of these.
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
        """Sums of pairs of neighbours, each so many numbers wide, of the one vector and the other in turn."""
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
        """A vector of the numbers at these places of two vectors, one after the other."""
        return self.builder.shuffle_vector(
            one, other, ir.Constant(ir.VectorType(ir.IntType(32), len(places)), list(places))
        )
