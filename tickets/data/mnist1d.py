"""MNIST-1D (Greydanus and Kobak 2024, "Scaling down deep learning with MNIST-1D"), made on the spot."""

from __future__ import annotations

import warnings

import torch

from tickets.data.dataset import Dataset, digest
from tickets.errors import InputError
from tickets.random_state import untouched_generators


def mnist1d() -> Dataset:
    """4,000 training and 1,000 test signals of length 40, in 10 classes, by the authors' own package.

    Inputs are (n, 40) float32, as the package scales them (mean 0, standard deviation 1 over all). The
    package's default settings and seed (42) are used, so the data is the same every time; no file is read
    or written. Raises InputError if the package is not installed.
    """
    with warnings.catch_warnings(), untouched_generators():
        warnings.simplefilter("ignore")  # the package and what it imports are not ours to mend
        try:
            from mnist1d.data import get_dataset_args, make_dataset
        except ModuleNotFoundError as error:
            raise InputError(
                f"data 'mnist1d' is made by the package mnist1d, which cannot be imported ({error}); "
                'install it with `pip install mnist1d`, or use data = "digits"'
            ) from error
        made = make_dataset(get_dataset_args())
    parts = (
        torch.tensor(made["x"], dtype=torch.float32),
        torch.tensor(made["y"], dtype=torch.int64),
        torch.tensor(made["x_test"], dtype=torch.float32),
        torch.tensor(made["y_test"], dtype=torch.int64),
    )
    return Dataset("mnist1d", *parts, classes=10, sha256=digest(*parts))
