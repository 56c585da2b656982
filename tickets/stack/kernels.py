"""Training steps of one sparse network, compiled by Numba: forward, backward and the optimizer, edge by edge.

Activations and slopes (gradients of the loss by what comes into a unit) have a row a unit and a column an example, so
that an edge is one multiplication of a row by a number; of an image, a row a unit and pixel, so that it is one a pixel.
chain.py says where the rows are, and wiring.py which edges there are. Examples come in tiles of so many columns as
SEVERAL vectors have, the last of as many whole vectors as it takes. The two loops that nearly all the time goes into
are written in LLVM's vectors, which Numba has no words for: their sums stay in registers, edge after edge. Compiled
code lets other threads run beside it. All arrays are C-contiguous and of one floating-point type. Every sum is taken in
one order, wherever in a list its terms stand: units that are equal stay equal. NaN and infinities are what they are. It
is one file because what Numba keeps of a function goes stale with the function's own file alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from llvmlite import binding, ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic, overload

Function = TypeVar("Function", bound=Callable[..., Any])

SGD, ADAM, ADAMW = range(3)
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8  # of Adam and AdamW: torch.optim's defaults
VECTOR_BYTES = 64  # as wide as registers come; where they are narrower, LLVM takes two or four for each
SEVERAL = 4  # vectors in a row of a tile: registers hold as many sums, and what is added
IN_PAIRS = bool(binding.get_host_cpu_features().get("avx512f"))  # where registers hold the sums of two units

OPTIONS: Any = {"nogil": True, "error_model": "numpy", "fastmath": {"contract", "nsz"}}

# Of single precision and the exponential function.
MANTISSA_BITS = 23
EXPONENT_OF_1 = 127
SHIFT = np.float32(1.5 * 2**MANTISSA_BITS)
PER_LN_2 = np.float32(1 / np.log(2))
LN_2 = np.float32(round(np.log(2) * 2**9) / 2**9)  # so few digits that its products with n are exact
LN_2_REST = np.float32(np.log(2) - np.float64(LN_2))
ONE, C2, C3, C4, C5, C6, C7 = (np.float32(1 / math.factorial(k)) for k in range(1, 8))
LEAST = np.float32(-87)  # whose exponential is near the least number that has all its digits


def _compiled(function: Function) -> Function:
    try:
        made: Function = njit(cache=True, **OPTIONS)(function)
    except RuntimeError:  # nowhere to keep what was compiled: it is compiled in each process
        made = njit(**OPTIONS)(function)
    return made


class _Code:
    """The LLVM code of one call of an intrinsic; its arguments by name."""

    def __init__(self, context: Any, builder: Any, signature: Any, arguments: Any, names: str) -> None:
        self.builder = builder
        self._integers: dict[str, Any] = {}
        self._arrays: dict[str, tuple[Any, Any]] = {}  # where the first element is, and the length of a row
        for name, kind, argument in zip(names.split(), signature.args, arguments, strict=True):
            if isinstance(kind, types.Array):
                array = context.make_array(kind)(context, builder, argument)
                self._arrays[name] = array.data, cgutils.unpack_tuple(builder, array.shape)[-1]
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

    def row(self, name: str, index: Any, vectors: int) -> list[Any]:
        """Pointers to the vectors of one row of an argument that is a matrix."""
        first, length = self._arrays[name]
        pointer = self.builder.gep(first, [self.builder.mul(index, length)])
        pointer = self.builder.bitcast(pointer, self.vector.as_pointer())
        return [self.builder.gep(pointer, [cgutils.intp_t(vector)]) for vector in range(vectors)]

    def source(self, edge: Any) -> Any:
        """The row that an edge comes from."""
        return self.builder.zext(self.builder.load(self.at("sources", edge)), cgutils.intp_t)

    def load(self, pointer: Any) -> Any:
        """The vector there; torch's memory begins where whole vectors do, but no one need rely on it."""
        return self.builder.load(pointer, align=4)

    def store(self, vector: Any, pointer: Any) -> None:
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


def _adder(vectors: int) -> Any:
    """into[unit] += the sum of weights[e] * rows[sources[e]] over `count` edges from `first` on.

    vectors: in a row.
    """
    names = "weights sources first count rows into unit"

    @intrinsic
    def add(typing, weights, sources, first, count, rows, into, unit):
        def generate(context, builder, signature, arguments):
            code = _Code(context, builder, signature, arguments, names)
            _write_sums(code, vectors, [code.index("first")], [code.index("unit")])
            return context.get_dummy_value()

        return types.void(weights, sources, first, count, rows, into, unit), generate

    return add


