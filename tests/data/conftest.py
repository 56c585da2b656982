"""Small data files, made by hand."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

NAMES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


def idx_images(pixels: np.ndarray) -> bytes:
    return struct.pack(">4I", 0x803, *pixels.shape) + pixels.astype(np.uint8).tobytes()


def idx_labels(labels: list[int]) -> bytes:
    return struct.pack(">2I", 0x801, len(labels)) + bytes(labels)


@pytest.fixture
def idx_contents() -> dict[str, bytes]:
    """The four files of a data set of 5 + 2 images; pixel (row, column) of image i is 10 * i + row."""
    pixels = 10 * np.arange(5)[:, None, None] + np.arange(28)[None, :, None] + np.zeros((5, 28, 28), int)
    contents = (idx_images(pixels), idx_labels([3, 0, 9, 1, 1]), idx_images(pixels[:2]), idx_labels([7, 2]))
    return dict(zip(NAMES, contents, strict=True))


@pytest.fixture
def write_files(tmp_path: Path) -> Callable[..., Path]:
    """write_files({"mnist/x": bytes}, gzipped=False) writes below a data folder, and gives that folder."""

    def write(contents: dict[str, bytes], gzipped: bool = False) -> Path:
        folder = tmp_path / "data"
        folder.mkdir(exist_ok=True)
        for name, data in contents.items():
            path = folder / (f"{name}.gz" if gzipped else name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(gzip.compress(data) if gzipped else data)
        return folder

    return write
