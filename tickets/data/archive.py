"""Unpack a few known files from a gzipped tar archive.

Only their names, kinds and sizes are used, never a path, an owner or a mode of the archive. Python's tarfile would also
do what extended headers say: they may be of any length, which it reads into memory, and nested, which it recurses into.
The published archives have none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from tickets.data.contents import PIECE, unpack
from tickets.errors import InputError
from tickets.opening import open_regular

_BLOCK = 512  # bytes; headers and files are padded to whole blocks
_OTHERS = 2**24  # bytes of headers and other members that an archive may have
_WITHOUT_DATA = b"123456"  # links, devices, folders and FIFOs


def unpack_members(archive: Path, name: str, members: Mapping[str, int], folder: Path) -> dict[str, Path]:
    """Unpack members of an archive into `folder`, under the names "0", "1", ...

    Parameters
    ----------
    archive
        The gzipped tar archive.
    name
        Its name, for messages.
    members
        The members to unpack, regular files, and their sizes in bytes.
    folder
        An existing folder.

    Returns
    -------
    dict
        The unpacked file of each member.

    Raises
    ------
    InputError
        If it is no such archive, or members are missing, there twice, not regular files or of another size.
    OSError
        If a file cannot be written.
    """
    with open_regular(archive) as file:
        try:
            tape = _Tape(unpack(file), sum(members.values()) + _OTHERS)
            return _unpacked(tape, members, folder)
        except InputError as error:
            raise InputError([f"{name}: {problem}" for problem in error.problems]) from error


class _Tape:
    """The bytes of a tar archive, in order, up to a limit."""

    def __init__(self, pieces: Iterator[bytes], at_most: int) -> None:
        self._pieces = pieces
        self._left = at_most
        self._limit = at_most
        self._held = b""
        self._at = 0  # where the unread bytes of `_held` begin

    def read(self, count: int) -> bytes:
        """The next `count` bytes; fewer at the end."""
        while len(self._held) - self._at < count and (piece := next(self._pieces, b"")):
            self._left -= len(piece)
            if self._left < 0:
                raise InputError(f"cannot be unpacked (it has more than {self._limit:,} bytes)")
            self._held = self._held[self._at :] + piece
            self._at = 0
        taken = self._held[self._at : self._at + count]
        self._at += len(taken)
        return taken

    def data(self, size: int) -> Iterator[bytes]:
        """The data of a member, in pieces, without the padding that follows them."""
        padded = -(-size // _BLOCK) * _BLOCK
        while padded:
            piece = self.read(min(padded, PIECE))
            if not piece:
                raise InputError("cannot be unpacked (it ends within a file)")
            padded -= len(piece)
            yield piece[:size]
            size = max(0, size - len(piece))


def _unpacked(tape: _Tape, members: Mapping[str, int], folder: Path) -> dict[str, Path]:
    """Go through the archive to its end, and write the wanted members."""
    found: dict[str, Path] = {}
    while (header := tape.read(_BLOCK)).strip(b"\0"):
        name, size, kind = _member(header)
        has_data = kind not in _WITHOUT_DATA
        if name not in members:
            for _ in tape.data(size if has_data else 0):
                pass
            continue
        if name in found:
            raise InputError(f"the archive has {name!r} twice")
        if kind not in (b"0", b"\0") or size != members[name]:
            what = f"{size:,} bytes" if kind in (b"0", b"\0") else "not a regular file"
            raise InputError(f"{name!r} is {what}; must be a file of {members[name]:,} bytes")
        found[name] = folder / str(len(found))
        with found[name].open("xb") as file:
            for piece in tape.data(size):
                file.write(piece)
    while tape.read(PIECE):  # to the end, where the checksum is
        pass
    missing = [repr(name) for name in members if name not in found]
    if missing:
        raise InputError(f"the archive has no {', '.join(missing)}")
    return found


def _member(header: bytes) -> tuple[str, int, bytes]:
    """The name, the size in bytes and the kind of a member."""
    # The sum of the header's bytes, those of the sum itself counted as spaces.
    if len(header) < _BLOCK or _number(header[148:156]) != sum(header) - sum(header[148:156]) + 8 * ord(" "):
        raise InputError("cannot be unpacked (it is no tar archive)")
    name = header[:100].partition(b"\0")[0]
    if header[257:263] == b"ustar\0":  # the POSIX format, which can split a long name
        start = header[345:500].partition(b"\0")[0]
        name = start + b"/" + name if start else name
    return name.decode("latin-1"), _number(header[124:136]), header[156:157]


def _number(field: bytes) -> int:
    """An octal number of a header."""
    digits = field.strip(b" \0")
    if digits.strip(b"01234567"):
        raise InputError("cannot be unpacked (it is no tar archive, or has a file of more than 8 GiB)")
    return int(digits or b"0", 8)
