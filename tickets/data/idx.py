"""MNIST and Fashion-MNIST, read strictly from their IDX files.

The format is LeCun's: a big-endian magic number (two zero bytes, 8 for unsigned bytes, the number of dimensions), the
size of each dimension as 4 bytes, then the bytes in C order.
"""

from __future__ import annotations

import math
import struct
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tickets.config.types import AddedLater
from tickets.data.contents import Contents, Format, Promise
from tickets.data.dataset import Dataset
from tickets.data.files import NO_PICKLES, damaged, locate, read_all
from tickets.errors import InputError

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
# The names in some archives and mirrors.
_DOTTED = {file: file.replace("-idx", ".idx") for file in FILES}
# The folders that torchvision writes.
_TORCHVISION = {"mnist": "MNIST/raw", "fashion_mnist": "FashionMNIST/raw"}
_SIDE = 28  # pixels
_CLASSES = 10
_IMAGES_MAGIC = 0x00000803
_LABELS_MAGIC = 0x00000801
_MOST = 1_000_000  # examples of a file
_MOST_GZIPPED = 60_000  # examples of a gzipped file: the most that a published one has


def mnist(folder: Path | None, normalise: AddedLater[bool] = True) -> Dataset:
    """MNIST (LeCun et al. 1998): (n, 1, 28, 28) float32, normalised by mean 0.1307 and standard deviation 0.3081.

    Read from `<folder>/mnist/` or torchvision's `<folder>/MNIST/raw/`, gzipped or not, with the original file names or
    with a dot (`train-images.idx3-ubyte`). The files' headers give the number of examples: at most 1,000,000 in a file,
    or 60,000 if it is gzipped. `sha256` is the hash of the contents of the four files.

    Parameters
    ----------
    folder
        The data folder.
    normalise
        Whether pixels are normalised; if not, they are in [0, 1].

    Raises
    ------
    InputError
        If files are missing or damaged; the message names each of them.
    """
    return _dataset("mnist", folder, *((0.1307, 0.3081) if normalise else (0.0, 1.0)))


def fashion_mnist(folder: Path | None) -> Dataset:
    """Fashion-MNIST (Xiao et al. 2017), from `<folder>/fashion_mnist/` or torchvision's `<folder>/FashionMNIST/raw/`.

    Normalised by mean 0.2860 and standard deviation 0.3530; otherwise as `mnist`.
    """
    return _dataset("fashion_mnist", folder, mean=0.2860, deviation=0.3530)


def parse_images(contents: Contents) -> np.ndarray:
    """The images of an IDX file, (n, 28, 28) uint8.

    Parameters
    ----------
    contents
        The bytes of the file.

    Raises
    ------
    InputError
        If the file is not an IDX file of images of this size.
    """
    return _body(contents, _image_shape(contents))


def parse_labels(contents: Contents) -> np.ndarray:
    """The labels of an IDX file, (n,) uint8 in 0..9.

    Parameters
    ----------
    contents
        The bytes of the file.

    Raises
    ------
    InputError
        If the file is not an IDX file of labels, or a label is not 0 to 9.
    """
    labels = _body(contents, _label_shape(contents))
    wrong = np.flatnonzero(labels >= _CLASSES)
    if len(wrong):
        raise InputError(f"label {wrong[0]} is {labels[wrong[0]]} ({len(wrong)} such); labels must be 0 to 9")
    return labels


def _dataset(name: str, folder: Path | None, mean: float, deviation: float) -> Dataset:
    """Read, check and normalise the four files."""
    theirs = _TORCHVISION[name]
    processed = f"{theirs.partition('/')[0]}/processed"
    paths = locate(
        name,
        folder,
        FILES,
        places=(name, theirs, f"{name}/{theirs}", f"{name}/raw"),
        aliases=_DOTTED,
        unread=dict.fromkeys((processed, f"{name}/{processed}"), NO_PICKLES),
    )
    arrays, sha256 = read_all(name, folder, paths, file_format, parse)
    problems = [
        f"{paths[images]} has {len(arrays[images])} images and {paths[labels]} has "
        f"{len(arrays[labels])} labels; the numbers must be equal"
        for images, labels in ((0, 1), (2, 3))
        if len(arrays[images]) != len(arrays[labels])
    ]
    if problems:
        raise damaged(name, folder, problems)
    return Dataset(
        name,
        train_inputs=_normalised(arrays[0], mean, deviation),
        train_labels=torch.from_numpy(arrays[1].astype(np.int64)),
        test_inputs=_normalised(arrays[2], mean, deviation),
        test_labels=torch.from_numpy(arrays[3].astype(np.int64)),
        classes=_CLASSES,
        sha256=sha256,
    )


def file_format(file: str) -> Format:
    """How long the content of a file may be, by the name of the file."""
    header, each, shape = (16, _SIDE * _SIDE, _image_shape) if "images" in file else (8, 1, _label_shape)
    return Format(
        largest=header + _MOST * each,
        largest_gzipped=header + _MOST_GZIPPED * each,
        header=header,
        promise=lambda contents: _promise(shape(contents)),
    )


def parse(file: str, contents: Contents) -> np.ndarray:
    """The images or the labels of a file, by the name of the file."""
    return parse_images(contents) if "images" in file else parse_labels(contents)


def _normalised(images: np.ndarray, mean: float, deviation: float) -> Tensor:
    """(pixel / 255 - mean) / deviation, (n, 1, 28, 28) float32."""
    return torch.from_numpy(images.astype(np.float32)).unsqueeze(1).div_(255).sub_(mean).div_(deviation)


def _image_shape(contents: Contents) -> tuple[int, ...]:
    """The shape in the header of an image file, (n, 28, 28)."""
    count, rows, columns = _header(contents, _IMAGES_MAGIC, "an image file", dimensions=3)
    if (rows, columns) != (_SIDE, _SIDE):
        raise InputError(f"its images are {rows} x {columns}; they must be {_SIDE} x {_SIDE}")
    return count, rows, columns


def _label_shape(contents: Contents) -> tuple[int, ...]:
    """The shape in the header of a label file, (n,)."""
    return _header(contents, _LABELS_MAGIC, "a label file", dimensions=1)


def _header(contents: Contents, magic: int, what: str, dimensions: int) -> tuple[int, ...]:
    """Check the magic number and return the sizes in the header."""
    length = 4 * (1 + dimensions)
    if len(contents) < length:
        raise InputError(f"it has {len(contents)} bytes; the header of {what} alone has {length}")
    found, *sizes = struct.unpack(f">{1 + dimensions}I", contents[:length])
    if found != magic:
        other = {_IMAGES_MAGIC: " (this is an image file)", _LABELS_MAGIC: " (this is a label file)"}.get(found, "")
        raise InputError(f"its magic number is 0x{found:08x}{other}; {what} begins with 0x{magic:08x}")
    return tuple(sizes)


def _promise(shape: tuple[int, ...]) -> Promise:
    """The length of a file with data of this shape."""
    length = 4 * (1 + len(shape)) + math.prod(shape)
    return Promise(length, f"its header says {shape[0]:,} examples, which take {length:,}")


def _body(contents: Contents, shape: tuple[int, ...]) -> np.ndarray:
    """The data after the header, which must have the length that the header gives."""
    _promise(shape).check(len(contents))
    return np.frombuffer(contents, dtype=np.uint8, offset=4 * (1 + len(shape))).reshape(shape)
