from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tickets.data.augmentation import flip_and_crop
from tickets.data.cifar10 import FILES, cifar10
from tickets.errors import InputError

Write = Callable[..., Path]


def record(label: int, red: int, green: int, blue: int) -> bytes:
    return bytes([label]) + bytes([red]) * 1024 + bytes([green]) * 1024 + bytes([blue]) * 1024


@pytest.fixture
def batches() -> dict[str, bytes]:
    """Two records in each training file, one in the test file; file i has labels i and i + 1."""
    train = {f"data_batch_{i}.bin": record(i, i, 100, 200) + record(i + 1, 0, 0, 255) for i in range(1, 6)}
    return train | {"test_batch.bin": record(9, 1, 2, 3)}


PLACES = ["cifar10/cifar-10-batches-bin", "cifar10", "cifar-10-batches-bin"]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("gzipped", [False, True])
def test_cifar10_is_read_normalised_and_hashed(
    batches: dict[str, bytes], write_files: Write, place: str, gzipped: bool
) -> None:
    folder = write_files({f"{place}/{file}": data for file, data in batches.items()}, gzipped)
    dataset = cifar10(folder).validated()
    assert dataset.train_inputs.shape == (10, 3, 32, 32)
    assert dataset.test_inputs.shape == (1, 3, 32, 32)
    assert dataset.train_labels.tolist() == [1, 2, 2, 3, 3, 4, 4, 5, 5, 6]
    assert dataset.test_labels.tolist() == [9]
    mean, deviation = torch.tensor([0.4914, 0.4822, 0.4465]), torch.tensor([0.2470, 0.2435, 0.2616])
    wanted = (torch.tensor([4.0, 100.0, 200.0]) / 255 - mean) / deviation
    assert torch.allclose(dataset.train_inputs[6, :, 31, 7], wanted)
    assert dataset.sha256 == hashlib.sha256(b"".join(batches[file] for file in FILES)).hexdigest()
    assert (dataset.classes, dataset.augment) == (10, None)


def test_planes_are_read_row_by_row(batches: dict[str, bytes], write_files: Write) -> None:
    ramp = bytes([0]) + bytes(range(32)) * 96  # every row of every plane is 0..31
    folder = write_files({f"cifar10/{file}": data for file, data in (batches | {"test_batch.bin": ramp}).items()})
    red = cifar10(folder).test_inputs[0, 0] * 0.2470 + 0.4914
    assert torch.allclose(red * 255, torch.arange(32.0).expand(32, 32), atol=1e-3)


def test_augment_is_flip_and_crop(batches: dict[str, bytes], write_files: Write) -> None:
    folder = write_files({f"cifar10/{file}": data for file, data in batches.items()})
    assert cifar10(folder, augment=True).augment is flip_and_crop


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "it has 0 bytes; it must hold whole records of 3,073 bytes, one or more"),
        (
            record(1, 2, 3, 4)[:-1],
            "it has 3,072 bytes; it must hold whole records of 3,073 bytes, one or more (3,072 bytes are left over)",
        ),
        (
            record(1, 2, 3, 4) + b"\0",
            "it has 3,074 bytes; it must hold whole records of 3,073 bytes, one or more (1 bytes are left over)",
        ),
        (
            record(1, 0, 0, 0) + record(10, 0, 0, 0),
            "the label of record 1 is 10 (1 such); labels must be 0 to 9",
        ),
    ],
)
def test_a_bad_file_is_named_with_what_is_wrong_and_the_mend(
    batches: dict[str, bytes], write_files: Write, data: bytes, message: str
) -> None:
    folder = write_files({f"cifar10/{file}": each for file, each in (batches | {"data_batch_3.bin": data}).items()})
    with pytest.raises(InputError) as caught:
        cifar10(folder)
    (problem,) = caught.value.problems
    assert problem.startswith(f"{folder}/cifar10/data_batch_3.bin: {message}")
    assert problem.endswith(f"; delete it and run `tickets fetch cifar10 --data {folder}`")


def test_damaged_gzip_data_is_named(batches: dict[str, bytes], write_files: Write) -> None:
    folder = write_files({f"cifar10/{file}": data for file, data in batches.items()}, gzipped=True)
    (folder / "cifar10" / "test_batch.bin.gz").write_bytes(gzip.compress(batches["test_batch.bin"])[:-9])
    with pytest.raises(InputError, match=r"test_batch.bin.gz: its gzip data ends too early"):
        cifar10(folder)


def test_missing_files_are_named_where_the_others_are(batches: dict[str, bytes], write_files: Write) -> None:
    del batches["data_batch_2.bin"]
    folder = write_files({f"cifar-10-batches-bin/{file}": data for file, data in batches.items()})
    with pytest.raises(InputError, match=r"1 file is missing in .*/data/cifar-10-batches-bin: data_batch_2.bin"):
        cifar10(folder)


def test_with_nothing_there_all_six_are_missing(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"6 files are missing in .*/cifar10/cifar-10-batches-bin, which does not exist"
    ):
        cifar10(tmp_path)


@pytest.mark.parametrize("above", ["", "cifar10/"])
def test_the_python_version_is_seen_and_not_read(write_files: Write, above: str) -> None:
    folder = write_files({f"{above}cifar-10-batches-py/data_batch_1": b"cos\nsystem\n(S'exit 1'\ntR."})
    with pytest.raises(InputError) as caught:
        cifar10(folder)
    (line,) = caught.value.problems
    assert "6 files are missing" in line
    assert f"{folder / above / 'cifar-10-batches-py'} is there: it holds Python pickles, which are never read" in line
    assert "cifar-10-binary.tar.gz" in line
    assert "`tickets fetch cifar10 --data" in line


def test_an_archive_that_is_not_unpacked_is_seen(write_files: Write) -> None:
    folder = write_files({"cifar10/cifar-10-binary.tar.gz": b""})
    with pytest.raises(InputError, match=r"cifar-10-binary\.tar\.gz is there: unpack it there"):
        cifar10(folder)


def test_the_binary_version_is_read_beside_the_python_version(batches: dict[str, bytes], write_files: Write) -> None:
    write_files({"cifar-10-batches-py/data_batch_1": b"pickle"})
    folder = write_files({f"cifar-10-batches-bin/{file}": data for file, data in batches.items()})
    assert len(cifar10(folder).train_labels) == 10
