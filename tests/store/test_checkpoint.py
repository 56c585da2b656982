"""The file of a checkpoint: written whole or not at all, and no bit of it is taken for another."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file

from tickets.errors import InputError, LeaseLostError
from tickets.store.checkpoint import (
    DamagedCheckpointError,
    read_checkpoint,
    remove_checkpoint,
    sweep_checkpoints,
    write_checkpoint,
)

ABOUT: dict[str, Any] = {"run": "a", "groups": [1, {"é": None}]}
BUFFERS = [b"", b"12345", b"\0" * 8]
NAME = "checkpoint.safetensors"


def write(folder: Path, about: dict[str, Any] = ABOUT) -> bytes:
    write_checkpoint(folder, about, [memoryview(buffer) for buffer in BUFFERS])
    return (folder / NAME).read_bytes()


def test_what_is_written_is_read(tmp_path: Path) -> None:
    assert read_checkpoint(tmp_path) is None
    write(tmp_path)
    found = read_checkpoint(tmp_path)
    assert found is not None
    assert found.about == ABOUT
    assert [bytes(buffer) for buffer in found.buffers] == BUFFERS
    assert [path.name for path in tmp_path.iterdir()] == [NAME]
    found.buffers[1][0] = 0  # may be trained in


def test_it_is_a_safetensors_file_whose_last_tensor_is_the_digest_of_the_rest(tmp_path: Path) -> None:
    data = write(tmp_path)
    tensors = load_file(tmp_path / NAME)
    assert tensors["1"].tobytes() == b"12345"
    assert tensors["sha256"].tobytes() == data[-32:] == hashlib.sha256(data[:-32]).digest()


def test_it_replaces_the_one_before(tmp_path: Path) -> None:
    write(tmp_path)
    write(tmp_path, {"run": "b"})
    assert read_checkpoint(tmp_path).about == {"run": "b"}  # type: ignore[union-attr]


def test_a_write_that_fails_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = write(tmp_path)
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(InputError, match=f"no space left in {tmp_path} to write"):
        write(tmp_path, {"run": "b"})
    assert (tmp_path / NAME).read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_every_bit_that_changes_is_seen(tmp_path: Path) -> None:
    data = bytearray(write(tmp_path))
    for place in range(8 * len(data)):
        data[place // 8] ^= 1 << place % 8
        (tmp_path / NAME).write_bytes(data)
        with pytest.raises(DamagedCheckpointError):
            read_checkpoint(tmp_path)
        data[place // 8] ^= 1 << place % 8


def test_every_truncation_and_every_addition_is_seen(tmp_path: Path) -> None:
    data = write(tmp_path)
    for other in (*(data[:size] for size in range(len(data))), data + b"\0", b"\0" + data, data * 2):
        (tmp_path / NAME).write_bytes(other)
        with pytest.raises(DamagedCheckpointError):
            read_checkpoint(tmp_path)


def with_digest(header: Any, body: bytes) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    data = len(text).to_bytes(8, "little") + text + body
    return data + hashlib.sha256(data).digest()


def forged(change: Callable[[dict[str, Any]], Any]) -> bytes:
    header: dict[str, Any] = {
        "__metadata__": {"about": "{}"},
        "0": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]},
        "sha256": {"dtype": "U8", "shape": [32], "data_offsets": [4, 36]},
    }
    changed = change(header)
    return with_digest(header if changed is None else changed, b"1234")


FORGED = {
    "overlapping": lambda h: h["0"].update(data_offsets=[0, 6]),
    "backwards": lambda h: h["0"].update(data_offsets=[4, 0]),
    "negative": lambda h: h["0"].update(data_offsets=[-4, 4]),
    "huge": lambda h: h["0"].update(data_offsets=[0, 2**80]),
    "floats": lambda h: h["0"].update(data_offsets=[0.0, 4.0]),
    "bools": lambda h: h["0"].update(data_offsets=[False, 4]),
    "texts": lambda h: h["0"].update(data_offsets="04"),
    "three": lambda h: h["0"].update(data_offsets=[0, 4, 4]),
    "no digest": lambda h: h.pop("sha256") and None,
    "another name": lambda h: h.update({"1": h.pop("0")}),
    "no metadata": lambda h: h.pop("__metadata__") and None,
    "no about": lambda h: h["__metadata__"].clear(),
    "about a list": lambda h: h["__metadata__"].update(about="[]"),
    "about no JSON": lambda h: h["__metadata__"].update(about="{"),
    "about a number": lambda h: h["__metadata__"].update(about=3),
    "a list": lambda h: [h],
    "deep": lambda h: b"[" * 100_000,
    "deep within": lambda h: h["__metadata__"].update(about="[" * 100_000),
    "not JSON": lambda h: b"\xff" * 40,
    "many digits": lambda h: b'{"__metadata__":' + b"9" * 5000 + b"}",
}


def test_the_forgeries_are_of_a_checkpoint_that_can_be_read(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(forged(lambda header: None))
    found = read_checkpoint(tmp_path)
    assert found is not None
    assert [bytes(buffer) for buffer in found.buffers] == [b"1234"]


@pytest.mark.parametrize("kind", FORGED)
def test_a_forged_header_is_refused_though_its_digest_is_right(kind: str, tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(forged(FORGED[kind]))
    with pytest.raises(DamagedCheckpointError):
        read_checkpoint(tmp_path)


def test_a_header_that_is_longer_than_the_file_is_not_read(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes((2**62).to_bytes(8, "little") + b"{}" * 50)
    with pytest.raises(DamagedCheckpointError, match="its header is longer than the file"):
        read_checkpoint(tmp_path)


def test_what_is_no_regular_file_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / NAME
    os.mkfifo(path)
    with pytest.raises(DamagedCheckpointError, match="is a FIFO, not a regular file"):
        read_checkpoint(tmp_path)
    path.unlink()
    path.symlink_to("/dev/zero")
    with pytest.raises(DamagedCheckpointError, match="is a link, not a regular file"):
        read_checkpoint(tmp_path)
    path.unlink()
    path.mkdir()
    with pytest.raises(DamagedCheckpointError, match="is a folder, not a regular file"):
        read_checkpoint(tmp_path)
    assert not remove_checkpoint(tmp_path)
    assert path.is_dir()


def test_those_of_finished_cohorts_are_swept(tmp_path: Path) -> None:
    for name in ("cohort-000", "cohort-001", "other"):
        (tmp_path / name).mkdir()
        write(tmp_path / name)
    sweep_checkpoints(tmp_path, [1], lambda: None)
    assert sorted(path.parent.name for path in tmp_path.glob(f"*/{NAME}")) == ["cohort-001", "other"]
    sweep_checkpoints(tmp_path / "not there", [], lambda: None)


def test_who_has_lost_the_lock_removes_no_checkpoint(tmp_path):
    cohort = tmp_path / "cohort-000"
    cohort.mkdir()
    write_checkpoint(cohort, {}, [])

    def lost():
        raise LeaseLostError("another process has taken it over")

    with pytest.raises(LeaseLostError):
        sweep_checkpoints(tmp_path, [], lost)
    assert read_checkpoint(cohort) is not None
    sweep_checkpoints(tmp_path, [0], lambda: None)
    assert read_checkpoint(cohort) is not None
    sweep_checkpoints(tmp_path, [], lambda: None)
    assert read_checkpoint(cohort) is None
