"""The handwritten digits included in scikit-learn (Alpaydin & Kaynak 1998, UCI repository)."""

from __future__ import annotations

import numpy as np
import torch

from tickets.data.dataset import Dataset, digest, fixed_permutation
from tickets.errors import InputError

_TEST = 500


def digits() -> Dataset:
    """1,297 training and 500 test images of 8 x 8 pixels in 10 classes; nothing is downloaded.

    Inputs are (n, 1, 8, 8) float32, the pixels 0..16 scaled to [0, 1]. The images are permuted once in a fixed order,
    since scikit-learn has them sorted by writer; the last 500 are the test set.

    Raises
    ------
    InputError
        If scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ModuleNotFoundError as error:
        raise InputError(
            f"data 'digits' comes with the package scikit-learn, which cannot be imported ({error}); "
            "install it with `pip install scikit-learn`"
        ) from error
    pixels, labels = load_digits(return_X_y=True)
    order = fixed_permutation(len(labels))
    inputs = torch.from_numpy((pixels[order] / 16).astype(np.float32).reshape(-1, 1, 8, 8))
    classes = torch.from_numpy(labels[order].astype(np.int64))
    parts = (inputs[:-_TEST], classes[:-_TEST], inputs[-_TEST:], classes[-_TEST:])
    return Dataset("digits", *parts, classes=10, sha256=digest(*parts))
