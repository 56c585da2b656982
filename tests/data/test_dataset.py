from __future__ import annotations

import dataclasses
import hashlib
import random
from typing import Any

import numpy as np
import pytest
import torch

from tickets.data import Dataset, split
from tickets.data.dataset import digest, fixed_permutation
from tickets.data.made import from_tensors
from tickets.errors import InputError


def make(count: int = 10, **changes: Any) -> Dataset:
    """Example i is (i, -i), with label i % 3."""
    numbers = torch.arange(count, dtype=torch.float32)
    inputs = torch.stack([numbers, -numbers], dim=1)
    labels = torch.arange(count) % 3
    return dataclasses.replace(Dataset("tiny", inputs, labels, inputs[:4], labels[:4], 3, "00"), **changes)


def test_a_sound_data_set_is_given_back_as_it_is() -> None:
    dataset = make()
    assert dataset.validated() is dataset
    assert dataset.input_shape == (2,)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_inputs": np.zeros((10, 2))}, "train_inputs is a ndarray; must be a tensor"),
        (
            {"train_inputs": torch.zeros(10, 2, dtype=torch.float64)},
            "has dtype torch.float64; must be torch.float32",
        ),
        (
            {"test_labels": torch.zeros(4, dtype=torch.float64)},
            r"test_labels has dtype torch.float64; must be torch.int64 \(classes\) or torch.float32 \(numbers",
        ),
        (
            {"test_labels": torch.zeros(4)},
            r"has shape \(4,\); numbers to predict \(float32\) must be \(examples, numbers\)",
        ),
        ({"test_labels": torch.zeros(4, 0)}, r"has shape \(4, 0\); numbers to predict"),
        ({"test_labels": torch.ones(4, 3)}, "train_labels has dtype torch.int64, test_labels torch.float32; they must"),
        (
            {"train_labels": torch.ones(10, 3), "test_labels": torch.ones(4, 2)},
            r"train_labels has examples of shape \(3,\), test_labels of \(2,\); they must have the same",
        ),
        ({"train_labels": torch.ones(10, 2)}, "classes = 3; must be 2, the numbers to predict per example"),
        (
            {"train_labels": torch.full((10, 3), torch.inf), "test_labels": torch.ones(4, 3)},
            "train_labels has 30 numbers that are NaN or infinite",
        ),
        ({"train_inputs": torch.zeros(10)}, r"train_inputs has shape \(10,\); must be \(examples, ...\)"),
        ({"train_labels": torch.zeros(10, 1, dtype=torch.int64)}, r"shape \(10, 1\); must be \(examples,\)"),
        ({"train_inputs": torch.zeros(9, 2)}, "train_inputs has 9 examples, train_labels has 10"),
        (
            {"train_inputs": torch.zeros(10, 3)},
            r"examples of shape \(3,\), test_inputs of \(2,\); they must have the same",
        ),
        ({"classes": 2}, r"train_labels go from 0 to 2; must be from 0 to 1 \(classes - 1\)"),
        ({"train_labels": torch.arange(10) % 3 - 1}, "train_labels go from -1 to 1; must be from 0 to 2"),
        (
            {"train_inputs": torch.full((10, 2), torch.nan)},
            "train_inputs has 20 numbers that are NaN or infinite",
        ),
        ({"test_inputs": torch.zeros(0, 2), "test_labels": torch.arange(0)}, "test_inputs is empty"),
        ({"classes": True}, "classes = True; must be a whole number, 2 or more"),
        ({"sha256": ""}, "sha256 = ''; must be the SHA-256"),
        ({"augment": 3}, "augment = 3; must be a function"),
    ],
)
def test_what_does_not_fit_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        make(**changes).validated()
    assert all(problem.startswith("data 'tiny': ") for problem in caught.value.problems)


def test_every_problem_is_told_at_once() -> None:
    with pytest.raises(InputError) as caught:
        make(train_inputs=torch.zeros(10), test_labels=torch.zeros(4), classes=0).validated()
    assert len(caught.value.problems) == 3