def _pair_adder(vectors: int) -> Any:
    """What `_adder` does, for two units at once whose edges come from the same rows: each is read once for both.

    other, other_unit: the second unit's first edge, and the unit.
    """
    names = "weights sources first other count rows into unit other_unit"

    @intrinsic
    def add(typing, weights, sources, first, other, count, rows, into, unit, other_unit):
        def generate(context, builder, signature, arguments):
            code = _Code(context, builder, signature, arguments, names)
            firsts, units = ("first", "other"), ("unit", "other_unit")
            _write_sums(code, vectors, [*map(code.index, firsts)], [*map(code.index, units)])
            return context.get_dummy_value()

        return types.void(weights, sources, first, other, count, rows, into, unit, other_unit), generate

    return add


def _write_sums(code: _Code, vectors: int, firsts: Sequence[Any], units: Sequence[Any]) -> None:
    """The loop of an adder over `count` edges of each unit, whose rows are those of the first unit's edges."""
    builder = code.builder
    results = [code.row("into", unit, vectors) for unit in units]
    sums = [[cgutils.alloca_once_value(builder, code.load(part)) for part in result] for result in results]
    with cgutils.for_range(builder, code.index("count")) as loop:
        edges = [builder.add(first, loop.index) for first in firsts]
        weights = [code.broadcast(builder.load(code.at("weights", edge))) for edge in edges]
        row = [code.load(part) for part in code.row("rows", code.source(edges[0]), vectors)]
        for weight, taken in zip(weights, sums, strict=True):
            for place, part in zip(taken, row, strict=True):
                builder.store(code.multiply_add(weight, part, builder.load(place)), place)
    for taken, result in zip(sums, results, strict=True):
        for place, part in zip(taken, result, strict=True):
            code.store(builder.load(place), part)


def _dotter(vectors: int) -> Any:
    """products[e] = slopes[unit] . rows[sources[e]] for `count` edges from `first` on; with `onto`, +=.

    vectors: in a row.
    """
    names = "slopes unit sources first count rows products onto"

    @intrinsic
    def dot(typing, slopes, unit, sources, first, count, rows, products, onto):
        def generate(context, builder, signature, arguments):
            code = _Code(context, builder, signature, arguments, names)
            first, count = code.index("first"), code.index("count")
            factors = [code.load(part) for part in code.row("slopes", code.index("unit"), vectors)]
            onto = builder.icmp_signed("!=", code.index("onto"), cgutils.intp_t(0))

            def write(edge: Any, several: int) -> None:
                """The products of so many edges from this one on."""
                taken = []
                for number in range(several):
                    row = code.row("rows", code.source(builder.add(edge, cgutils.intp_t(number))), vectors)
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
            return context.get_dummy_value()

        return types.void(slopes, unit, sources, first, count, rows, products, onto), generate

    return dot


def _summer(vectors: int) -> Any:
    """The sum of the numbers in rows[unit]. vectors: in a row."""
    names = "rows unit"

    @intrinsic
    def total(typing, rows, unit):
        def generate(context, builder, signature, arguments):
            code = _Code(context, builder, signature, arguments, names)
            first, *others = (code.load(part) for part in code.row("rows", code.index("unit"), vectors))
            for other in others:
                first = builder.fadd(first, other)
            return builder.extract_element(code.totals([first]), ir.IntType(32)(0))

        return rows.dtype(rows, unit), generate

    return total


def _power_maker() -> Any:
    """2 to the power of n, for shifted = SHIFT + n in single precision: its last bits, moved to where exponents are."""

    @intrinsic
    def power(typing, shifted):
        def generate(context, builder, signature, arguments):
            integer = ir.IntType(32)
            bits = builder.add(builder.bitcast(arguments[0], integer), integer(EXPONENT_OF_1))
            return builder.bitcast(builder.shl(bits, integer(MANTISSA_BITS)), ir.FloatType())

        return types.float32(types.float32), generate

    return power


