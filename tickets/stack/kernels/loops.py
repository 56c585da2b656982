"""The inner loops, in which nearly all the time is spent.

Sums stay in registers from edge to edge, for as many vectors of a row as there are registers. The order of summation
does not depend on the place of an edge in its list, so that equal units stay equal. See vectors.py for the arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from tickets.stack.kernels.vectors import Code


def adder() -> Any:
    """into[unit] += the sum of weights[e] * rows[sources[e]] over `count` edges from `first` on.

    vectors: vectors of each row to process. into: a tile or a line.
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
    """As `adder`, for two units whose edges read the same rows, so that each row is read once for both.

    other, other_unit: the first edge of the second unit, and the unit.
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
    """The loop of an adder over `count` edges of each unit, which read the rows of the first unit's edges."""
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

    vectors: vectors of each row to process. slopes: a tile or a line.
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
    """The loop of a dotter over `count` edges, four at a time."""
    builder, first, count = code.builder, code.index("first"), code.index("count")
    factors = [code.load(part) for part in code.row("slopes", code.index("unit"), at, vectors)]
    onto = builder.icmp_signed("!=", builder.or_(code.index("onto"), at), cgutils.intp_t(0))

    def write(edge: Any, several: int) -> None:
        """The products of `several` edges from `edge` on."""
        taken = []
        for number in range(several):
            row = code.row("rows", code.source(builder.add(edge, cgutils.intp_t(number))), at, vectors)
            taken.append(builder.fmul(factors[0], code.load(row[0])))
            for factor, part in zip(factors[1:], row[1:], strict=True):
                taken[-1] = code.multiply_add(factor, code.load(part), taken[-1])
        totals = code.totals((taken * 4)[:4])  # always four, so that a single product is summed in the same order
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
    """into[at + k] = rows[first + k] for k < `count`; both have one axis and do not overlap."""
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
    """Copy `count` numbers by whole vectors, and the remainder by halves of a vector, quarters and so on."""
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
    """The sum of the numbers in the first `vectors` vectors of rows[unit]."""
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
