"""Small files that promise or unfold to a lot, and the memory that reading each of them takes, in a process of its own.

    python tests/hostile/bombs.py FOLDER

prints a line of JSON for each bomb: its name, its bytes, the MiB that reading it took at most, and what was said. Each
is read in a fork of the process that has imported everything, so that nothing that an earlier one left is reused.
"""

from __future__ import annotations

import gzip
import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import pyarrow as pa
from hostile.data_readers import IMAGES, images
from hostile.every_reader import READERS
from hostile.forged_arrays import packed
from hostile.forged_tables import encoded

from tickets.errors import InputError

MIB = 2**20
_ZEROS = pa.array([0]).take(pa.array(np.zeros(100_000, np.int64)))


def _many_lists(opens: bytes, closes: bytes) -> bytes:
    return b'{"schema": 1, "a": [' + (opens + closes + b",") * 1_500_000 + b"5]}"


def _headed(header: bytes, said: int | None = None) -> bytes:
    """A safetensors file without arrays, whose length of the header may be another."""
    return (len(header) if said is None else said).to_bytes(8, "little") + header


def _no_arrays(count: int) -> bytes:
    """The header of many arrays of no element."""
    arrays = (f'"{number}/a": {{"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}}' for number in range(count))
    return f'{{"__metadata__": {{"shapes": "{{}}"}}, {", ".join(arrays)}}}'.encode()


def _column_chunks(count: int) -> bytes:
    """A Parquet footer that says that a group of rows has many columns."""
    schema = b"\x19\x2c\x48\x04root\x15\x02\x00\x15\x04\x25\x00\x18\x01a\x00"
    said = bytes([0xFC, count & 127 | 128, count >> 7 & 127 | 128, count >> 14])
    footer = b"\x15\x02" + schema + b"\x16\x00\x19\x1c\x19" + said + b"\0" * count
    return b"PAR1" + footer + len(footer).to_bytes(4, "little") + b"PAR1"


BOMBS: Mapping[str, tuple[str, Callable[[], bytes]]] = {
    "a table of 300 equal columns": (
        "any Parquet", lambda: encoded(pa.table({f"column {number}": _ZEROS for number in range(300)}))),
    "a table of millions of equal rows": (
        "any Parquet", lambda: encoded(pa.table({"a": pa.array([0]).take(pa.array(np.zeros(9_000_000, np.int64)))}))),
    "a page that zstd unfolds": (
        "any Parquet", lambda: encoded(pa.table({"a": ["x" * 32 * MIB]}), compression="zstd")),
    "a long string in every row": (
        "any Parquet",
        lambda: encoded(pa.table({"a": pa.DictionaryArray.from_arrays(_ZEROS, ["x" * MIB])}), store_schema=False)),
    "a footer of column chunks": ("any Parquet", lambda: _column_chunks(2**20)),
    "a header of 100 MB that is not there": ("values.safetensors", lambda: _headed(b"{}", 10**8)),
    "a header of 2**63 bytes": ("masks.safetensors", lambda: _headed(b"{}", 2**63)),
    "a header of many arrays": ("values.safetensors", lambda: _headed(_no_arrays(10_000))),
    "a header of many lists": ("weights.safetensors", lambda: _headed(b'{"a":[' + b"[]," * 1_500_000 + b"1]}")),
    "an array of 2**61 bytes": (
        "optimizer.safetensors",
        lambda: _headed(b'{"0/a/b": {"dtype": "F32", "shape": [%d], "data_offsets": [0, %d]}}' % (2**59, 2**61))),
    "a mask that says that it is large": (
        "masks.safetensors",
        lambda: packed({"0/ticket/a": np.zeros(1, np.uint8)}, {"a": [2**62 - 1]})),
    "run.json of many lists": ("run.json", lambda: _many_lists(b"[", b"]")),
    "run.json of many objects": ("run.json", lambda: _many_lists(b"{", b"}")),
    "a manifest of many numbers": (
        "manifest of a round", lambda: b'{"schema": 1, "a": [' + b"0," * 5_000_000 + b"5]}"),
    "run.json that is nested deep": ("run.json", lambda: b"[" * 10_000_000),
    "an index of many lists": ("index of runs", lambda: b"\n" + _many_lists(b"[", b"]")),
    "a log of empty lines": ("log.jsonl", lambda: b"\n" * 3_000_000),
    "a log of one line of lists": ("log.jsonl", lambda: _many_lists(b"[", b"]") + b"\n"),
    "a checkpoint with a long header": ("checkpoint.safetensors", lambda: _headed(b"{}" + bytes(100), 2**40)),
    "a lease of many lists": ("lease", lambda: _many_lists(b"[", b"]")),
    "a campaign of many values": ("campaign_file", lambda: b"a = [" + b"1," * 600_000 + b"1]"),
    "a campaign that is nested deep": ("campaign_file", lambda: b"a = " + b"[" * 5_000_000),
    "a campaign with a long key": ("campaign_file", lambda: b"a." * 2_000_000 + b"a = 1"),
    "a probe of many values": ("probe_option", lambda: b"{ name = [" + b"1," * 600_000 + b"1] }"),
    "images of zeros": (f"{IMAGES}.gz", lambda: gzip.compress(images(60_000) + bytes(50 * MIB), 1)),
    "images within images": (f"{IMAGES}.gz", lambda: gzip.compress(gzip.compress(bytes(50 * MIB), 1), 1)),
}  # fmt: skip


# The MiB that reading may take, beside those of files of their size; and how many for each MiB of the file.
CONSTANT, EACH = 20, 16
MORE = {
    "a header of many arrays": 20,  # 66 bytes make an array and two keys of 2 KB
    "images of zeros": 50,  # as many as the published file has
}


def growth(read: Callable[[], object]) -> float:
    """The MiB by which the memory of this process is larger at most while it reads. Linux alone tells."""
    Path("/proc/self/clear_refs").write_text("5")  # the highest size begins anew
    before = _status("VmRSS")
    read()
    return (_status("VmHWM") - before) / 1024


def _status(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:"))


def measured(name: str, folder: Path) -> dict[str, object]:
    """What reading a bomb takes, and what is said."""
    reader, make = BOMBS[name]
    path = folder / "bomb"
    path.write_bytes(make())
    said: list[str] = []

    def read() -> None:
        try:
            READERS[reader](path)
        except InputError as error:
            said.append(str(error)[:200])

    mib = growth(read)
    return {"name": name, "bytes": path.stat().st_size, "mib": round(mib, 1), "said": said}


def _in_a_fork(name: str, folder: Path) -> None:
    child = os.fork()
    if not child:
        try:
            print(json.dumps(measured(name, folder)), flush=True)
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
        os._exit(0)
    os.waitpid(child, 0)


if __name__ == "__main__":
    for one in BOMBS:
        _in_a_fork(one, Path(sys.argv[1]))
