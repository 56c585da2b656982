"""The data set that a user's function returns as four tensors or arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from tickets.data.dataset import PARTS, WHOLE, Dataset, digest
from tickets.errors import InputError

_WIDER = {torch.uint16: torch.int64, torch.uint32: torch.int64}  # dtypes for which torch has few operations


def from_tensors(name: str, made: Any) -> Dataset:
    """The data set of (train_inputs, train_labels, test_inputs, test_labels).

    Inputs are converted to float32 unless they are whole numbers. Whole-number labels are classes from 0 to the largest
    label, and are converted to int64. Floating-point labels, (n,) or (n, k), are values to predict, and are converted
    to float32, (n, k). `sha256` is the hash of the tensors with their inputs as float32.

    Parameters
    ----------
    name : str
        The data set's name.
    made : tuple or list of four tensors or arrays
        What the user's function returned.

    Raises
    ------
    InputError
        If `made` is anything else.
    """
    if not isinstance(made, tuple | list) or len(made) != len(PARTS):
        what = f"{len(made)} things" if isinstance(made, tuple | list) else type(made).__name__
        raise InputError(
            f"data {name!r}: the function returned {what}; it must return a tickets.data.Dataset "
            f"or the four tensors or arrays {', '.join(PARTS)}"
        )
    problems: list[str] = []
    parts = [_tensor(part, label, problems) for part, label in zip(made, PARTS, strict=True)]
    if problems:
        raise InputError([f"data {name!r}: {problem}" for problem in problems])
    if parts[0].dtype != parts[2].dtype:
        both = torch.int64 if parts[0].dtype in WHOLE and parts[2].dtype in WHOLE else torch.float32
        parts[0], parts[2] = parts[0].to(both), parts[2].to(both)
    hashed = [part.to(torch.float32) if part is parts[0] or part is parts[2] else part for part in parts]
    return Dataset(name, parts[0], parts[1], parts[2], parts[3], _classes(parts[1], parts[3]), digest(*hashed))


def _classes(train: Tensor, test: Tensor) -> int:
    """The number of classes, or of values to predict for each example."""
    if train.dtype.is_floating_point:
        return train.shape[1] if train.ndim == 2 else 1
    return max([2, *(int(labels.max()) + 1 for labels in (train, test) if labels.numel())])


def _tensor(part: Any, label: str, problems: list[str]) -> Tensor:
    """A copy of a tensor or array, with a dtype that inputs or labels may have; appends errors to `problems`."""
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
    if tensor.dtype.is_floating_point:
        numbers = tensor.to(torch.float32)
        return numbers[:, None] if numbers.ndim == 1 else numbers
    if tensor.dtype.is_complex or tensor.dtype == torch.bool:
        problems.append(
            f"{label} has dtype {tensor.dtype}; must be whole numbers (the classes from 0) or floating-point numbers "
            "(to predict)"
        )
    return tensor.to(torch.int64)


def _native(array: np.ndarray) -> np.ndarray:
    """A copy in this machine's byte order, the only one that torch accepts."""
    return np.array(array, dtype=array.dtype.newbyteorder("="), order="C")