_add_4, _add_3, _add_2, _add_1 = (_adder(vectors) for vectors in (4, 3, 2, 1))
_add_pair_4, _add_pair_3, _add_pair_2, _add_pair_1 = (_pair_adder(vectors) for vectors in (4, 3, 2, 1))
_dot_4, _dot_3, _dot_2, _dot_1 = (_dotter(vectors) for vectors in (4, 3, 2, 1))
_sum_4, _sum_3, _sum_2, _sum_1 = (_summer(vectors) for vectors in (4, 3, 2, 1))
_power_of_two = _power_maker()


@_compiled
def _add_edges(edges, begin, end, weights, rows, into):
    """into[unit] += the sum of weights[e] * rows[source] over the edges of the segments `begin` to `end - 1`."""
    vectors = rows.shape[1] * rows.itemsize // VECTOR_BYTES
    source, i = edges.source, np.int64(begin)
    while i < end:
        unit, first, count = edges.unit[i], edges.first[i], edges.length[i]
        if IN_PAIRS and i + 1 < end and edges.paired[i]:
            other_unit, other = edges.unit[i + 1], edges.first[i + 1]
            if vectors == 4:
                _add_pair_4(weights, source, first, other, count, rows, into, unit, other_unit)
            elif vectors == 3:
                _add_pair_3(weights, source, first, other, count, rows, into, unit, other_unit)
            elif vectors == 2:
                _add_pair_2(weights, source, first, other, count, rows, into, unit, other_unit)
            else:
                _add_pair_1(weights, source, first, other, count, rows, into, unit, other_unit)
            i += 2
            continue
        if vectors == 4:
            _add_4(weights, source, first, count, rows, into, unit)
        elif vectors == 3:
            _add_3(weights, source, first, count, rows, into, unit)
        elif vectors == 2:
            _add_2(weights, source, first, count, rows, into, unit)
        else:
            _add_1(weights, source, first, count, rows, into, unit)
        i += 1


@_compiled
def _dot_edges(edges, begin, end, slopes, rows, products, onto):
    """products[e] = slopes[unit] . rows[source] for the edges of the segments `begin` to `end - 1`."""
    vectors = rows.shape[1] * rows.itemsize // VECTOR_BYTES
    for i in range(begin, end):
        unit, first, count = edges.unit[i], edges.first[i], edges.length[i]
        if vectors == 4:
            _dot_4(slopes, unit, edges.source, first, count, rows, products, onto)
        elif vectors == 3:
            _dot_3(slopes, unit, edges.source, first, count, rows, products, onto)
        elif vectors == 2:
            _dot_2(slopes, unit, edges.source, first, count, rows, products, onto)
        else:
            _dot_1(slopes, unit, edges.source, first, count, rows, products, onto)


@_compiled
def _sum_rows(rows, summed, sums, onto):
    """sums[unit] = the sum of the numbers in rows[unit], or 0 where it is not `summed`; with `onto`, +=."""
    vectors = rows.shape[1] * rows.itemsize // VECTOR_BYTES
    zero = rows.dtype.type(0)
    for unit in range(len(sums)):
        before = sums[unit] if onto else zero
        if not summed[unit]:
            sums[unit] = zero
        elif vectors == 4:
            sums[unit] = before + _sum_4(rows, unit)
        elif vectors == 3:
            sums[unit] = before + _sum_3(rows, unit)
        elif vectors == 2:
            sums[unit] = before + _sum_2(rows, unit)
        else:
            sums[unit] = before + _sum_1(rows, unit)


@_compiled
def _clear(rows, some):
    """Zeros in some of the rows."""
    for row in some:
        for k in range(rows.shape[1]):
            rows[row, k] = 0


