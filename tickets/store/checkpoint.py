"""The file of a checkpoint: JSON and the bytes of tensors, and a SHA-256 of all that, as one safetensors file.

    8 bytes                the length of the header, little-endian
    header                 JSON: where each tensor is, and as metadata "about" the JSON that is saved
    bytes of the tensors   "0", "1", ...: their bytes alone; the JSON says what they are
    32 bytes               the last tensor, "sha256": of all bytes before it

A file that was torn, or in which a bit has changed, does not have the SHA-256 at its end. Nobody is kept from writing
one that has it: what is read must be checked by whoever uses it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tickets.errors import InputError
from tickets.opening import open_regular
from tickets.store.commit import replace_file
from tickets.store.layout import Layout, cohort_folders
from tickets.store.sealed import parse_json
from tickets.store.temporary import Permit

_LENGTH, _DIGEST = 8, 32  # bytes
_MOST_HEADER = 2**28  # bytes of a header


class DamagedCheckpointError(ValueError):
    """A checkpoint that is not as it was written."""


@dataclass(frozen=True)
class SavedCheckpoint:
    """What a checkpoint holds.

    Parameters
    ----------
    about
        The JSON.
    buffers
        The bytes of the tensors, writable.
    """

    about: Mapping[str, Any]
    buffers: Sequence[memoryview]


def write_checkpoint(
    cohort: Path, about: Mapping[str, Any], buffers: Sequence[memoryview], permit: Permit | None = None
) -> None:
    """Replace a cohort's checkpoint. A process that is killed meanwhile leaves the one that was there.

    Parameters
    ----------
    cohort
        The cohort's folder.
    about
        JSON values.
    buffers
        The bytes of tensors; they are written as they are, without a copy of all of them.
    permit
        Asked before the file is replaced.

    Raises
    ------
    DiskError
        If the system refuses it.
    """
    entries: dict[str, Any] = {"__metadata__": {"about": json.dumps(about, allow_nan=False)}}
    end = 0
    for name, size in [*((str(place), each.nbytes) for place, each in enumerate(buffers)), ("sha256", _DIGEST)]:
        entries[name] = {"dtype": "U8", "shape": [size], "data_offsets": [end, end + size]}
        end += size
    header = json.dumps(entries).encode()
    header += b" " * (-len(header) % 8)
    chunks = [memoryview(len(header).to_bytes(_LENGTH, "little") + header), *buffers]
    found = hashlib.sha256()
    for chunk in chunks:
        found.update(chunk)
    replace_file(cohort / Layout.CHECKPOINT, [*chunks, memoryview(found.digest())], permit)


def read_checkpoint(cohort: Path) -> SavedCheckpoint | None:
    """A cohort's checkpoint; None if there is none. It takes as much memory as the file has bytes.

    Raises
    ------
    DamagedCheckpointError
        If it is not as it was written; the text says what is wrong.
    """
    try:
        with open_regular(cohort / Layout.CHECKPOINT) as file:
            size = os.fstat(file.fileno()).st_size
            head = file.read(_LENGTH)
            header = file.read(_header_bytes(head, size))
            about, sizes = _described(header, size - _LENGTH - len(header))
            body = bytearray(size - _LENGTH - len(header))
            if file.readinto(body) != len(body):
                raise DamagedCheckpointError("its end is missing")
    except FileNotFoundError:
        return None
    except (InputError, OSError, MemoryError) as error:
        raise DamagedCheckpointError(f"it cannot be read ({error})") from error
    content, given = memoryview(body)[:-_DIGEST], bytes(body[-_DIGEST:])
    found = hashlib.sha256(head)
    found.update(header)
    found.update(content)
    if found.digest() != given:
        raise DamagedCheckpointError("its content does not have the SHA-256 that it says")
    buffers, begin = [], 0
    for each in sizes:
        buffers.append(content[begin : begin + each])
        begin += each
    return SavedCheckpoint(about, buffers)


def remove_checkpoint(cohort: Path) -> bool:
    """Remove a cohort's checkpoint; whether there was one. A folder in its place stays."""
    try:
        (cohort / Layout.CHECKPOINT).unlink()
    except OSError:
        return False
    return True


def sweep_checkpoints(run: Path, unfinished: Sequence[int], permit: Permit) -> None:
    """Remove the checkpoints of cohorts that lack no round: of processes that were killed after their last commit.

    The caller must hold the campaign's lock.

    Parameters
    ----------
    run
        The run's folder; it need not exist.
    unfinished
        The indices of the cohorts that lack something.
    permit
        The `check` of the lock's lease: whoever has the lock by now may let these cohorts train again.
    """
    if run.is_dir():
        for index, cohort in cohort_folders(run):
            if index not in unfinished and os.path.lexists(cohort / Layout.CHECKPOINT):
                permit()
                remove_checkpoint(cohort)


def _header_bytes(head: bytes, size: int) -> int:
    length = int.from_bytes(head, "little")
    if len(head) < _LENGTH or length > min(size - _LENGTH - _DIGEST, _MOST_HEADER):
        raise DamagedCheckpointError("its header is longer than the file")
    return length


def _described(header: bytes, body: int) -> tuple[Mapping[str, Any], list[int]]:
    """What the header says: the JSON that was saved, and the size of each buffer.

    body: the bytes after the header.
    """
    try:
        entries = parse_json(header)
        about = parse_json(entries.pop("__metadata__")["about"].encode())
        names = [*map(str, range(len(entries) - 1)), "sha256"]
        places = [tuple(entries[name]["data_offsets"]) for name in names]
        sizes = [last - first for first, last in places]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedCheckpointError("its header is not that of a checkpoint") from error
    end = 0
    for first, last in places:
        if type(first) is not int or type(last) is not int or first != end or last < first:
            raise DamagedCheckpointError("its tensors do not follow one another")
        end = last
    if end != body or sizes[-1] != _DIGEST or not isinstance(about, dict):
        raise DamagedCheckpointError("its header and its size do not agree")
    return about, sizes[:-1]
