"""Look through the footer of a Parquet file before Arrow reads it.

For an element of a list that takes one byte in the footer, Arrow allocates up to 700 bytes. It decompresses a page to
whatever size the page says. Where a group of rows has another number of columns than the table, it may end the process.

The footer is a Thrift struct in the compact protocol: https://github.com/apache/thrift, doc/specs. Of the structs of
parquet.thrift only the few fields are used that are named here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

# Elements of all lists in the footer of a file of n bytes; a column of a group of rows has some ten.
ELEMENTS = 50_000
BYTES_AN_ELEMENT = 64
COLUMNS = 1_000
_DEEPEST = 20

_MAGIC = b"PAR1"
_TRAILER = 8  # bytes after the footer: its length and the magic number

# The fields of FileMetaData, SchemaElement, RowGroup, ColumnChunk and ColumnMetaData.
_SCHEMA, _ROW_GROUPS = 2, 4
_TYPE, _REPETITION, _CHILDREN = 1, 3, 5
_REPEATED = 2
_CHUNKS = 1
_ELSEWHERE, _META_DATA = 1, 3
_CODEC = 4
# Snappy, which this package writes, grows a page by 21 at most; others make gigabytes of a few bytes.
_CODECS = {0: "none", 1: "Snappy"}


def check_footer(data: bytes) -> None:
    """Raise ValueError for a Parquet file with a footer that Arrow should not read.

    Parameters
    ----------
    data
        The content of the file.

    Raises
    ------
    ValueError
        If there is no footer, if it is not Thrift or has too many elements, if columns hold lists or other columns, if
        pages are compressed otherwise than by Snappy or are in another file, or if they are not of the table's columns.
    """
    length = int.from_bytes(data[-_TRAILER:-4], "little")
    if data[-4:] != _MAGIC or data[:4] != _MAGIC or length > len(data) - len(_MAGIC) - _TRAILER:
        raise ValueError("is not a Parquet file: it has no footer")
    try:
        footer = _Compact(data[-_TRAILER - length : -_TRAILER], ELEMENTS + len(data) // BYTES_AN_ELEMENT).struct()
        columns = footer[_SCHEMA][1:]
        if len(columns) > COLUMNS:
            raise ValueError(f"has {len(columns):,} columns; a table has at most {COLUMNS:,}")
        for column in columns:
            if _TYPE not in column or column.get(_CHILDREN, 0) or column.get(_REPETITION) == _REPEATED:
                raise ValueError("has a column of lists or of columns")
        for group in footer[_ROW_GROUPS]:
            if len(group[_CHUNKS]) != len(columns):
                raise ValueError("has a group of rows with another number of columns than the table")
            for chunk in group[_CHUNKS]:
                codec = chunk[_META_DATA][_CODEC]
                if codec not in _CODECS:
                    raise ValueError(f"is compressed (codec {codec}) otherwise than by {_CODECS[1]}")
                if _ELSEWHERE in chunk:
                    raise ValueError("has columns in another file")
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise ValueError("is not a Parquet file: its footer ends too early, or has another form") from error


class _Compact:
    """Reads values of Thrift's compact protocol. Strings and numbers with a point are passed over.

    data: the bytes. elements: how many elements all lists may have.
    """

    def __init__(self, data: bytes, elements: int) -> None:
        self._data, self._place, self._elements, self._depth = data, 0, elements, 0
        self._readers: Mapping[int, Callable[[], Any]] = {
            1: lambda: True,
            2: lambda: False,
            3: lambda: self._skip(1),
            4: self._integer,
            5: self._integer,
            6: self._integer,
            7: lambda: self._skip(8),
            8: lambda: self._skip(self._varint()),
            9: self._list,
            10: self._list,
            12: self.struct,
        }

    def struct(self) -> dict[int, Any]:
        """The fields of a struct, by number."""
        data, readers = self._data, self._readers
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ValueError("is not a Parquet file: its footer is nested too deep")
        fields: dict[int, Any] = {}
        number = 0
        while head := data[self._place]:
            self._place += 1
            number = number + (head >> 4) if head >> 4 else self._integer()
            if number in fields:
                raise ValueError("is not a Parquet file: its footer has a field twice")
            fields[number] = readers[head & 15]()
        self._place += 1
        self._depth -= 1
        return fields

    def _list(self) -> list[Any]:
        head = self._data[self._place]
        self._place += 1
        count = head >> 4 if head >> 4 != 15 else self._varint()
        self._elements -= count
        if self._elements < 0:
            raise ValueError("has a footer with too many elements for a file of its size")
        kind = head & 15
        # In a list, a truth value has a byte of its own.
        reader = self._readers[3 if kind in (1, 2) else kind]
        return [reader() for _ in range(count)]

    def _varint(self) -> int:
        byte = self._data[self._place]
        self._place += 1
        value, shift = byte & 127, 7
        while byte > 127:
            if shift > 63:
                raise ValueError("is not a Parquet file: its footer has a number of more than 64 bits")
            byte = self._data[self._place]
            self._place += 1
            value |= (byte & 127) << shift
            shift += 7
        return value

    def _integer(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)

    def _skip(self, count: int) -> None:
        self._place += count  # what is read past the end is an IndexError
