"""Trees of tensors, numbers and texts as JSON and bytes, and back again with the same bits.

A tree is what a checkpoint holds: dicts with text keys, lists, tensors, texts, whole numbers, floats, bools and None.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

Tree = Any

# By the name that the JSON has for it. Whatever else a tensor may be (sparse, quantised) cannot be saved.
_DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.float16, torch.bfloat16,
        torch.float32, torch.float64, torch.complex64, torch.complex128,
    )
}  # fmt: skip
_MOST_DIMENSIONS = 64  # as in PyTorch and NumPy
_DEEPEST = 20


class MisfitError(ValueError):
    """A tree is not what is expected: it is damaged, forged, or of another training."""


def copied(tree: Tree) -> Tree:
    """A tree whose tensors are copies on the CPU, with their axes in the same order in memory."""
    if isinstance(tree, Tensor):
        return tree.detach().to("cpu", copy=True)
    if isinstance(tree, Mapping):
        return {key: copied(value) for key, value in tree.items()}
    return [copied(value) for value in tree] if isinstance(tree, list | tuple) else tree


def encode(tree: Tree, buffers: list[memoryview]) -> Any:
    """The JSON of a tree; the bytes of its tensors are appended to `buffers`, without a copy where that can be.

    A tensor becomes `{"tensor": place in buffers, "dtype", "shape", "order"}`, where `order` lists its axes as they lie
    in memory, the slowest first. A sum over a tensor that lies there in another order has other last bits. The keys of
    dicts get a dot in front, so that none is mistaken for those.

    Parameters
    ----------
    tree
        The tree.
    buffers
        Gets one buffer for each tensor.

    Raises
    ------
    TypeError
        If it contains anything that is not part of a tree.
    """
    if isinstance(tree, Tensor):
        return _encode_tensor(tree, buffers)
    if isinstance(tree, Mapping):
        if odd := [key for key in tree if not isinstance(key, str)]:
            raise TypeError(f"a key {odd[0]!r} is no text and cannot be saved")
        return {f".{key}": encode(value, buffers) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [encode(value, buffers) for value in tree]
    if tree is None or isinstance(tree, bool | int | str) or (isinstance(tree, float) and math.isfinite(tree)):
        return tree
    raise TypeError(f"{tree!r} is not part of a tree")


def decode(value: Any, buffers: Sequence[memoryview], depth: int = 0) -> Tree:
    """The inverse of `encode`. Tensors on the CPU share the memory of the buffers, which must be writable.

    Raises
    ------
    MisfitError
        If the JSON is not that of a tree, or a buffer is not that of a tensor.
    """
    if depth > _DEEPEST:
        raise MisfitError(f"is nested more than {_DEEPEST} times")
    if isinstance(value, dict):
        if all(key.startswith(".") for key in value):
            return {key[1:]: decode(part, buffers, depth + 1) for key, part in value.items()}
        return _decode_tensor(value, buffers)
    if isinstance(value, list):
        return [decode(part, buffers, depth + 1) for part in value]
    return value


def digest(tree: Tree) -> str:
    """The SHA-256 of a tree, as hexadecimal digits."""
    buffers: list[memoryview] = []
    found = hashlib.sha256(json.dumps(encode(tree, buffers)).encode())
    for buffer in buffers:
        found.update(buffer)
    return found.hexdigest()


def given(tree: Tree, *keys: str) -> list[Tree]:
    """The values of a dict that has exactly these keys. Raises MisfitError if it is anything else."""
    if not isinstance(tree, dict) or tree.keys() != set(keys):
        raise MisfitError(f"must have {', '.join(keys)}")
    return [tree[key] for key in keys]


def whole_number(tree: Tree, least: int, most: int) -> int:
    """A whole number between two others, both included. Raises MisfitError if it is anything else."""
    if not isinstance(tree, int) or isinstance(tree, bool) or not least <= tree <= most:
        raise MisfitError(f"{_short(tree)} must be a whole number from {least} to {most}")
    return tree


def tensor_like(tree: Tree, dtype: torch.dtype, shape: Sequence[int]) -> Tensor:
    """A tensor of this type and shape. Raises MisfitError if it is anything else."""
    if not isinstance(tree, Tensor) or tree.dtype != dtype or tree.shape != torch.Size(shape):
        found = f"{tree.dtype} of {tuple(tree.shape)}" if isinstance(tree, Tensor) else _short(tree)
        raise MisfitError(f"{found} must be {dtype} of {tuple(shape)}")
    return tree


def tensors_like(tree: Tree, like: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of the same names, types and shapes as others, in their order. Raises MisfitError if they are not."""
    found = given(tree, *like)
    return {name: tensor_like(one, like[name].dtype, like[name].shape) for name, one in zip(like, found, strict=True)}


def _encode_tensor(tensor: Tensor, buffers: list[memoryview]) -> Any:
    tensor = tensor.detach()
    name = str(tensor.dtype).removeprefix("torch.")
    if name not in _DTYPES or tensor.layout != torch.strided:
        raise TypeError(f"a tensor of {tensor.dtype} ({tensor.layout}) cannot be saved")
    order = sorted(range(tensor.dim()), key=tensor.stride, reverse=True)
    flat = tensor.permute(order).resolve_conj().resolve_neg().to("cpu").reshape(-1)
    if flat.stride(0) != 1:  # of a single number, which may have any
        flat = flat.clone(memory_format=torch.contiguous_format)
    buffers.append(flat.view(torch.uint8).numpy().data)
    return {
        "tensor": len(buffers) - 1,
        "dtype": name,
        "shape": list(tensor.shape),
        "order": order,
    }


def _decode_tensor(value: Mapping[str, Any], buffers: Sequence[memoryview]) -> Tensor:
    place, name, shape, order = given(value, "tensor", "dtype", "shape", "order")
    whole_number(place, 0, len(buffers) - 1)
    if not isinstance(name, str) or name not in _DTYPES:
        raise MisfitError(f"a tensor of {_short(name)} must be of one of {', '.join(_DTYPES)}")
    if not isinstance(shape, list) or not isinstance(order, list) or len(shape) > _MOST_DIMENSIONS:
        raise MisfitError(f"a tensor of shape {_short(shape)} must have a list of at most {_MOST_DIMENSIONS} axes")
    dtype, buffer = _DTYPES[name], buffers[place]
    for size in shape:
        whole_number(size, 0, 2**62)
    if math.prod(shape) * dtype.itemsize != buffer.nbytes:
        raise MisfitError(f"{buffer.nbytes} bytes must be {dtype} of shape {_short(shape)}")
    if sorted(whole_number(axis, 0, len(shape) - 1) for axis in order) != list(range(len(shape))):
        raise MisfitError(f"the axes {_short(order)} must be each of {len(shape)} once")
    flat = torch.frombuffer(buffer, dtype=torch.uint8) if buffer.nbytes else torch.empty(0, dtype=torch.uint8)
    flat = flat != 0 if dtype == torch.bool else _aligned(flat, dtype)
    tensor = flat.reshape([shape[axis] for axis in order])
    return tensor.permute([order.index(axis) for axis in range(len(shape))])


def _aligned(flat: Tensor, dtype: torch.dtype) -> Tensor:
    """Bytes as numbers of a type; a copy if they begin at an address that the type must not begin at."""
    if flat.data_ptr() % dtype.itemsize:
        flat = flat.clone()
    return flat.view(dtype)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
