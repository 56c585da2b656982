"""The data sets that need no files."""

from __future__ import annotations

import random
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from tickets.data.dataset import fixed_permutation
from tickets.data.digits import digits
from tickets.data.mnist1d import mnist1d
from tickets.errors import InputError


def test_mnist1d_is_the_authors_and_leaves_no_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    random.seed(3), np.random.seed(4), torch.manual_seed(5)
    before = random.getstate(), np.random.get_state()[1].copy(), torch.get_rng_state()
    dataset = mnist1d().validated()
    assert random.getstate() == before[0]
    assert (np.random.get_state()[1] == before[1]).all()
    assert torch.equal(torch.get_rng_state(), before[2])
    assert list(tmp_path.iterdir()) == []

    assert dataset.train_inputs.shape == (4000, 40)
    assert dataset.test_inputs.shape == (1000, 40)
    assert (dataset.name, dataset.classes, dataset.augment) == ("mnist1d", 10, None)
    everything = torch.cat([dataset.train_inputs, dataset.test_inputs])
    assert everything.mean().abs() < 1e-5  # the package's own scaling, and nothing on top of it
    assert (everything.std() - 1).abs() < 1e-4
    assert torch.bincount(torch.cat([dataset.train_labels, dataset.test_labels])).tolist() == [500] * 10
    np.random.seed(99)
    again = mnist1d()
    assert again.sha256 == dataset.sha256
    assert torch.equal(again.train_inputs, dataset.train_inputs)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mnist1d.data import get_dataset_args, make_dataset

    made = make_dataset(get_dataset_args())
    assert torch.equal(dataset.train_inputs, torch.tensor(made["x"]).float())
    assert dataset.test_labels.tolist() == made["y_test"].tolist()


def test_a_warning_of_the_package_stays_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    import mnist1d.data

    def noisy(arguments: object) -> dict[str, np.ndarray]:
        warnings.warn("old numpy", DeprecationWarning, stacklevel=1)
        return {"x": np.ones((2, 40)), "y": np.arange(2), "x_test": np.ones((1, 40)), "y_test": np.arange(1)}

    monkeypatch.setattr(mnist1d.data, "make_dataset", noisy)
    assert mnist1d_function().train_inputs.shape == (2, 40)


mnist1d_function = mnist1d  # the name is the package's, too, in the test above


def test_without_the_package_mnist1d_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mnist1d.data", None)
    with pytest.raises(InputError, match=r"data 'mnist1d' .*`pip install mnist1d`, or use data = \"digits\""):
        mnist1d()


def test_digits_are_scikit_learns_in_a_fixed_order() -> None:
    from sklearn.datasets import load_digits

    dataset = digits().validated()
    assert dataset.train_inputs.shape == (1297, 1, 8, 8)
    assert dataset.test_inputs.shape == (500, 1, 8, 8)
    assert (dataset.train_inputs.min(), dataset.train_inputs.max()) == (0, 1)
    original = load_digits()
    first, last = fixed_permutation(1797)[[0, -1]]
    assert (dataset.train_inputs[0, 0] * 16).tolist() == original.images[first].tolist()
    assert (dataset.test_inputs[-1, 0] * 16).tolist() == original.images[last].tolist()
    assert dataset.test_labels[-1] == original.target[last]
    # Every value is a 16th, so the bytes are the same everywhere.
    assert dataset.sha256 == "b85157970609b906ae6ab9a0803e540c5d5f7012c6fb1b86bdfadc318d99043f"


def test_digits_are_read_where_the_package_keeps_its_file_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = digits().sha256
    monkeypatch.setattr("tickets.data.digits._FILE", Path("nowhere"))
    assert digits().sha256 == wanted


def test_without_the_package_digits_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(InputError, match=r"data 'digits' .*`pip install scikit-learn`"):
        digits()
