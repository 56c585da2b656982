"""Read the content of a data file, gzipped or not: no more bytes than its format and its header allow.

Unpacking stops at the promised length, so that a small file cannot fill the memory.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tickets.errors import DiskError, InputError
from tickets.opening import open_regular

Contents = bytes | bytearray

PIECE = 2**16  # bytes that are read or unpacked at a time
_GZIP = 31  # zlib's number for one gzip member, with its header and its checksum


@dataclass(frozen=True)
class Promise:
    """The length of a content that its header promises.

    Attributes
    ----------
    length
        In bytes, the header included.
    why
        The reason, for messages: "its header says 5 examples, which take 3,936".
    """

    length: int
    why: str

    def check(self, found: int) -> None:
        """Raise InputError unless a content of `found` bytes has the promised length."""
        if found != self.length:
            fault = "too short" if found < self.length else "too long"
            raise InputError(f"it is {fault}: {found:,} bytes, but {self.why}")


@dataclass(frozen=True)
class Format:
    """How long the content of a file may be.

    Attributes
    ----------
    largest
        The most bytes of a file that is not gzipped.
    largest_gzipped
        The most bytes of the unpacked content of a gzipped file. Since a gzipped file can be a thousand times smaller
        than its content, this is the size of the published file.
    header
        The bytes of the header.
    promise
        ``promise(header)`` returns what the header promises, or raises InputError if it is no such header. Without
        it, every length up to the largest is allowed.
    """

    largest: int
    largest_gzipped: int
    header: int = 0
    promise: Callable[[bytes], Promise] | None = None


def read(path: Path, form: Format, gzipped: bool) -> Contents:
    """The content of a file.

    If it is shorter than its header promises, it is returned as it is: the parser of the format says so.

    Parameters
    ----------
    path
        The path of the file. Links are followed; anything but a regular file is an error.
    form
        How long the content may be.
    gzipped
        Whether the file is gzipped.

    Raises
    ------
    InputError
        If the file is not a regular file, is too long, or its gzip data is damaged.
    DiskError
        If the system refuses to read it.
    """
    # Data that cannot be compressed grow by less than a thousandth.
    largest = form.largest_gzipped + form.largest_gzipped // 1000 + PIECE if gzipped else form.largest
    try:
        with open_regular(path, follow=True, at_most=largest) as file:
            try:
                return _unpacked(file, form) if gzipped else _plain(file, form)
            except InputError as error:
                raise InputError([f"{path}: {problem}" for problem in error.problems]) from error
    except FileNotFoundError as error:
        raise InputError(f"{path}: there is no such file") from error
    except OSError as error:
        raise DiskError(
            f"{path}: cannot be read ({error.strerror or error}); if this goes on, check the disk and its mount"
        ) from error


def unpack(file: BinaryIO) -> Iterator[bytes]:
    """Unpack gzip data in pieces of at most `PIECE` bytes.

    Parameters
    ----------
    file
        The gzipped file: one member and nothing else.

    Raises
    ------
    InputError
        If the data is damaged (a wrong checksum included), ends too early, or is followed by anything.
    """
    unzip = zlib.decompressobj(_GZIP)
    while not unzip.eof:
        packed = unzip.unconsumed_tail or file.read(PIECE)
        if not packed:
            raise InputError(f"its gzip data ends too early, after {file.tell():,} bytes")
        try:
            piece = unzip.decompress(packed, PIECE)
        except zlib.error as error:
            reason = str(error).rpartition("data: ")[2]  # without zlib's number of the error
            raise InputError(f"its gzip data is damaged ({reason})") from error
        if piece:
            yield piece
    if unzip.unused_data or file.read(1):
        end = file.tell() - len(unzip.unused_data)
        raise InputError(
            f"its gzip data ends after {end:,} bytes, and other data follow; a gzipped file must be one gzip member "
            "and nothing else"
        )


def _plain(file: BinaryIO, form: Format) -> bytes:
    """The content of a file that is not gzipped."""
    size = os.fstat(file.fileno()).st_size
    header = file.read(form.header)
    if form.promise is not None and len(header) == form.header:
        form.promise(header).check(size)
    file.seek(0)
    return file.read(size)


def _unpacked(file: BinaryIO, form: Format) -> bytearray:
    """The unpacked content of a gzipped file."""
    contents = bytearray()
    promise: Promise | None = None
    for piece in unpack(file):
        contents += piece
        if promise is None and form.promise is not None and len(contents) >= form.header:
            promise = form.promise(bytes(contents[: form.header]))
            if promise.length > form.largest_gzipped:
                raise InputError(
                    f"{promise.why}; the content of a gzipped file may have at most {form.largest_gzipped:,} bytes "
                    "(if there are really more examples, unpack it with gunzip)"
                )
        if promise is not None and len(contents) > promise.length:
            raise InputError(f"it is too long: more than {promise.length:,} bytes, but {promise.why}")
        if len(contents) > form.largest_gzipped:
            raise InputError(
                f"its content has more than {form.largest_gzipped:,} bytes, the most that a gzipped file may hold "
                "(if there are really more examples, unpack it with gunzip)"
            )
    return contents
