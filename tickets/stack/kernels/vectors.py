"""The loops that nearly all the time goes into, in LLVM's vectors, which Numba has no words for.

Their sums stay in registers, edge after edge, for as many vectors of a row at a time as there are registers. Arrays are
C-contiguous and of one floating-point type: (rows, columns) of a tile, of at most SEVERAL vectors, or (units, pixels,
columns) of a line, which may have any number of them, and whose sources go on in the rows after theirs. Every sum is
taken in one order, wherever in a list its terms stand: units that are equal stay equal.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

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


def adder() -> Any:
    """into[unit] += the sum of weights[e] * rows[sources[e]] over `count` edges from `first` on.

    vectors: so many of each row. into: of a tile, or of a line.
    """
    names = "weights sources first count rows into unit vectors"

    @intrinsic
    def add(typing, weights, sources, first, count, rows, into, unit, vectors):
        def generate(context, builder, signature, arguments):
            code = Code(context, builder, signature, arguments, names)
            code.by_registers(lambda at, few: _write_sums(code, at, few, [code.index("first")], [code.index("unit")]))
            return context.get_dummy_value()

        return types.void(weights, sources, first, count, rows, into, unit, vectors), generate

    return add


def pair_adder() -> Any:
    """What `adder` does, for two units at once whose edges come from the same rows: each is read once for both.

    other, other_unit: the second unit's first edge, and the unit.
    """
    names = "weights sources first other count rows into unit other_unit vectors"

    @intrinsic
    def add(typing, weights, sources, first, other, count, rows, into, unit, other_unit, vectors):
        def generate(context, builder, signature, arguments):
            code = Code(context, builder, signature, arguments, names)
            firsts, units = ([*map(code.index, both)] for both in (("first", "other"), ("unit", "other_unit")))
            code.by_registers(lambda at, few: _write_sums(code, at, few, firsts, units))
            return context.get_dummy_value()

        return types.void(weights, sources, first, other, count, rows, into, unit, other_unit, vectors), generate

    return add


def _write_sums(code: Code, at: Any, vectors: int, firsts: Sequence[Any], units: Sequence[Any]) -> None:
    """The loop of an adder over `count` edges of each unit, whose rows are those of the first unit's edges."""
    builder = code.builder
    results = [code.row("into", unit, at, vectors) for unit in units]
    sums = [[cgutils.alloca_once_value(builder, code.load(part)) for part in result] for result in results]
    with cgutils.for_range(builder, code.index("count")) as loop:
        edges = [builder.add(first, loop.index) for first in firsts]
        weights = [code.broadcast(builder.load(code.at("weights", edge))) for edge in edges]
        row = [code.load(part) for part in code.row("rows", code.source(edges[0]), at, vectors)]
        for weight, taken in zip(weights, sums, strict=True):
            for place, part in zip(taken, row, strict=True):
                builder.store(code.multiply_add(weight, part, builder.load(place)), place)
    for taken, result in zip(sums, results, strict=True):
        for place, part in zip(taken, result, strict=True):
            code.store(builder.load(place), part)


def dotter() -> Any:
    """products[e] = slopes[unit] . rows[sources[e]] for `count` edges from `first` on; with `onto`, +=.

    vectors: so many of each row. slopes: of a tile, or of a line.
    """
    names = "slopes unit sources first count rows products onto vectors"

    @intrinsic
    def dot(typing, slopes, unit, sources, first, count, rows, products, onto, vectors):
        def generate(context, builder, signature, arguments):
            code = Code(context, builder, signature, arguments, names)
            code.by_registers(lambda at, few: _write_products(code, at, few))
            return context.get_dummy_value()

        return types.void(slopes, unit, sources, first, count, rows, products, onto, vectors), generate

    return dot


