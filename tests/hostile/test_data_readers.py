"""Data files with any content: they are read exactly, or refused on one line, and never fill the memory."""

from __future__ import annotations

import gzip
import io
import os
import socket
import struct
import tarfile
import tracemalloc
import zlib
from collections.abc import Callable
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
    members_of,
    tar_of,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tickets.data.idx import mnist
from tickets.errors import DiskError, InputError

MIB = 2**20
ABSURD = (0, 1, 27, 28, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 0x801, 0x803)

LITTLE = settings(max_examples=50)


def refused(file: str, path: Path) -> str | None:
    """Read a file; the error, or None. Any other exception is a failure of the test."""
    try:
        READERS[file](path)
    except InputError as error:
        refusal = error
    else:
        return None
    assert type(refusal) is InputError
    (problem,) = refusal.problems
    assert problem.isprintable()
    return problem


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


def member(name: bytes, size: int, kind: bytes = b"0", field: bytes | None = None) -> bytearray:
    """A header of a tar archive, with the right checksum."""
    header = bytearray(512)
    header[: len(name)] = name
    header[124:136] = b"%011o\0" % size if field is None else field
    header[156:157] = kind
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return header


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


def zeros(mebibytes: int, start: bytes) -> bytes:
    """Gzip data of `start` and zeros, quickly made. The checksum is wrong: it stands where nobody may get to."""
    pack = zlib.compressobj(9, zlib.DEFLATED, 31)
    head = pack.compress(start) + pack.flush(zlib.Z_FULL_FLUSH)
    block = pack.compress(bytes(MIB)) + pack.flush(zlib.Z_FULL_FLUSH)
    return head + block * mebibytes + pack.flush()


def images(count: int) -> bytes:
    return struct.pack(">4I", 0x803, count, 28, 28)


def labels(count: int) -> bytes:
    return struct.pack(">2I", 0x801, count)


GZ = f"{BATCH}.gz"
BOMBS: dict[str, tuple[str, Callable[[], bytes], float, str]] = {
    # file, its content, the most MiB that reading it may take, what is said
    "images beyond what is promised": (
        f"{IMAGES}.gz",
        lambda: zeros(1024, images(60_000)),
        60,
        "it is too long: more than 47,040,016 bytes, but its header says 60,000 examples",
    ),
    "few images promised": (
        f"{IMAGES}.gz",
        lambda: zeros(1024, images(2)),
        1,
        "it is too long: more than 1,584 bytes, but its header says 2 examples, which take 1,584",
    ),
    "too many images promised": (
        f"{IMAGES}.gz",
        lambda: zeros(1024, images(2**32 - 1)),
        1,
        "its header says 4,294,967,295 examples, which take 3,367,254,359,296; the content of a gzipped file may have "
        "at most 47,040,016 bytes (if there are really more examples, unpack it with gunzip)",
    ),
    "labels": (f"{LABELS}.gz", lambda: zeros(90, labels(5)), 1, "it is too long: more than 13 bytes"),
    "records": (
        GZ,
        lambda: zeros(1024, b""),
        45,
        "its content has more than 30,730,000 bytes, the most that a gzipped file may hold",
    ),
    "other members of an archive": (
        ARCHIVE,
        lambda: zeros(1024, bytes(member(b"other", 2**30))),
        1,
        "cannot be unpacked (it has more than 16,783,362 bytes)",
    ),
    "after an archive": (
        ARCHIVE,
        lambda: zeros(1024, TAR),
        1,
        "cannot be unpacked (it has more than 16,783,362 bytes)",
    ),
    "a name in the gzip header": (
        f"{LABELS}.gz",
        lambda: b"\x1f\x8b\x08\x08" + b"x" * 200_000,
        1,
        "has 200,004 bytes; ",
    ),
    "gzip in gzip": (f"{LABELS}.gz", lambda: gzip.compress(gzip.compress(bytes(99))), 1, "its magic number is 0x1f8b"),
    "plain, promised too much": (
        IMAGES,
        lambda: images(2**32 - 1) + bytes(784),
        1,
        "it is too short: 800 bytes, but its header says 4,294,967,295 examples",
    ),
}


