"""Decode Parquet files that somebody else may have written, with a bound on memory.

A page of a few bytes can stand for millions of equal rows, and a string that is stored once for as many. What a file
unfolds to is therefore counted from its footer and its dictionaries, before it is unfolded.
"""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tickets.store.parquet_footer import check_footer

# Rows of a file of n bytes, of up to `USUAL` columns; of wider ones fewer, so that they have as many cells. Rows of
# networks that all diverged, the most compressible ones, took 0.4 bytes each; others take tens of bytes. A table with
# more than `MOST_FLAT` rows has others, too.
ROWS = 100_000
ROWS_A_BYTE = 4
MOST_FLAT = 2_000_000
BYTES_A_ROW = 8
USUAL = 16
TEXT = 2**26  # bytes of text, all rows together
TEXT_A_BYTE = 100
MOST_FLAT_TEXT = 2**28


def read_parquet(data: bytes, check_columns: Callable[[pa.Schema], None], most_rows: int | None = None) -> pa.Table:
    """Decode a Parquet file whose columns are numbers, bools and strings.

    Parameters
    ----------
    data
        Its content.
    check_columns
        Is called with the columns before any is read; raises ValueError for others than it wants.
    most_rows
        The most rows that the table may have, if that is known.

    Raises
    ------
    ValueError
        If the content is not a Parquet file, has other columns, missing values, or unfolds to more than the module's
        bounds for a file of this size.
    """
    check_footer(data)
    try:
        # The limits are on the footer's own strings and lists.
        limits = {"thrift_string_size_limit": max(len(data), 1), "thrift_container_size_limit": max(len(data), 1)}
        source = pa.BufferReader(data)
        footer = pq.ParquetFile(source, **limits)
        schema = footer.schema_arrow
        check_columns(schema)
        _check_rows(footer.metadata, len(data), most_rows)
        text = [field.name for field in schema if field.type == pa.string()]
        file = pq.ParquetFile(pa.BufferReader(data), metadata=footer.metadata, read_dictionary=text, **limits)
        table = file.read(use_threads=False)
        _check_text(table, text, min(TEXT + TEXT_A_BYTE * len(data), MOST_FLAT_TEXT) + BYTES_A_ROW * len(data))
        table = table.cast(schema)  # dictionaries become plain strings
        table.validate(full=True)
    except (pa.ArrowException, OSError, MemoryError, OverflowError, RecursionError) as error:
        raise ValueError(f"not a Parquet file ({error})") from error
    if missing := [name for name in table.column_names if table[name].null_count]:
        raise ValueError(f"column {missing[0]!r} has missing values; numbers that are not known are NaN")
    return table


def _check_rows(footer: pq.FileMetaData, size: int, most_rows: int | None) -> None:
    groups = [footer.row_group(index).num_rows for index in range(footer.num_row_groups)]
    rows = max(footer.num_rows, sum(groups))
    if rows < 0 or any(count < 0 for count in groups):
        raise ValueError("has a negative number of rows")
    if most_rows is not None and rows > most_rows:
        raise ValueError(f"has {rows:,} rows, but by its manifest at most {most_rows:,}")
    flat = min(ROWS + ROWS_A_BYTE * size, MOST_FLAT)
    bound = (flat + size // BYTES_A_ROW) * USUAL // max(footer.num_columns, USUAL)
    if rows > bound:
        raise ValueError(f"has {rows:,} rows in {size:,} bytes; a table of this size has at most {bound:,}")


def _check_text(table: pa.Table, columns: list[str], most: int) -> None:
    total = 0
    for name in columns:
        for chunk in table[name].chunks:
            if not isinstance(chunk, pa.DictionaryArray):
                total += chunk.nbytes
                continue
            lengths = pc.binary_length(chunk.dictionary).cast(pa.int64())
            total += pc.sum(lengths.take(chunk.indices)).as_py() or 0
    if total > most:
        raise ValueError(f"unfolds to {total:,} bytes of text, more than the {most:,} of a table of this size")
