"""A data set as tensors, and its split into training, validation and test examples."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tickets.errors import InputError

Augment = Callable[[Tensor, torch.Generator], Tensor]  # (b, *input_shape) to the same shape

WHOLE = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)  # the dtypes of whole-number inputs
PARTS = ("train_inputs", "train_labels", "test_inputs", "test_labels")
# RandomState's stream is frozen, so a split is the same with every version of numpy.
_SPLIT_SEED = 20190506
_AT_ONCE = 64  # values of each example that are reordered at a time


@dataclass(frozen=True)
class Dataset:
    """A data set in memory, already normalised: for classification, or for regression.

    Attributes
    ----------
    name : str
        The name, for messages.
    train_inputs : Tensor, (n, *input_shape)
        float32, or whole numbers (tokens, for example) of any dtype in `WHOLE`. Whole numbers are converted to float32
        for a model that accepts float32, and to int64 for any other model.
    train_labels : Tensor
        The targets. Classification: (n,) int64 in [0, classes). Regression: (n, k) float32.
    test_inputs : Tensor, (m, *input_shape)
        As `train_inputs`.
    test_labels : Tensor
        As `train_labels`.
    classes : int
        Classification: the number of classes, at least 2. Regression: k, the number of values to predict for each
        example, at least 1.
    sha256 : str
        The hash of the contents. For files: of their uncompressed contents in a fixed order. For computed data: of the
        bytes of the four tensors in the order of `PARTS`.
    augment : callable, optional
        Maps a training batch to one of the same shape. All its random numbers are from the generator (on the CPU) that
        is its second argument.
    """

    name: str
    train_inputs: Tensor
    train_labels: Tensor
    test_inputs: Tensor
    test_labels: Tensor
    classes: int
    sha256: str
    augment: Augment | None = None

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one example."""
        return tuple(self.train_inputs.shape[1:])

    @property
    def has_whole_numbers(self) -> bool:
        """Whether the inputs are whole numbers."""
        return self.train_inputs.dtype in WHOLE

    def with_inputs(self, dtype: torch.dtype) -> Dataset:
        """The same data set with its inputs converted to a dtype."""
        return replace(self, train_inputs=self.train_inputs.to(dtype), test_inputs=self.test_inputs.to(dtype))

    def validated(self) -> Dataset:
        """Return this data set after checking that its tensors fit together.

        Raises
        ------
        InputError
            With every problem found.
        """
        problems = _type_problems(self) or _unlike(self)
        problems = problems or [*_part_problems(self, "train"), *_part_problems(self, "test")]
        if problems:
            raise InputError([f"data {self.name!r}: {problem}" for problem in problems])
        return self


