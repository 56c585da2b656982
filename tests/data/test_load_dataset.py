from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tickets.data import Dataset, load_dataset
from tickets.errors import InputError

MODULE = """
from pathlib import Path
import numpy as np
from tickets.data import Dataset

def blobs(size, scale=1.0):
    inputs = np.full((size, 3), scale)
    return inputs, np.arange(size) % 2, inputs, np.arange(size) % 2

def where(folder=Path("default")):
    where.seen = folder
    return blobs(4)

def whole():
    from torch import ones, tensor
    return Dataset("whole", ones(3, 2), tensor([0, 1, 2]), ones(1, 2), tensor([0]), 3, "ab")

def wrong():
    inputs, labels, _, _ = blobs(4)
    return inputs, labels[:3], inputs, labels

def broken():
    raise OSError("disk on fire")

def anything(**options):
    return blobs(int(options["size"]))
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """The name of an importable module of the user's, another one for every test."""
    name = f"users_data_{request.node.name}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    return name


def test_a_name_of_the_catalogue() -> None:
    dataset = load_dataset({}, "digits", None)
    assert isinstance(dataset, Dataset)
    assert dataset.name == "digits"


def test_the_folder_reaches_the_functions_that_read_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"missing in {tmp_path}/mnist"):
        load_dataset({}, "mnist", tmp_path)
    with pytest.raises(InputError, match="no data folder is given"):
        load_dataset({"augment": True}, "cifar10", None)


def test_an_unknown_name_offers_the_nearest() -> None:
    with pytest.raises(
        InputError, match=r"data = 'mnist2d': unknown; did you mean 'mnist1d'\? \(allowed: mnist1d, digits"
    ):
        load_dataset({}, "mnist2d", None)


def test_a_users_function_gets_its_options(module: str) -> None:
    dataset = load_dataset({"size": 6, "scale": 2.0}, f"{module}:blobs", None)
    assert dataset.train_inputs.tolist() == [[2.0] * 3] * 6
    assert dataset.name == f"{module}:blobs"
    assert load_dataset({"size": 2}, f"{module}:anything", None).classes == 2


def test_a_users_function_may_take_the_folder(module: str, tmp_path: Path) -> None:
    import importlib

    load_dataset({}, f"{module}:where", tmp_path)
    users = importlib.import_module(module)
    assert users.where.seen == tmp_path
    load_dataset({}, f"{module}:where", None)
    assert users.where.seen == Path("default")  # no folder leaves the function's own default standing


def test_a_users_data_set_is_taken_as_it_is(module: str) -> None:
    dataset = load_dataset({}, f"{module}:whole", None)
    assert (dataset.name, dataset.sha256) == ("whole", "ab")
    assert torch.equal(dataset.train_inputs, torch.ones(3, 2))


def test_wrong_and_missing_options_are_all_told(module: str) -> None:
    name = f"{module}:blobs"
    with pytest.raises(InputError) as caught:
        load_dataset({"scal": 1, "folder": "x"}, name, None)
    assert caught.value.problems == (
        f"data.scal = 1: '{name}' has no such option; did you mean 'scale'? (allowed: size, scale)",
        f"data.folder = 'x': '{name}' gets 'folder' from the program; leave it out",
        f"data.size: '{name}' needs this option and it is not given (allowed: size, scale)",
    )
    with pytest.raises(InputError, match=r"data.size = 1: 'digits' has no such option \(it has no options\)"):
        load_dataset({"size": 1}, "digits", None)


def test_a_users_data_passes_through_the_checks(module: str) -> None:
    with pytest.raises(InputError, match="train_inputs has 4 examples, train_labels has 3"):
        load_dataset({}, f"{module}:wrong", None)


def test_a_users_function_that_fails_is_quoted(module: str) -> None:
    with pytest.raises(InputError, match="broken': the function failed: OSError: disk on fire") as caught:
        load_dataset({}, f"{module}:broken", None)
    assert isinstance(caught.value.__cause__, OSError)


def test_a_function_that_is_not_there(module: str) -> None:
    with pytest.raises(InputError, match="has no function 'blob'; did you mean 'blobs'"):
        load_dataset({}, f"{module}:blob", None)
