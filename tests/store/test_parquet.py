"""Parquet files whose footers and pages promise more than they hold, or what Arrow should not be given."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tickets.store.parquet import read_parquet
from tickets.store.parquet_footer import check_footer
from tickets.store.tables import CURVES, decode_table, encode_table

MAGIC = b"PAR1"


def encoded(table, **options):
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, **options)
    return bytes(sink.getvalue())


def read(data):
    return read_parquet(data, lambda columns: None)


def varint(number):
    return bytes([number]) if number < 128 else bytes([number & 127 | 128]) + varint(number >> 7)


def list_of(count, kind=12):
    """The head of a list of structs in Thrift's compact protocol."""
    return bytes([0xF0 | kind]) + varint(count)


def with_footer(footer):
    return MAGIC + footer + len(footer).to_bytes(4, "little") + MAGIC


VERSION = b"\x15\x02"
SCHEMA = b"\x19" + list_of(2) + b"\x48\x04root\x15\x02\x00" + b"\x15\x04\x25\x00\x18\x01a\x00"
NO_ROWS = b"\x16\x00"
CHUNK = b"\x26\x00\x1c\x15\x04\x19\x05\x19\x18\x01a\x15\x00\x16\x00\x16\x00\x16\x00\x26\x00\x00\x00"


def group_of(chunks):
    """A group of rows with these column chunks."""
    return b"\x19" + list_of(1) + b"\x19" + list_of(len(chunks)) + b"".join(chunks) + b"\x16\x00\x16\x00\x00\x00"


def test_what_is_written_is_read():
    empty = CURVES.empty_table().to_pandas()
    assert decode_table(encode_table(empty, CURVES), CURVES).num_rows == 0
    frame = pd.DataFrame({field.name: ["a", "é"] if field.type == pa.string() else [1, 2] for field in CURVES})
    frame = frame.astype({field.name: float for field in CURVES if field.type == pa.float64()})
    pd.testing.assert_frame_equal(decode_table(encode_table(frame, CURVES), CURVES).to_pandas(), frame)
    wide = pa.table({f"column {number}": [float(number), float("nan")] for number in range(1000)})
    assert read(encoded(wide)).num_columns == 1000
    assert read(encoded(pa.table({"a": np.arange(100)}), row_group_size=1)).num_rows == 100
    assert read(encoded(pa.table({"a": [1.5]}), compression="none")).num_rows == 1


@pytest.mark.parametrize("codec", ["gzip", "brotli", "zstd", "lz4"])
def test_pages_that_may_grow_without_bound_are_not_read(codec):
    with pytest.raises(ValueError, match=r"is compressed \(codec \d\) otherwise than by Snappy"):
        read(encoded(pa.table({"a": ["x" * 100_000]}), compression=codec))


def test_rows_are_bounded_by_the_cells_of_a_table_not_by_its_rows_alone():
    one = pa.array(np.zeros(50_000))
    assert read(encoded(pa.table({"a": one}))).num_rows == 50_000
    with pytest.raises(ValueError, match=r"has 50,000 rows in .* bytes; a table of this size has at most"):
        read(encoded(pa.table({f"column {number}": one for number in range(100)})))


@pytest.mark.parametrize(
    "table",
    [pa.table({"a": [[1, 2]]}), pa.table({"a": [{"b": 1}]}), pa.table({"a": [1], "b": [[[None]]]})],
    ids=["list", "struct", "lists"],
)
def test_columns_within_columns_are_not_read(table):
    with pytest.raises(ValueError, match="has a column of lists or of columns"):
        read(encoded(table))


@pytest.mark.parametrize(
    ("footer", "message"),
    [
        (VERSION + b"\x19" + list_of(10**6) + b"\0" * 10**6, "too many elements"),
        (VERSION + SCHEMA + NO_ROWS + b"\x19" + list_of(10**6) + b"\0" * 10**6, "too many elements"),
        (VERSION + SCHEMA + NO_ROWS + group_of([CHUNK] * 100_000) + b"\0", "too many elements"),
        (VERSION + b"\x19" + list_of(2**40), "too many elements"),
        (VERSION + SCHEMA + NO_ROWS + group_of([CHUNK, CHUNK]) + b"\0", "another number of columns than the table"),
        (VERSION + SCHEMA + NO_ROWS + group_of([]) + b"\0", "another number of columns than the table"),
        (VERSION + SCHEMA + NO_ROWS + group_of([b"\x26\x00\x00"]) + b"\0", "or has another form"),
        (VERSION + SCHEMA + NO_ROWS + b"\0", "or has another form"),
        (VERSION + b"\x05\x02\x02\0", "has a field twice"),
        (b"\x1c" * 100, "nested too deep"),
        (b"\x15" + b"\xff" * 11, "a number of more than 64 bits"),
        (b"\x18" + varint(2**40), "ends too early"),
        (b"\x1f\0", "or has another form"),
        (b"", "ends too early"),
    ],
)  # fmt: skip
def test_a_footer_that_promises_too_much_is_not_given_to_arrow(footer, message, monkeypatch):
    monkeypatch.setattr(pq, "ParquetFile", None)
    with pytest.raises(ValueError, match=message):
        read(with_footer(footer))


@pytest.mark.parametrize("data", [b"", MAGIC, MAGIC * 2, b"PAR1\0\0\0\0PARE", b"PAR1\xff\xff\xff\xffPAR1", b"x" * 50])
def test_no_footer(data):
    with pytest.raises(ValueError, match="is not a Parquet file: it"):
        read(data)


def test_the_footer_made_here_is_one_that_arrow_reads():
    data = with_footer(VERSION + SCHEMA + NO_ROWS + group_of([CHUNK]) + b"\0")
    check_footer(data)
    assert pq.ParquetFile(pa.BufferReader(data)).metadata.num_columns == 1
