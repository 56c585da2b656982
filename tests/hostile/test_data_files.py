"""What may stand in the place of a data file or its folder: FIFOs, devices, folders, links, disks that fail."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from hostile.data_readers import (
    IMAGES,
    LABELS,
    READERS,
    VALID,
    images,
)

from tickets.data.idx import mnist
from tickets.errors import DiskError, InputError


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