def test_the_split_is_the_fixed_permutation_and_its_end() -> None:
    def augment(batch: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        return batch

    examples = split(make(augment=augment), validation=3)
    order = fixed_permutation(10).tolist()
    assert examples.train_inputs[:, 0].tolist() == order[:7]
    assert examples.validation_inputs[:, 0].tolist() == order[7:]
    assert examples.train_labels.tolist() == [i % 3 for i in order[:7]]
    assert examples.validation_labels.tolist() == [i % 3 for i in order[7:]]
    assert sorted(order) == list(range(10))
    assert examples.test_inputs[:, 0].tolist() == [0, 1, 2, 3]
    assert (examples.classes, examples.input_shape, examples.augment) == (3, (2,), augment)


def test_the_permutation_never_changes() -> None:
    """Saved runs rest on it: these are the numbers of the first release."""
    golden = [0, 6, 1, 3, 8, 4, 5, 2, 7, 9]
    assert fixed_permutation(10).tolist() == golden
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    assert fixed_permutation(10).tolist() == golden


def test_a_larger_validation_set_contains_a_smaller_one() -> None:
    dataset = make()
    small, large = (set(split(dataset, k).validation_inputs[:, 0].tolist()) for k in (2, 5))
    assert small < large


def test_a_split_does_not_alias_the_data_set() -> None:
    dataset = make()
    examples = split(dataset, 1)
    examples.train_inputs.zero_()
    assert dataset.train_inputs.abs().sum() > 0


def test_a_split_in_place_is_the_same_split_in_the_memory_that_was_there() -> None:
    inputs = torch.randn(10, 3, 50, generator=torch.Generator().manual_seed(0))
    expected, address = split(make(train_inputs=inputs.clone()), 3), inputs.data_ptr()
    examples = split(make(train_inputs=inputs), 3, in_place=True)
    for part in ("train_inputs", "train_labels", "validation_inputs", "validation_labels"):
        assert torch.equal(getattr(examples, part), getattr(expected, part))
        assert getattr(examples, part).is_contiguous()
    assert examples.train_inputs.data_ptr() == address
    assert examples.validation_inputs.untyped_storage().data_ptr() == address


@pytest.mark.parametrize("validation", [0, -1, 10, 11, 2.0, True])
def test_a_validation_set_must_leave_something_on_both_sides(validation: Any) -> None:
    with pytest.raises(
        InputError, match=r"data.validation = .*: must be a whole number from 1 to 9, since 'tiny' has 10"
    ):
        split(make(), validation)


def test_the_extreme_validation_sets() -> None:
    assert len(split(make(), 9).train_labels) == 1
    assert len(split(make(), 1).validation_labels) == 1


def test_the_digest_is_of_the_bytes() -> None:
    tensors = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([5, 6])
    wanted = hashlib.sha256(np.array([1, 2, 3, 4], "<f4").tobytes() + np.array([5, 6], "<i8").tobytes()).hexdigest()
    assert digest(*tensors) == wanted
    assert digest(tensors[0].T.contiguous().T, tensors[1]) == wanted  # another layout in memory, the same values
    assert digest(tensors[0].T, tensors[1]) != wanted


def test_four_arrays_become_a_data_set() -> None:
    inputs = np.arange(8, dtype=">f8").reshape(4, 2)
    inputs.setflags(write=False)
    dataset = from_tensors("f", (inputs, np.array([0, 1, 2, 1], np.uint8), torch.ones(2, 2), torch.tensor([3, 0])))
    assert dataset.validated().train_inputs.tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert (dataset.train_inputs.dtype, dataset.train_labels.dtype) == (torch.float32, torch.int64)
    assert dataset.classes == 4
    assert dataset.sha256 == digest(
        dataset.train_inputs, dataset.train_labels, dataset.test_inputs, dataset.test_labels
    )


@pytest.mark.parametrize(("shape", "numbers"), [((4,), 1), ((4, 1), 1), ((4, 3), 3)])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floating_point_labels_are_numbers_to_predict(shape: tuple[int, ...], numbers: int, dtype: Any) -> None:
    labels = np.arange(np.prod(shape)).reshape(shape).astype(dtype) / 4
    dataset = from_tensors("f", (np.ones((4, 2)), labels, np.ones((4, 2)), labels + 1)).validated()
    assert dataset.classes == numbers
    assert (dataset.train_labels.shape, dataset.train_labels.dtype) == ((4, numbers), torch.float32)
    assert dataset.test_labels.reshape(shape).tolist() == (labels + 1).tolist()
    examples = split(dataset, 1)
    assert torch.equal(examples.train_labels, dataset.train_labels[fixed_permutation(4)[:3]])
    with pytest.raises(InputError, match=r"train_labels has dtype torch.float32, test_labels torch.int64"):
        from_tensors("f", (np.ones((4, 2)), labels, np.ones((4, 2)), np.arange(4))).validated()


def test_a_tensor_of_the_user_is_copied() -> None:
    inputs = torch.ones(2, 2)
    dataset = from_tensors("f", (inputs, torch.tensor([0, 1]), inputs, torch.tensor([0, 1])))
    inputs.zero_()
    assert dataset.train_inputs.sum() == 4


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (None, "the function returned NoneType; it must return a tickets.data.Dataset or the four"),
        ((1, 2), "the function returned 2 things"),
        (
            ([[1.0]], np.zeros(1, int), np.ones((1, 1)), np.zeros(1, int)),
            "train_inputs is a list; must be a tensor",
        ),
        (
            (np.ones((1, 1)), np.zeros(1, bool), np.ones((1, 1)), np.zeros(1, int)),
            "train_labels has dtype torch.bool; must be whole numbers",
        ),
        (
            (np.array([["a"]]), np.zeros(1, int), np.ones((1, 1)), np.zeros(1, int)),
            "has dtype <U1; must be numbers",
        ),
    ],
)
def test_anything_else_is_refused(made: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        from_tensors("f", made)


def test_examples_on_a_device_keep_all_that_is_no_tensor() -> None:
    def same(batch, generator):
        return batch

    given = dataclasses.replace(split(make(), 2), augment=same)
    moved = given.to(torch.device("meta"))
    tensors = [name for name, value in vars(given).items() if isinstance(value, torch.Tensor)]
    assert len(tensors) == 6
    assert all(getattr(moved, name).device.type == "meta" for name in tensors)
    assert (moved.classes, moved.augment) == (3, same)
    assert given.train_inputs.device.type == "cpu"
