"""The readers of data files, as plain functions that a fuzzer can call, and a valid file of each.

Each reader takes the path of a file with any content, and returns or raises InputError. A fuzzer can start with
`VALID`.
"""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from tickets.data import cifar10, idx
from tickets.data.archive import unpack_members
from tickets.data.contents import Format, read
from tickets.errors import InputError

IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
BATCH, ARCHIVE = "data_batch_1.bin", "cifar-10-binary.tar.gz"
RECORD = 3073  # bytes
MEMBERS = {f"cifar-10-batches-bin/{file}": RECORD for file in (BATCH, "test_batch.bin")}


def array_of(file: str, path: Path) -> np.ndarray:
    """What is read from a file of the kind that is published as `file`, gzipped if that ends in .gz."""
    kind = file.removesuffix(".gz")
    form: Format = cifar10.FORMAT if kind == BATCH else idx.file_format(kind)
    contents = read(path, form, gzipped=file.endswith(".gz"))
    return cifar10.parse_records(contents) if kind == BATCH else idx.parse(kind, contents)


def members_of(path: Path) -> dict[str, bytes]:
    """The two members of a CIFAR-10 archive of one record each."""
    with tempfile.TemporaryDirectory() as folder:
        found = unpack_members(path, ARCHIVE, MEMBERS, Path(folder))
        return {name: file.read_bytes() for name, file in found.items()}


def _read_array(file: str, path: Path) -> None:
    array = array_of(file, path)
    assert array.dtype == np.uint8
    kind = file.removesuffix(".gz")
    if kind == IMAGES:
        assert array.ndim == 3
        assert array.shape[1:] == (28, 28)
        return
    labels = array if kind == LABELS else array[:, 0]
    assert labels.ndim == 1
    assert not (labels > 9).any()
    assert kind == LABELS or array.shape[1:] == (RECORD,)


def _read_archive(path: Path) -> None:
    assert {name: len(data) for name, data in members_of(path).items()} == MEMBERS


READERS: Mapping[str, Callable[[Path], None]] = {
    **{f"{kind}{end}": partial(_read_array, f"{kind}{end}") for kind in (IMAGES, LABELS, BATCH) for end in ("", ".gz")},
    ARCHIVE: _read_archive,
}


def refused(file: str, path: Path) -> str | None:
    """Read a file; the error, or None. Any other exception passes."""
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


def tar_of(members: Mapping[str, bytes], form: int = tarfile.GNU_FORMAT) -> bytes:
    """A tar archive, not gzipped."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as tar:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def member(name: bytes, size: int, kind: bytes = b"0", field: bytes | None = None) -> bytearray:
    """A header of a tar archive, with the right checksum."""
    header = bytearray(512)
    header[: len(name)] = name
    header[124:136] = b"%011o\0" % size if field is None else field
    header[156:157] = kind
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return header


def images(count: int) -> bytes:
    """The header of a file of so many images."""
    return struct.pack(">4I", 0x803, count, 28, 28)


def labels(count: int) -> bytes:
    """The header of a file of so many labels."""
    return struct.pack(">2I", 0x801, count)


UNPACKED: Mapping[str, bytes] = {
    IMAGES: images(2) + bytes(range(256)) * 6 + bytes(32),
    LABELS: labels(5) + bytes([3, 0, 9, 1, 1]),
    BATCH: (bytes([7]) + bytes(range(256)) * 12) * 2,
    ARCHIVE: tar_of({"cifar-10-batches-bin/readme.html": b"x"} | {name: bytes(RECORD) for name in MEMBERS}),
}
VALID: Mapping[str, bytes] = {
    file: gzip.compress(UNPACKED.get(file, b"") or UNPACKED[file.removesuffix(".gz")], mtime=0)
    if file.endswith(".gz")
    else UNPACKED[file]
    for file in READERS
}
