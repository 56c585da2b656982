"""CIFAR-10 (Krizhevsky 2009), from its binary files: one byte for the label, then 3 x 32 x 32 bytes of pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tickets.data.augmentation import flip_and_crop
from tickets.data.contents import Contents, Format
from tickets.data.dataset import Dataset
from tickets.data.files import NO_PICKLES, locate, read_all
from tickets.errors import InputError

FILES = (*(f"data_batch_{batch}.bin" for batch in range(1, 6)), "test_batch.bin")
_PLACES = ("cifar10/cifar-10-batches-bin", "cifar10", "cifar-10-batches-bin")
_PYTHON = f"{NO_PICKLES}; the binary version of the data set (cifar-10-binary.tar.gz) has the same images"
_PACKED = "unpack it there: its folder cifar-10-batches-bin is what is read"
_UNREAD = {
    f"{folder}{name}": why
    for folder in ("cifar10/", "")
    for name, why in (
        ("cifar-10-batches-py", _PYTHON),
        ("cifar-10-python.tar.gz", _PYTHON),
        ("cifar-10-binary.tar.gz", _PACKED),
    )
}
_SHAPE = (3, 32, 32)
_RECORD = 1 + 3 * 32 * 32  # bytes
_CLASSES = 10
_BATCH = 10_000  # records of a published file: the most of a gzipped one
FORMAT = Format(largest=10 * _BATCH * _RECORD, largest_gzipped=_BATCH * _RECORD)
_MEAN = (0.4914, 0.4822, 0.4465)
_DEVIATION = (0.2470, 0.2435, 0.2616)


def cifar10(folder: Path | None, augment: bool = False) -> Dataset:
    """CIFAR-10: (n, 3, 32, 32) float32, each channel normalised by the mean and deviation of the training set.

    Read from `<folder>/cifar10/cifar-10-batches-bin/`, `<folder>/cifar10/` or `<folder>/cifar-10-batches-bin/`, gzipped
    or not, with as many examples as the files contain: at most 100,000 in a file, or 10,000 if it is gzipped. `sha256`
    is the hash of the contents of the six files.

    Parameters
    ----------
    folder
        The data folder.
    augment
        Whether to flip and crop every training batch at random (`flip_and_crop`).

    Raises
    ------
    InputError
        If files are missing or damaged; the message names each of them.
    """
    paths = locate("cifar10", folder, FILES, _PLACES, unread=_UNREAD)
    batches, sha256 = read_all("cifar10", folder, paths, lambda _: FORMAT, lambda _, contents: parse_records(contents))
    train, test = np.concatenate(batches[:-1]), batches[-1]
    return Dataset(
        "cifar10",
        train_inputs=_normalised(train),
        train_labels=torch.from_numpy(train[:, 0].astype(np.int64)),
        test_inputs=_normalised(test),
        test_labels=torch.from_numpy(test[:, 0].astype(np.int64)),
        classes=_CLASSES,
        sha256=sha256,
        augment=flip_and_crop if augment else None,
    )


def parse_records(contents: Contents) -> np.ndarray:
    """The records of one file, (n, 3073) uint8: the label, then the red, green and blue planes, row by row.

    Parameters
    ----------
    contents
        The bytes of the file.

    Raises
    ------
    InputError
        If the file does not consist of whole records, or a label is not 0 to 9.
    """
    if not contents or len(contents) % _RECORD:
        raise InputError(
            f"it has {len(contents):,} bytes; it must hold whole records of {_RECORD:,} bytes, one or more "
            f"({len(contents) % _RECORD:,} bytes are left over)"
        )
    records = np.frombuffer(contents, dtype=np.uint8).reshape(-1, _RECORD)
    wrong = np.flatnonzero(records[:, 0] >= _CLASSES)
    if len(wrong):
        found = records[wrong[0], 0]
        raise InputError(f"the label of record {wrong[0]} is {found} ({len(wrong)} such); labels must be 0 to 9")
    return records


def _normalised(records: np.ndarray) -> Tensor:
    """(pixel / 255 - mean) / deviation by channel, (n, 3, 32, 32) float32."""
    pixels = torch.from_numpy(records[:, 1:].astype(np.float32)).reshape(-1, *_SHAPE)
    mean, deviation = (torch.tensor(each).reshape(1, 3, 1, 1) for each in (_MEAN, _DEVIATION))
    return pixels.div_(255).sub_(mean).div_(deviation)
