"""Data files with any content: they are read exactly, or refused on one line."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from hostile.data_readers import (
    ARCHIVE,
    BATCH,
    IMAGES,
    LABELS,
    MEMBERS,
    READERS,
    RECORD,
    UNPACKED,
    VALID,
    array_of,
    member,
    members_of,
    refused,
    tar_of,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st

ABSURD = (0, 1, 27, 28, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 0x801, 0x803)

LITTLE = settings(max_examples=50)


@st.composite
def mutated(draw: st.DrawFn, data: bytes) -> bytes:
    """Bytes that were once valid: some flipped, a number replaced, a piece cut out, doubled or put at the end."""
    found = bytearray(data)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(0, len(found) - 1)) | st.integers(0, min(20, max(0, len(found) - 1))))
        length = draw(st.integers(1, 600))
        kind = draw(st.sampled_from(["flip", "number", "cut", "end", "double", "extend", "random"]))
        if kind == "flip" and found:
            found[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "number":
            found[at // 4 * 4 : at // 4 * 4 + 4] = struct.pack(">I", draw(st.sampled_from(ABSURD)))
        elif kind == "cut":
            del found[at : at + length]
        elif kind == "end":
            del found[at:]
        elif kind == "double":
            found[at:at] = found[at : at + length]
        elif kind == "extend":
            found += draw(st.binary(min_size=1, max_size=40))
        else:
            found[at : at + length] = draw(st.binary(max_size=40))
    return bytes(found)


def hostile(file: str) -> st.SearchStrategy[bytes]:
    """Any bytes, changed valid files, and for gzipped files changed contents, packed again or more than once."""
    kinds = [st.binary(max_size=200), mutated(VALID[file])]
    if file.endswith(".gz"):
        inner = UNPACKED.get(file) or UNPACKED[file.removesuffix(".gz")]
        packed = mutated(inner).map(gzip.compress)
        kinds += [packed, packed.map(gzip.compress), st.tuples(packed, packed).map(b"".join)]
    return st.one_of(kinds)


def expected(file: str, data: bytes) -> np.ndarray | None:
    """What the definition of the format says of these bytes, in other words: the array, or None for a bad file."""
    if file.endswith(".gz"):
        try:
            unzip = zlib.decompressobj(31)
            data = unzip.decompress(data)
        except zlib.error:
            return None
        if not unzip.eof or unzip.unused_data:
            return None
        return expected(file.removesuffix(".gz"), data)
    if file == IMAGES:
        count, size = divmod(len(data) - 16, 784)
        good = size == 0 and data[:16] == struct.pack(">4I", 0x803, count, 28, 28)
        return np.array(list(data[16:]), np.uint8).reshape(-1, 28, 28) if good else None
    if file == LABELS:
        good = data[:8] == struct.pack(">2I", 0x801, max(0, len(data) - 8)) and all(label < 10 for label in data[8:])
        return np.array(list(data[8:]), np.uint8) if good else None
    good = bool(data) and len(data) % RECORD == 0 and all(label < 10 for label in data[::RECORD])
    return np.array(list(data), np.uint8).reshape(-1, RECORD) if good else None


def labelled(file: str, label: int) -> bytes:
    """The valid file with another last label, if it has labels."""
    kind = file.removesuffix(".gz")
    contents = bytearray(UNPACKED[kind])
    contents[-RECORD if kind == BATCH else -1] = label
    return gzip.compress(contents) if file.endswith(".gz") else bytes(contents)


@pytest.mark.parametrize("file", [file for file in READERS if file != ARCHIVE])
def test_any_content_is_read_exactly_or_refused(file: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("hostile") / file

    @LITTLE
    @given(hostile(file))
    @example(VALID[file])
    @example(VALID[file][:-4])  # of gzip data: the content is whole, its checksums are not
    @example(VALID[file] + b"\0")
    @example(b"")
    @example(labelled(file, 10))
    def check(data: bytes) -> None:
        path.write_bytes(data)
        wanted = expected(file, data)
        problem = refused(file, path)
        assert (problem is None) == (wanted is not None), problem
        if wanted is not None:
            assert np.array_equal(array_of(file, path), wanted)

    check()


def test_any_archive_is_unpacked_as_tarfile_does_or_refused(tmp_path: Path) -> None:
    path = tmp_path / ARCHIVE

    @LITTLE
    @given(hostile(ARCHIVE))
    @example(VALID[ARCHIVE])
    @example(gzip.compress(tar_of({name: bytes(RECORD) for name in MEMBERS}, tarfile.PAX_FORMAT)))
    @example(gzip.compress(tar_of({"x" * 200: b"y", **{name: bytes(RECORD) for name in MEMBERS}}, tarfile.PAX_FORMAT)))
    @example(gzip.compress(tar_of({"x" * 200: b"y", **{name: bytes(RECORD) for name in MEMBERS}}, tarfile.GNU_FORMAT)))
    @example(gzip.compress(tar_of({"x" * 99 + "/" + "y" * 90: b"z", **{name: bytes(RECORD) for name in MEMBERS}})))
    def check(data: bytes) -> None:
        path.write_bytes(data)
        if refused(ARCHIVE, path) is None:
            with tarfile.open(fileobj=io.BytesIO(data)) as tar:
                theirs = {name: tar.extractfile(name).read() for name in MEMBERS}  # type: ignore[union-attr]
            assert members_of(path) == theirs

    check()
    for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT):
        members = {"a" * 90 + "/" + "b" * 90: b"x" * 700} | {name: bytes([3]) * RECORD for name in MEMBERS}
        path.write_bytes(gzip.compress(tar_of(members, form)))
        assert members_of(path) == {name: bytes([3]) * RECORD for name in MEMBERS}
    path.write_bytes(gzip.compress(bytes(member(b"linked", 999, b"2")) + TAR))  # a link has a size, and no data
    assert members_of(path) == {name: bytes(RECORD) for name in MEMBERS}


WANTED = "cifar-10-batches-bin/test_batch.bin"
TAR = UNPACKED[ARCHIVE]


@pytest.mark.parametrize(
    ("tar", "message"),
    [
        (TAR[:9216] + TAR, "the archive has 'cifar-10-batches-bin/data_batch_1.bin' twice"),
        (member(WANTED.encode(), RECORD, b"2"), f"{WANTED!r} is not a regular file; must be a file of 3,073 bytes"),
        (member(WANTED.encode(), 8**11 - 1), f"{WANTED!r} is 8,589,934,591 bytes; must be a file of 3,073 bytes"),
        (member(b"other", 8**11 - 1), "cannot be unpacked (it ends within a file)"),
        (
            member(b"x", 0, field=b"\x80" + b"\xff" * 11),
            "cannot be unpacked (it is no tar archive, or has a file of more",
        ),
        (member(b"x", 0, field=b"-1".ljust(12)), "cannot be unpacked (it is no tar archive, or has a file of more"),
        (member(b"pax", 8**11 - 1, b"x"), "cannot be unpacked (it ends within a file)"),
        (member(b"pax", 0, b"x") * 5000, "the archive has no 'cifar-10-batches-bin/data_batch_1.bin', "),
        (member(b"../" + WANTED.encode(), RECORD) + bytes(3584), "the archive has no 'cifar-10-batches-bin/data_ba"),
        (TAR[:2048], "cannot be unpacked (it ends within a file)"),
        (TAR[:1500], "cannot be unpacked (it is no tar archive)"),
    ],
    ids=["twice", "link", "large", "cut", "binary", "negative", "long pax", "nested pax", "path", "cut 2", "cut 3"],
)
def test_a_forged_archive_is_refused(tmp_path: Path, tar: bytes, message: str) -> None:
    path = tmp_path / ARCHIVE
    path.write_bytes(gzip.compress(tar, compresslevel=1))
    problem = refused(ARCHIVE, path)
    assert problem is not None
    assert problem.startswith(f"{ARCHIVE}: {message}")