@_compiled
def _forward(x, frame, idle, forward, weights, biases, outputs):
    """What comes out of every unit that is not idle, at every pixel; of the output units, the logits. x: see Layout."""
    zero = outputs.dtype.type(0)
    for layer in range(len(frame)):
        at = frame[layer]
        first, units, given = at.unit, at.units, x if layer == 0 else outputs
        for y in range(at.high):
            for z in range(at.wide):
                rows = given[at.source + y * at.source_line + z * at.source_pixel :]
                into = outputs[at.result + y * at.result_line + z * at.result_pixel :]
                for unit in range(units):
                    if idle[first + unit]:
                        continue
                    bias = biases[first + unit]
                    for k in range(into.shape[1]):
                        into[unit, k] = bias
                _add_edges(forward, forward.layer[layer], forward.layer[layer + 1], weights, rows, into)
                if layer == len(frame) - 1:
                    continue
                for unit in range(units):
                    if idle[first + unit]:
                        continue
                    for k in range(into.shape[1]):
                        value = into[unit, k]
                        into[unit, k] = zero if value <= 0 else value  # NaN stays
            if at.pool > 1 and (y + 1) % at.pool == 0:
                _pool(at, y // at.pool, idle, outputs)


@_compiled
def _pool(at, y, idle, outputs):
    """The greatest of each square, for one line of them."""
    for z in range(at.wide // at.pool):
        into = outputs[at.pooled + y * at.pooled_line + z * at.pooled_pixel :]
        for part in range(at.pool * at.pool):
            down, right = y * at.pool + part // at.pool, z * at.pool + part % at.pool
            rows = outputs[at.result + down * at.result_line + right * at.result_pixel :]
            for unit in range(at.units):
                if idle[at.unit + unit]:
                    continue
                for k in range(into.shape[1]):
                    value, most = rows[unit, k], into[unit, k]
                    into[unit, k] = value if part == 0 or value > most or value != value else most  # NaN stays


def _exp(x):
    """e to the power of x, which is at most 0: in single precision by arithmetic that comes in vectors, unlike libm's.

    With x = n ln 2 + r for an integer n, it is 2 to the power of n times the Taylor series of exp(r), for r is at most
    ln 2 / 2. To a unit of the last place; 0 below LEAST, where single precision has fewer digits.
    """
    raise NotImplementedError("only compiled code calls this")


@overload(_exp, jit_options=OPTIONS)
def _exp_of(x):
    if x != types.float32:
        return lambda x: np.exp(x)

    def exp(x):
        shifted = x * PER_LN_2 + SHIFT  # rounds to an integer: the next number is 1 away
        n = shifted - SHIFT
        r = x - n * LN_2 - n * LN_2_REST
        series = ONE + r * (ONE + r * (C2 + r * (C3 + r * (C4 + r * (C5 + r * (C6 + r * C7))))))
        return np.float32(0) if x < LEAST else series * _power_of_two(shifted)  # NaN stays

    return exp


@_compiled
def _output_slopes(labels, share, outputs, slopes, column):
    """The gradient of the loss by the logits: (softmax - one-hot) `share`; 0 past the labels' end.

    outputs, slopes: the output units' rows. share: of each example in the loss.
    """
    zero, (units, columns) = slopes.dtype.type(0), slopes.shape
    for k in range(columns):
        column[k] = outputs[0, k]
    for unit in range(1, units):
        for k in range(columns):
            column[k] = max(column[k], outputs[unit, k])
    for unit in range(units):
        for k in range(columns):
            slopes[unit, k] = _exp(outputs[unit, k] - column[k])
    for k in range(columns):
        column[k] = slopes[0, k]
    for unit in range(1, units):
        for k in range(columns):
            column[k] += slopes[unit, k]
    for k in range(columns):
        column[k] = share / column[k]
    for unit in range(units):
        for k in range(columns):
            slopes[unit, k] = slopes[unit, k] * column[k] if k < len(labels) else zero
    for k in range(len(labels)):
        slopes[labels[k], k] -= share


@_compiled
def _gradients(at, y, forward, begin, end, slopes, rows, gradients, bias_learns, bias_gradients, onto):
    """What one line adds to the gradients of a layer's weights and biases. rows: what it reads."""
    units = slice(at.unit, at.unit + at.units)
    for z in range(at.wide):
        slope = slopes[at.slope + y * at.slope_line + z * at.slope_pixel :]
        given = rows[at.source + y * at.source_line + z * at.source_pixel :]
        more = onto or y + z > 0
        _dot_edges(forward, begin, end, slope, given, gradients, more)
        _sum_rows(slope, bias_learns[units], bias_gradients[units], more)


@_compiled
def _slopes(at, after, y, idle, backward, begin, end, weights, outputs, slopes, between, whole):
    """What goes back through a layer's edges to one line of what the layer before writes.

    Nothing goes through a unit that is off, and of idle units there is none. With `whole`, what goes back is left in
    `between` as it is, for `_unpool`.
    """
    zero, first, units, rows = slopes.dtype.type(0), at.unit, at.units, after.rows
    for z in range(after.across):
        given = slopes[after.around + y * after.slope_line + z * after.slope_pixel :]
        into = slopes[at.slope + y * at.slope_line + z * at.slope_pixel :]
        if whole:
            into = between[(y * after.across + z) * rows :]
        for row in range(rows):
            if not whole and idle[first + row]:
                continue
            for k in range(into.shape[1]):
                into[row, k] = zero
        _add_edges(backward, begin, end, weights, given, into)
        if whole:
            continue
        result = outputs[at.result + y * at.result_line + z * at.result_pixel :]
        for unit in range(units):
            if idle[first + unit]:
                continue
            for k in range(into.shape[1]):
                into[unit, k] = zero if result[unit, k] <= 0 else into[unit, k]


@_compiled
def _unpool(at, idle, outputs, between, slopes, left):
    """What comes back of each square goes to the first of its pixels that is as great as what passed, if that is on."""
    zero, across = slopes.dtype.type(0), at.wide // at.pool
    for pixel in range(at.high // at.pool * across):
        y, z = divmod(pixel, across)
        given = between[pixel * at.units :]
        passed = outputs[at.pooled + y * at.pooled_line + z * at.pooled_pixel :]
        for unit in range(at.units):
            if idle[at.unit + unit]:
                continue
            for k in range(given.shape[1]):
                left[k] = zero if passed[unit, k] <= 0 else given[unit, k]
            for part in range(at.pool * at.pool):
                down, right = y * at.pool + part // at.pool, z * at.pool + part % at.pool
                result = at.result + down * at.result_line + right * at.result_pixel + unit
                slope = at.slope + down * at.slope_line + right * at.slope_pixel + unit
                for k in range(given.shape[1]):
                    here = outputs[result, k] == passed[unit, k]
                    slopes[slope, k] = left[k] if here else zero
                    left[k] = zero if here else left[k]


@_compiled
def _backward(
    x, frame, idle, forward, backward, weights, bias_learns, outputs, slopes, between, column, gradients,
    bias_gradients, onto,
):  # fmt: skip
    """From the output units' slopes to the gradients of all weights and biases, layer by layer; with `onto`, +=.

    weights: of the edges back. Line by line, so that a line's slopes are read for both while they are in the cache.
    """
    for back in range(len(frame)):
        layer = len(frame) - 1 - back
        at, before, rows = frame[layer], frame[max(0, layer - 1)], x if layer == 0 else outputs
        whole = before.pool > 1 or before.is_image != at.is_image  # not at once, but when all that goes back is there
        for y in range(max(at.high, at.down)):
            if y < at.high:
                _gradients(
                    at, y, forward, forward.layer[layer], forward.layer[layer + 1], slopes, rows,
                    gradients, bias_learns, bias_gradients, onto,
                )  # fmt: skip
            if layer > 0 and y < at.down:
                _slopes(
                    before, at, y, idle, backward, backward.layer[back], backward.layer[back + 1], weights,
                    outputs, slopes, between, whole,
                )  # fmt: skip
        if layer > 0 and whole:
            _unpool(before, idle, outputs, between, slopes, column)


@_compiled
def _update(kind, values, gradients, first_moment, second_moment, step, rate, momentum, decay):
    """One step of torch.optim's SGD, Adam or AdamW, in place. step: counted from 1. rate, momentum, decay: floats."""
    real = values.dtype.type
    if kind == SGD:
        lr, mu, wd = real(rate), real(momentum), real(decay)
        for p in range(len(values)):
            gradient = gradients[p] + wd * values[p]
            if momentum != 0:
                first_moment[p] = mu * first_moment[p] + gradient
                gradient = first_moment[p]
            values[p] -= lr * gradient
    else:
        size, root = real(rate / (1 - BETA1**step)), real(1 / np.sqrt(1 - BETA2**step))
        keep, one, two, least = real(BETA2), real(1 - BETA1), real(1 - BETA2), real(EPSILON)
        coupled, shrink = real(decay if kind == ADAM else 0.0), real(1 - rate * decay if kind == ADAMW else 1.0)
        for p in range(len(values)):
            value = values[p] * shrink
            gradient = gradients[p] + coupled * value
            first_moment[p] += (gradient - first_moment[p]) * one
            second_moment[p] = second_moment[p] * keep + gradient * gradient * two
            values[p] = value - size * first_moment[p] / (np.sqrt(second_moment[p]) * root + least)


@_compiled
def lay_out(examples, places, rows, given, tiles):
    """Write batches of examples as `take_steps` reads them.

    examples: (n, inputs). places: (steps, batch) int64. rows, given: a Layout's, the latter (inputs,). tiles: (steps,
    rows x columns), `take_steps`' x.
    """
    inputs, batch, tile = examples.shape[1], places.shape[1], SEVERAL * VECTOR_BYTES // tiles.itemsize
    columns, few = tiles.shape[1] // rows, VECTOR_BYTES
    for s in range(len(places)):
        for begin in range(0, columns, tile):
            end = min(begin + tile, columns)
            part = tiles[s, begin * rows : end * rows].reshape(rows, end - begin)
            if rows > inputs:
                part[:] = 0
            for first in range(0, inputs, few):  # of each example: what is read and written stays in the first cache
                last = min(first + few, inputs)
                for k in range(end - begin):
                    if begin + k < batch:
                        example = examples[places[s, begin + k]]
                        for i in range(first, last):
                            part[given[i], k] = example[i]
                    else:
                        for i in range(first, last):
                            part[given[i], k] = 0


@_compiled
def take_steps(
    x, labels, given_rows, frame, output_border, slope_border, idle, forward, backward, backward_edge,
    weights, biases, bias_learns, weight_moments, bias_moments,
    outputs, slopes, between, gradients, bias_gradients, back, column,
    kind, taken, rates, momentum, decay,
):  # fmt: skip
    """Train one network for as many steps as `rates` has numbers.

    x: (steps, given_rows x columns): tile after tile, each (given_rows, its columns), 0 past the batch's end. labels:
    (steps, batch) int64. given_rows to slope_border: a Layout's; idle to backward_edge: a Wiring's. weights: (edges,),
    biases: (units,), bias_learns: (units,) bool. weight_moments: (2, edges), bias_moments: (2, units). Room to work in:
    outputs, slopes, between, of a Layout's rows x a tile's columns; gradients, bias_gradients, back, column: (edges,),
    (units,), (backward edges,), (a tile's columns,). What is of all edges or units may be longer; gradients past the
    end, and of idle units' edges, are 0 and stay 0. taken: optimizer steps before these. rates: (steps,) float64.
    """
    last = frame[-1]
    columns, tile = x.shape[1] // given_rows, SEVERAL * VECTOR_BYTES // weights.itemsize
    share = weights.dtype.type(1.0 / labels.shape[1])
    for s in range(len(rates)):
        for e in range(len(back)):
            back[e] = weights[backward_edge[e]]
        for begin in range(0, columns, tile):
            end = min(begin + tile, columns)
            wide = end - begin
            given = x[s, begin * given_rows : end * given_rows].reshape(given_rows, wide)
            out = outputs[: len(outputs) // tile * wide].reshape(-1, wide)
            slope = slopes[: len(slopes) // tile * wide].reshape(-1, wide)
            through = between[: len(between) // tile * wide].reshape(-1, wide)
            _clear(out, output_border)
            _clear(slope, slope_border)
            _forward(given, frame, idle, forward, weights, biases, out)
            logits, logit_slopes = out[last.result :][: last.units], slope[last.slope :][: last.units]
            _output_slopes(labels[s, begin:end], share, logits, logit_slopes, column)
            _backward(
                given, frame, idle, forward, backward, back, bias_learns, out, slope, through, column, gradients,
                bias_gradients, begin > 0,
            )  # fmt: skip
        step = taken + s + 1
        _update(kind, weights, gradients, weight_moments[0], weight_moments[1], step, rates[s], momentum, decay)
        _update(kind, biases, bias_gradients, bias_moments[0], bias_moments[1], step, rates[s], momentum, decay)


@_compiled
def logits_of(x, frame, output_border, idle, forward, weights, biases, outputs, logits):
    """Write the logits of one network, (tiles, classes, columns), for x (tiles, given rows, columns)."""
    for tile in range(len(x)):
        _clear(outputs, output_border)
        _forward(x[tile], frame, idle, forward, weights, biases, outputs)
        for unit in range(logits.shape[1]):
            for k in range(outputs.shape[1]):
                logits[tile, unit, k] = outputs[frame[-1].result + unit, k]
