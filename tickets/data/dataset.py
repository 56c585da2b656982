"""A data set as tensors, and the examples that a training sees of it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tickets.errors import InputError

Augment = Callable[[Tensor, torch.Generator], Tensor]  # (b, *input_shape) -> the same shape

WHOLE = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)  # the types of whole-number inputs
_TENSORS = ("train_inputs", "train_labels", "test_inputs", "test_labels")
_WIDER = {torch.uint16: torch.int64, torch.uint32: torch.int64}  # types that torch computes little with
# RandomState's stream is frozen for good, so a split is the same with every version of numpy.
_SPLIT_SEED = 20190506
_AT_ONCE = 64  # numbers of each example, while all are reordered


@dataclass(frozen=True)
class Dataset:
    """A classification data set in memory, already normalised.

    Inputs are float32, or whole numbers (tokens, say) of any of WHOLE. Whole numbers are made float32 for a model
    that takes float32, and int64 for one that does not.

    `augment` maps a batch to one of the same shape and draws only from the (CPU) generator that it is given.
    `sha256` is of the contents that were read: for files, their uncompressed contents in a fixed order; for
    data that is made on the spot, the bytes of the four tensors in the order below.
    """

    name: str
    train_inputs: Tensor  # (n, *input_shape) float32 or whole numbers
    train_labels: Tensor  # (n,) int64, in [0, classes)
    test_inputs: Tensor  # (m, *input_shape) of the same type
    test_labels: Tensor  # (m,) int64, in [0, classes)
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
        """The same data set with inputs of this type."""
        return replace(self, train_inputs=self.train_inputs.to(dtype), test_inputs=self.test_inputs.to(dtype))

    def validated(self) -> Dataset:
        """This data set, if its parts fit together. Raises InputError with everything that does not."""
        problems = _type_problems(self) or [*_part_problems(self, "train"), *_part_problems(self, "test")]
        if not problems and self.train_inputs.dtype != self.test_inputs.dtype:
            train_type, test_type = self.train_inputs.dtype, self.test_inputs.dtype
            problems.append(f"train_inputs has dtype {train_type}, test_inputs {test_type}; they must be alike")
        if not problems and self.train_inputs.shape[1:] != self.test_inputs.shape[1:]:
            train, test = self.input_shape, tuple(self.test_inputs.shape[1:])
            problems.append(f"train_inputs has examples of shape {train}, test_inputs of {test}; they must be alike")
        if problems:
            raise InputError([f"data {self.name!r}: {problem}" for problem in problems])
        return self


@dataclass(frozen=True)
class Examples:
    """What the trainer sees: a data set whose training part is split in two, for training and validation."""

    train_inputs: Tensor  # (n - validation, *input_shape) float32, or int64 for a model that wants whole numbers
    train_labels: Tensor  # (n - validation,) int64
    validation_inputs: Tensor  # (validation, *input_shape) of the same type
    validation_labels: Tensor  # (validation,) int64
    test_inputs: Tensor  # (m, *input_shape) of the same type
    test_labels: Tensor  # (m,) int64
    classes: int
    augment: Augment | None = None

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one example."""
        return tuple(self.train_inputs.shape[1:])

    def to(self, device: torch.device) -> Examples:
        """The same examples with their tensors on a device."""
        tensors = {field.name: getattr(self, field.name) for field in fields(self)}
        moved: dict[str, Any] = {name: one.to(device) for name, one in tensors.items() if isinstance(one, Tensor)}
        return replace(self, **moved)


def split(dataset: Dataset, validation: int, *, in_place: bool = False) -> Examples:
    """Set `validation` of the training examples aside, the same ones in every run.

    The split is a function of (n, validation) alone: one fixed permutation of the n training examples, the
    last `validation` of which are for validation. So no seed of a campaign changes it, and a larger
    validation set contains every smaller one. in_place: reorder the data set's own training inputs, which is of
    no use afterwards, instead of holding them twice. Raises InputError unless 1 <= validation < n.
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
    """The same memory with the examples in another order; a few numbers of every example at a time."""
    for some in inputs.view(len(inputs), -1).split(_AT_ONCE, 1):
        some.copy_(some[order])
    return inputs


def fixed_permutation(count: int) -> np.ndarray:
    """One and the same permutation of `count` examples, int64 (count,), everywhere and for ever."""
    return np.random.RandomState(_SPLIT_SEED).permutation(count).astype(np.int64)


def digest(*tensors: Tensor) -> str:
    """SHA-256, in hexadecimal, of the tensors' bytes one after the other (C order)."""
    total = hashlib.sha256()
    for tensor in tensors:
        total.update(tensor.detach().cpu().contiguous().numpy().data)
    return total.hexdigest()