def _write_products(code: Code, at: Any, vectors: int) -> None:
    """The loop of a dotter over `count` edges, by fours."""
    builder, first, count = code.builder, code.index("first"), code.index("count")
    factors = [code.load(part) for part in code.row("slopes", code.index("unit"), at, vectors)]
    onto = builder.icmp_signed("!=", builder.or_(code.index("onto"), at), cgutils.intp_t(0))

    def write(edge: Any, several: int) -> None:
        """The products of so many edges from this one on."""
        taken = []
        for number in range(several):
            row = code.row("rows", code.source(builder.add(edge, cgutils.intp_t(number))), at, vectors)
            taken.append(builder.fmul(factors[0], code.load(row[0])))
            for factor, part in zip(factors[1:], row[1:], strict=True):
                taken[-1] = code.multiply_add(factor, code.load(part), taken[-1])
        totals = code.totals((taken * 4)[:4])  # one like four: whoever is added alone, its sum is the same
        totals = code.picked(totals, totals, range(several))
        place = builder.bitcast(code.at("products", edge), totals.type.as_pointer())
        before = builder.select(onto, code.load(place), ir.Constant(totals.type, None))
        code.store(builder.fadd(totals, before), place)

    fours = builder.udiv(count, cgutils.intp_t(4))
    with cgutils.for_range(builder, fours) as loop:
        write(builder.add(first, builder.mul(loop.index, cgutils.intp_t(4))), 4)
    done = builder.mul(fours, cgutils.intp_t(4))
    with cgutils.for_range(builder, builder.sub(count, done)) as loop:
        write(builder.add(builder.add(first, done), loop.index), 1)


def copier() -> Any:
    """into[at + k] = rows[first + k] for k below `count`; both have one axis, and do not overlap."""
    names = "rows first into at count"

    @intrinsic
    def copy(typing, rows, first, into, at, count):
        def generate(context, builder, signature, arguments):
            code = Code(context, builder, signature, arguments, names)
            _write_copy(code, code.at("rows", code.index("first")), code.at("into", code.index("at")))
            return context.get_dummy_value()

        return types.void(rows, first, into, at, count), generate

    return copy


def _write_copy(code: Code, source: Any, target: Any) -> None:
    """Copy `count` numbers by whole vectors, and what is left by halves of one, quarters and so on."""
    builder, count, lanes = code.builder, code.index("count"), cgutils.intp_t(code.lanes)

    def write(first: Any, numbers: int) -> None:
        kind = ir.VectorType(code.vector.element, numbers).as_pointer()
        places = (builder.bitcast(builder.gep(pointer, [first]), kind) for pointer in (source, target))
        read, written = places
        code.store(code.load(read), written)

    whole = builder.mul(builder.udiv(count, lanes), lanes)
    with cgutils.for_range_slice(builder, cgutils.intp_t(0), whole, lanes, inc=True) as (first, _):
        write(first, code.lanes)
    done, numbers = whole, code.lanes // 2
    while numbers:
        size = cgutils.intp_t(numbers)
        there = builder.icmp_unsigned(">=", builder.sub(count, done), size)
        with builder.if_then(there):
            write(done, numbers)
        done = builder.select(there, builder.add(done, size), done)
        numbers //= 2


def summer() -> Any:
    """The sum of the numbers in so many vectors of rows[unit]."""
    names = "rows unit vectors"

    @intrinsic
    def total(typing, rows, unit, vectors):
        def generate(context, builder, signature, arguments):
            code = Code(context, builder, signature, arguments, names)
            found = cgutils.alloca_once_value(builder, ir.Constant(code.vector.element, 0.0))

            def add(at: Any, few: int) -> None:
                first, *others = (code.load(part) for part in code.row("rows", code.index("unit"), at, few))
                for other in others:
                    first = builder.fadd(first, other)
                number = builder.extract_element(code.totals([first]), ir.IntType(32)(0))
                builder.store(builder.fadd(builder.load(found), number), found)

            code.by_registers(add)
            return builder.load(found)

        return rows.dtype(rows, unit, vectors), generate

    return total