@dataclass(frozen=True)
class Examples:
    """The examples that networks are trained and evaluated on: training, validation and test.

    Attributes
    ----------
    train_inputs : Tensor, (n, *input_shape)
        float32, or int64 for a model of whole-number inputs.
    train_labels : Tensor
        The targets: (n,) int64, or (n, k) float32 for regression.
    validation_inputs, test_inputs : Tensor
        As `train_inputs`, with other numbers of examples.
    validation_labels, test_labels : Tensor
        As `train_labels`, with other numbers of examples.
    classes : int
        The number of classes; for regression k.
    augment : callable, optional
        As in `Dataset`.
    """

    train_inputs: Tensor
    train_labels: Tensor
    validation_inputs: Tensor
    validation_labels: Tensor
    test_inputs: Tensor
    test_labels: Tensor
    classes: int
    augment: Augment | None = None

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one example."""
        return tuple(self.train_inputs.shape[1:])

    def to(self, device: torch.device) -> Examples:
        """The same examples, with their tensors moved to a device."""
        tensors = {field.name: getattr(self, field.name) for field in fields(self)}
        moved: dict[str, Any] = {name: one.to(device) for name, one in tensors.items() if isinstance(one, Tensor)}
        return replace(self, **moved)


def split(dataset: Dataset, validation: int, *, in_place: bool = False) -> Examples:
    """Split the training examples of a data set into training and validation examples.

    The n training examples are put into a fixed order, and the last `validation` of them become the validation set. The
    split depends on (n, validation) alone, not on a seed, and a larger validation set contains every smaller one.

    Parameters
    ----------
    dataset : Dataset
        The data set, with n training examples.
    validation : int
        The number of validation examples, 1 to n - 1.
    in_place : bool
        Whether to reorder the data set's training inputs in-place instead of copying them; the data set must not be
        used afterwards.

    Raises
    ------
    InputError
        If `validation` is out of range.
    """
    count = len(dataset.train_labels)
    if isinstance(validation, bool) or not isinstance(validation, int) or not 1 <= validation < count:
        raise InputError(
            f"data.validation = {validation!r}: must be a whole number from 1 to {count - 1}, "
            f"since {dataset.name!r} has {count} training examples"
        )
    order = torch.from_numpy(fixed_permutation(count))
    inputs = _reordered(dataset.train_inputs, order) if in_place else dataset.train_inputs[order]
    labels = dataset.train_labels[order]
    train, held_out = slice(count - validation), slice(count - validation, count)
    return Examples(
        train_inputs=inputs[train],
        train_labels=labels[train],
        validation_inputs=inputs[held_out],
        validation_labels=labels[held_out],
        test_inputs=dataset.test_inputs,
        test_labels=dataset.test_labels,
        classes=dataset.classes,
        augment=dataset.augment,
    )


def _reordered(inputs: Tensor, order: Tensor) -> Tensor:
    """Reorder the examples in-place, `_AT_ONCE` values of every example at a time."""
    for some in inputs.view(len(inputs), -1).split(_AT_ONCE, 1):
        some.copy_(some[order])
    return inputs


def fixed_permutation(count: int) -> np.ndarray:
    """The order into which `split` puts `count` examples: a fixed permutation, (count,) int64."""
    return np.random.RandomState(_SPLIT_SEED).permutation(count).astype(np.int64)


def digest(*tensors: Tensor) -> str:
    """The SHA-256, in hexadecimal, of the concatenated bytes of tensors (C order)."""
    total = hashlib.sha256()
    for tensor in tensors:
        total.update(tensor.detach().cpu().contiguous().numpy().data)
    return total.hexdigest()


def _type_problems(dataset: Dataset) -> list[str]:
    """The fields of a wrong type, a sentence each. The values are checked only if there are none."""
    problems = [problem for label in PARTS if (problem := _tensor_problem(getattr(dataset, label), label))]
    classes: Any = dataset.classes  # a user's function may have put anything there
    sha256: Any = dataset.sha256
    augment: Any = dataset.augment
    labels: Any = dataset.train_labels
    if isinstance(labels, Tensor) and labels.dtype.is_floating_point:
        if labels.ndim == 2 and classes != labels.shape[1]:
            problems.append(f"classes = {classes!r}; must be {labels.shape[1]}, the numbers to predict per example")
    elif isinstance(classes, bool) or not isinstance(classes, int) or classes < 2:
        problems.append(f"classes = {classes!r}; must be a whole number, 2 or more")
    if not isinstance(sha256, str) or not sha256:
        problems.append(f"sha256 = {sha256!r}; must be the SHA-256 of the contents, in hexadecimal")
    if augment is not None and not callable(augment):
        problems.append(f"augment = {augment!r}; must be a function of (batch, generator) or None")
    return problems


def _unlike(dataset: Dataset) -> list[str]:
    """The differences in dtype or shape of training and test examples, a sentence each."""
    problems = []
    for kind in ("inputs", "labels"):
        train, test = getattr(dataset, f"train_{kind}"), getattr(dataset, f"test_{kind}")
        if train.dtype != test.dtype:
            problems.append(f"train_{kind} has dtype {train.dtype}, test_{kind} {test.dtype}; they must have the same")
        elif train.shape[1:] != test.shape[1:]:
            problems.append(
                f"train_{kind} has examples of shape {tuple(train.shape[1:])}, test_{kind} of "
                f"{tuple(test.shape[1:])}; they must have the same"
            )
    return problems


def _tensor_problem(tensor: Any, label: str) -> str | None:
    if not isinstance(tensor, Tensor):
        return f"{label} is a {type(tensor).__name__}; must be a tensor"
    shape = tuple(tensor.shape)
    if label.endswith("inputs"):
        if tensor.dtype not in (torch.float32, *WHOLE):
            return f"{label} has dtype {tensor.dtype}; must be torch.float32, or whole numbers such as torch.int64"
        if tensor.ndim < 2:
            return f"{label} has shape {shape}; must be (examples, ...) with 2 or more dimensions"
    elif tensor.dtype == torch.float32:
        if tensor.ndim != 2 or not tensor.shape[1]:
            return f"{label} has shape {shape}; numbers to predict (float32) must be (examples, numbers)"
    elif tensor.dtype != torch.int64:
        return f"{label} has dtype {tensor.dtype}; must be torch.int64 (classes) or torch.float32 (numbers to predict)"
    elif tensor.ndim != 1:
        return f"{label} has shape {shape}; must be (examples,)"
    return None


def _part_problems(dataset: Dataset, part: str) -> list[str]:
    """Wrong values and numbers of examples in one part of a data set whose types are correct, a sentence each."""
    inputs: Tensor = getattr(dataset, f"{part}_inputs")
    labels: Tensor = getattr(dataset, f"{part}_labels")
    if len(inputs) != len(labels):
        return [f"{part}_inputs has {len(inputs)} examples, {part}_labels has {len(labels)}; the numbers must be equal"]
    if inputs.numel() == 0:
        return [f"{part}_inputs is empty, shape {tuple(inputs.shape)}; must have at least one value"]
    problems = []
    if not labels.dtype.is_floating_point:
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or high >= dataset.classes:
            problems.append(
                f"{part}_labels go from {low} to {high}; must be from 0 to {dataset.classes - 1} (classes - 1)"
            )
    for kind, tensor in (("inputs", inputs), ("labels", labels)):
        # In pieces, because isfinite allocates twice the memory of its argument.
        broken = sum(int((~torch.isfinite(some)).sum()) for some in tensor.split(1000))
        if broken:
            problems.append(f"{part}_{kind} has {broken} numbers that are NaN or infinite; all must be finite")
    return problems