def from_tensors(name: str, made: Any) -> Dataset:
    """The data set that a user's function gave as (train_inputs, train_labels, test_inputs, test_labels).

    Tensors or arrays; inputs become float32 unless they are whole numbers, whole-number labels int64; the classes are
    0 to the largest label. `sha256` is of the tensors with their inputs as float32. Raises InputError if `made` is
    anything else.
    """
    if not isinstance(made, tuple | list) or len(made) != len(_TENSORS):
        what = f"{len(made)} things" if isinstance(made, tuple | list) else type(made).__name__
        raise InputError(
            f"data {name!r}: the function returned {what}; it must return a tickets.data.Dataset "
            f"or the four tensors or arrays {', '.join(_TENSORS)}"
        )
    problems: list[str] = []
    parts = [_tensor(part, label, problems) for part, label in zip(made, _TENSORS, strict=True)]
    if problems:
        raise InputError([f"data {name!r}: {problem}" for problem in problems])
    if parts[0].dtype != parts[2].dtype:
        both = torch.int64 if parts[0].dtype in WHOLE and parts[2].dtype in WHOLE else torch.float32
        parts[0], parts[2] = parts[0].to(both), parts[2].to(both)
    labels = [part for part in (parts[1], parts[3]) if part.numel()]
    classes = max((int(part.max()) for part in labels), default=0) + 1
    hashed = [part.to(torch.float32) if part is parts[0] or part is parts[2] else part for part in parts]
    return Dataset(name, parts[0], parts[1], parts[2], parts[3], max(classes, 2), digest(*hashed))


def _tensor(part: Any, label: str, problems: list[str]) -> Tensor:
    """A copy of a tensor or array, of a type that inputs or labels may have; what is wrong joins `problems`."""
    if not isinstance(part, Tensor | np.ndarray):
        problems.append(f"{label} is a {type(part).__name__}; must be a tensor or a numpy array")
        return torch.empty(0)
    if isinstance(part, np.ndarray) and part.dtype.kind not in "fiub":
        problems.append(f"{label} has dtype {part.dtype}; must be numbers")
        return torch.empty(0)
    # A copy, since a user's array may be read-only or change later.
    tensor = part.detach().cpu().clone() if isinstance(part, Tensor) else torch.from_numpy(_native(part))
    if label.endswith("inputs"):
        return tensor if tensor.dtype in WHOLE else tensor.to(_WIDER.get(tensor.dtype, torch.float32))
    if tensor.dtype.is_floating_point or tensor.dtype.is_complex or tensor.dtype == torch.bool:
        problems.append(f"{label} has dtype {tensor.dtype}; must be whole numbers, the classes from 0")
    return tensor.to(torch.int64)


def _native(array: np.ndarray) -> np.ndarray:
    """A copy in this machine's byte order, the only one that torch takes."""
    return np.array(array, dtype=array.dtype.newbyteorder("="), order="C")


def _type_problems(dataset: Dataset) -> list[str]:
    """What is wrong with the fields one by one, so that the tensors can then be looked into."""
    problems = []
    classes: Any = dataset.classes  # nothing is sure about what a user's function put there
    sha256: Any = dataset.sha256
    augment: Any = dataset.augment
    for label in _TENSORS:
        tensor = getattr(dataset, label)
        wanted = (torch.float32, *WHOLE) if label.endswith("inputs") else (torch.int64,)
        if not isinstance(tensor, Tensor):
            problems.append(f"{label} is a {type(tensor).__name__}; must be a tensor")
        elif tensor.dtype not in wanted:
            also = ", or whole numbers such as torch.int64" if len(wanted) > 1 else ""
            problems.append(f"{label} has dtype {tensor.dtype}; must be {wanted[0]}{also}")
        elif label.endswith("inputs") and tensor.ndim < 2:
            problems.append(
                f"{label} has shape {tuple(tensor.shape)}; must be (examples, ...) with 2 or more dimensions"
            )
        elif label.endswith("labels") and tensor.ndim != 1:
            problems.append(f"{label} has shape {tuple(tensor.shape)}; must be (examples,)")
    if isinstance(classes, bool) or not isinstance(classes, int) or classes < 2:
        problems.append(f"classes = {classes!r}; must be a whole number, 2 or more")
    if not isinstance(sha256, str) or not sha256:
        problems.append(f"sha256 = {sha256!r}; must be the SHA-256 of the contents, in hexadecimal")
    if augment is not None and not callable(augment):
        problems.append(f"augment = {augment!r}; must be a function of (batch, generator) or None")
    return problems


def _part_problems(dataset: Dataset, part: str) -> list[str]:
    """What is wrong with the training or the test examples, whose types are right."""
    inputs: Tensor = getattr(dataset, f"{part}_inputs")
    labels: Tensor = getattr(dataset, f"{part}_labels")
    if len(inputs) != len(labels):
        return [f"{part}_inputs has {len(inputs)} examples, {part}_labels has {len(labels)}; they must be as many"]
    if inputs.numel() == 0:
        return [f"{part}_inputs is empty, shape {tuple(inputs.shape)}; must hold at least one number"]
    problems = []
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= dataset.classes:
        problems.append(f"{part}_labels go from {low} to {high}; must be from 0 to {dataset.classes - 1} (classes - 1)")
    broken = sum(int((~torch.isfinite(some)).sum()) for some in inputs.split(1000))  # it takes twice what it is given
    if broken:
        problems.append(f"{part}_inputs has {broken} numbers that are NaN or infinite; all must be finite")
    return problems
