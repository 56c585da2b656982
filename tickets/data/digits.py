"""The handwritten digits included in scikit-learn (Alpaydin & Kaynak 1998, UCI repository)."""

from __future__ import annotations

import gzip
import importlib.util
from pathlib import Path

import numpy as np
import torch

from tickets.data.dataset import Dataset, digest, fixed_permutation
from tickets.errors import InputError

_TEST = 500
_FILE = Path("datasets", "data", "digits.csv.gz")  # in the package; 64 pixels and the label in each line


def digits() -> Dataset:
    """1,297 training and 500 test images of 8 x 8 pixels in 10 classes; nothing is downloaded.

    Inputs are (n, 1, 8, 8) float32, the pixels 0..16 scaled to [0, 1]. The images are permuted once in a fixed order,
    since scikit-learn has them sorted by writer; the last 500 are the test set.

    Raises
    ------
    InputError
        If scikit-learn is not installed.
    """
    pixels, labels = _pixels_and_labels()
    order = fixed_permutation(len(labels))
    inputs = torch.from_numpy((pixels[order] / 16).astype(np.float32).reshape(-1, 1, 8, 8))
    classes = torch.from_numpy(labels[order].astype(np.int64))
    parts = (inputs[:-_TEST], classes[:-_TEST], inputs[-_TEST:], classes[-_TEST:])
    return Dataset("digits", *parts, classes=10, sha256=digest(*parts))


def _pixels_and_labels() -> tuple[np.ndarray, np.ndarray]:
    """(1797, 64) pixels and 1797 labels. The package's file is read where it is: importing the package takes 1 s."""
    found = importlib.util.find_spec("sklearn")
    file = None if found is None or found.origin is None else Path(found.origin).parent / _FILE
    if file is not None and file.is_file():
        with gzip.open(file, "rt", encoding="ascii") as lines:
            table = np.loadtxt(lines, delimiter=",")
        return table[:, :-1], table[:, -1]
    try:
        from sklearn.datasets import load_digits
    except ModuleNotFoundError as error:
        raise InputError(
            f"data 'digits' comes with the package scikit-learn, which cannot be imported ({error}); "
            "install it with `pip install scikit-learn`"
        ) from error
    pixels, labels = load_digits(return_X_y=True)
    return pixels, labels
