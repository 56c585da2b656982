"""Forged Parquet tables: what is wrong with one column or with the rows, in words and as bytes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

TYPES: tuple[pa.DataType, ...] = (
    pa.string(), pa.int64(), pa.int32(), pa.float64(), pa.float32(), pa.float16(), pa.bool_(), pa.binary(),
    pa.large_string(), pa.list_(pa.int64()), pa.struct({"a": pa.int64()}), pa.timestamp("ns"),
    pa.decimal128(19), pa.dictionary(pa.int32(), pa.string()), pa.uint64(), pa.null(),
)  # fmt: skip
TEXTS = ("", "unknown", "x" * 200_000, "</text><script>", "=1+1", "\x1b[31m", "../../x", "a\0b", "\u202e", "TICKET")
NUMBERS: Mapping[pa.DataType, Sequence[Any]] = {
    pa.string(): TEXTS,
    pa.int64(): (-1, 0, 1, 7, 2**62, -(2**63)),
    pa.float64(): (float("nan"), float("inf"), float("-inf"), -1.0, 0.0, 1e308, 5e-324),
    pa.bool_(): (True, False),
}


def forged_tables(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Every forgery of a table: (what is wrong, the file)."""
    table = pq.read_table(pa.BufferReader(data))
    yield "no byte", b""
    yield "no column", encoded(pa.table({}))
    for name, rows in _rows(table).items():
        yield f"rows: {name}", encoded(rows)
    yield "columns reversed", encoded(table.select(table.column_names[::-1]))
    yield "a column more", encoded(table.append_column("more", pa.array([1.0] * len(table))))
    yield "a column of markup", encoded(table.append_column("</td><script>", pa.array(["=1"] * len(table))))
    yield "a name too long", encoded(table.append_column("x" * 100_000, pa.array([1.0] * len(table))))
    for place, field in enumerate(table.schema):
        yield f"{field.name} gone", encoded(table.remove_column(place))
        yield f"{field.name} twice", encoded(table.append_column(field, table[field.name]))
        yield (
            f"{field.name} renamed",
            encoded(table.rename_columns([name + "x" * (name == field.name) for name in table.column_names])),
        )
        for kind in TYPES:
            yield f"{field.name} of {kind}", encoded(replaced(table, place, _of_type(len(table), kind)))
        values = table[field.name].to_pylist()
        for value in NUMBERS[field.type]:
            shown = repr(value)[:30]
            for which, changed in (("first", [value, *values[1:]]), ("last", [*values[:-1], value]),
                                   ("all", [value] * len(values))):  # fmt: skip
                yield f"{which} {field.name} {shown}", encoded(replaced(table, place, pa.array(changed, field.type)))
        yield f"{field.name} missing once", encoded(replaced(table, place, pa.array([None, *values[1:]], field.type)))


def encoded(table: pa.Table, **options: Any) -> bytes:
    """A table as a Parquet file."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, **options)
    return bytes(sink.getvalue())


def rows_of(data: bytes) -> int | None:
    """The number of rows that a Parquet file says it has; None if it is none."""
    try:
        return int(pq.ParquetFile(pa.BufferReader(data)).metadata.num_rows)
    except (pa.ArrowException, OSError):
        return None


def replaced(table: pa.Table, place: int, values: pa.Array) -> pa.Table:
    """The table with another column at a place."""
    return table.set_column(place, pa.field(table.column_names[place], values.type), values)


def _rows(table: pa.Table) -> dict[str, pa.Table]:
    ticket = [arm == "ticket" for arm in table["arm"].to_pylist()]
    first = [replicate == 0 for replicate in table["replicate"].to_pylist()]
    return {
        "none": table.slice(0, 0),
        "the first": table.slice(0, 1),
        "all but the last": table.slice(0, len(table) - 1),
        "the first twice": pa.concat_tables([table.slice(0, 1), table]),
        "all twice": pa.concat_tables([table, table]),
        "reversed": table.take(list(range(len(table)))[::-1]),
        "the ticket's": table.filter(ticket),
        "not the ticket's": table.filter([not one for one in ticket]),
        "replicate 0": table.filter(first),
    }


def _of_type(count: int, kind: pa.DataType) -> pa.Array:
    if pa.types.is_list(kind):
        return pa.array([[1, 2]] * count, kind)
    if pa.types.is_struct(kind):
        return pa.array([{"a": 1}] * count, kind)
    if pa.types.is_binary(kind):
        return pa.array([b"\xff"] * count, kind)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return pa.array(["1"] * count, kind)
    if pa.types.is_dictionary(kind):
        return pa.array(["1"] * count).dictionary_encode()
    if pa.types.is_null(kind):
        return pa.nulls(count)
    if pa.types.is_boolean(kind):
        return pa.array([True] * count)
    if pa.types.is_float16(kind):
        return pa.array(np.ones(count, np.float16))
    return pa.array([1] * count).cast(kind)