@pytest.mark.parametrize("name", list(BOMBS))
def test_a_small_file_does_not_fill_the_memory(tmp_path: Path, name: str) -> None:
    file, content, most, message = BOMBS[name]
    path = tmp_path / file
    data = content()
    path.write_bytes(data)
    assert len(data) < 2 * MIB
    del data
    tracemalloc.start()
    try:
        problem = refused(file, path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert problem is not None
    assert message in problem
    assert peak < most * MIB


@pytest.mark.parametrize("file", [IMAGES, LABELS, BATCH, f"{IMAGES}.gz", ARCHIVE])
def test_an_endless_sparse_file_is_not_read(tmp_path: Path, file: str) -> None:
    path = tmp_path / file
    with path.open("wb") as sparse:
        sparse.truncate(2**40)
    problem = refused(file, path)
    assert problem is not None
    assert "has 1,099,511,627,776 bytes; such a file has at most" in problem or "incorrect header check" in problem


def make_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def make_socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # the name of a socket must be short
    try:
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(path.name)
    finally:
        os.chdir(here)


@pytest.mark.parametrize(
    ("make", "what"), [(os.mkfifo, "a FIFO"), (make_device, "a device"), (make_socket, "a socket")]
)
def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path, make: Callable[[Path], None], what: str) -> None:
    folder = tmp_path / "mnist"
    folder.mkdir()
    for file in (IMAGES, "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"):
        (folder / file).write_bytes(VALID[LABELS if "labels" in file else IMAGES])
    make(folder / LABELS)
    with pytest.raises(InputError) as caught:
        mnist(tmp_path)
    assert f"{folder / LABELS}: is {what}, not a regular file; delete it and run `tickets fetch mnist" in str(
        caught.value
    )
    (folder / f"{LABELS}.gz").write_bytes(VALID[f"{LABELS}.gz"])
    with pytest.raises(InputError, match=r"2 images and .*labels-idx1-ubyte\.gz has 5 labels"):  # that one was read
        mnist(tmp_path)


def test_a_folder_with_the_name_of_a_file_is_not_the_file(tmp_path: Path) -> None:
    """As in an archive of MNIST that is widely copied."""
    folder = tmp_path / "mnist"
    names = [f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]
    for name in names:
        (folder / name).mkdir(parents=True)
    with pytest.raises(InputError, match="4 files are missing"):
        mnist(tmp_path)
    for name in names:
        content = VALID[LABELS] if "labels" in name else images(5) + bytes(5 * 784)
        (folder / name.replace("-idx", ".idx")).write_bytes(content)
    assert mnist(tmp_path).train_labels.tolist() == [3, 0, 9, 1, 1]


def test_links_to_data_elsewhere_are_followed(tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    for name in ("train-images", "train-labels", "t10k-images", "t10k-labels"):
        kind = "idx1" if "labels" in name else "idx3"
        content = VALID[LABELS] if "labels" in name else images(5) + bytes(5 * 784)
        (folder / f"{name}-{kind}-ubyte").write_bytes(content)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mnist").symlink_to(folder)
    assert len(mnist(tmp_path / "data").train_labels) == 5


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        ("a\0b", r"'a\\x00b/mnist/train-images-idx3-ubyte': is no path \(embedded null byte\)"),
        ("x" * 300, "File name too"),
    ],
)
def test_a_data_folder_that_cannot_be(folder: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        mnist(Path(folder))


def test_a_data_folder_that_may_not_be_entered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> os.stat_result:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("tickets.data.files.os.stat", refuse)
    with pytest.raises(DiskError, match=r"ubyte: cannot be looked up \(Permission denied\); give another folder"):
        mnist(tmp_path)


def test_a_disk_that_fails_is_no_wrong_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: object) -> bytes:
        raise OSError(5, "Input/output error")

    path = tmp_path / LABELS
    path.write_bytes(VALID[LABELS])
    monkeypatch.setattr("tickets.data.contents._plain", fail)
    with pytest.raises(DiskError, match=f"{LABELS}: cannot be read \\(Input/output error\\); if this goes on, check"):
        READERS[LABELS](path)
