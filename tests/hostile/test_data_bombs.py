"""Small data files that unpack to a lot, or say that they do, never fill the memory."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hostile.data_readers import (
    ARCHIVE,
    BATCH,
    IMAGES,
    LABELS,
    UNPACKED,
    images,
    labels,
    member,
    refused,
)

MIB = 2**20


def zeros(mebibytes: int, start: bytes) -> bytes:
    """Gzip data of `start` and zeros, quickly made. The checksum is wrong: it stands where nobody may get to."""
    pack = zlib.compressobj(9, zlib.DEFLATED, 31)
    head = pack.compress(start) + pack.flush(zlib.Z_FULL_FLUSH)
    block = pack.compress(bytes(MIB)) + pack.flush(zlib.Z_FULL_FLUSH)
    return head + block * mebibytes + pack.flush()


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
        lambda: zeros(1024, UNPACKED[ARCHIVE]),
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
