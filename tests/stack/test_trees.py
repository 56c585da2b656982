"""Trees of tensors as JSON and bytes, and back."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import torch

from tickets.stack.trees import MisfitError, Tree, copied, decode, digest, encode, tensors_like, whole_number

TENSORS = {
    "float32": torch.tensor([[1.0, -0.0, math.nan], [math.inf, 1e-45, 3.0]]),
    "float64": torch.tensor([math.pi, -math.inf], dtype=torch.float64),
    "bfloat16": torch.tensor([1.5, -0.0], dtype=torch.bfloat16),
    "bool": torch.tensor([[True], [False]]),
    "int64": torch.tensor([-(2**63), 2**63 - 1]),
    "complex64": torch.tensor([1 + 2j], dtype=torch.complex64),
    "empty": torch.empty(0, 3),
    "a number": torch.tensor(7.0),
    "transposed": torch.arange(6.0).reshape(2, 3).t(),
    "channels last": torch.arange(48.0).reshape(2, 2, 3, 4).to(memory_format=torch.channels_last),
    "expanded": torch.tensor([1.0, 2.0]).expand(3, 2),
    "a number in a row": torch.tensor(7.0).expand(1).clone(),
    "conjugated": torch.tensor([1 + 2j]).conj(),
}


def there_and_back(tree: Tree) -> Tree:
    buffers: list[memoryview] = []
    text = json.dumps(encode(tree, buffers), allow_nan=False)
    return decode(json.loads(text), [memoryview(bytearray(buffer)) for buffer in buffers])


def raw(tensor: torch.Tensor) -> list[int]:
    whole = tensor.resolve_conj().reshape(-1).clone(memory_format=torch.contiguous_format)
    return whole.untyped_storage().tolist()


@pytest.mark.parametrize("kind", TENSORS)
def test_a_tensor_keeps_its_bits_and_the_order_of_its_axes(kind: str) -> None:
    tensor = TENSORS[kind]
    for found in (there_and_back(tensor), there_and_back(copied(tensor)), copied(tensor)):
        assert (found.dtype, found.shape) == (tensor.dtype, tensor.shape)
        assert raw(found) == raw(tensor)
        if kind in ("transposed", "channels last"):
            assert found.stride() == tensor.stride()


def test_a_tree_keeps_its_form_and_the_order_of_its_keys() -> None:
    tree: dict[str, Any] = {
        "tensor": 3, "b": [None, True, 2**70, 0.1, "text", []], "a": {"": {}, "dtype": ["x"], ".": -1},
        # The keys of an encoded tensor, as a user may call parameters.
        "shape": {"tensor": 0, "dtype": "float32", "shape": [1], "order": [0]},
    }  # fmt: skip
    found = there_and_back(tree)
    assert found == tree
    assert json.dumps(found) == json.dumps(tree)
    tensor = torch.ones(2)
    named = there_and_back({"tensor": tensor, "order": {"tensor": tensor}})
    assert torch.equal(named["tensor"], tensor)
    assert torch.equal(named["order"]["tensor"], tensor)


def test_a_copy_shares_no_memory() -> None:
    tensor = torch.ones(3)
    found = copied({"a": [tensor]})
    tensor.zero_()
    assert found["a"][0].tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("value", [math.nan, math.inf, {1}, b"bytes", object(), torch.ones(2).to_sparse()])
def test_what_is_no_tree_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match=r"is not part of a tree|cannot be saved"):
        encode({"a": value}, [])


ONE = {"tensor": 0, "dtype": "float32", "shape": [2], "order": [0]}
FORGED = {
    "another type": {"dtype": "float64"},
    "no type": {"dtype": "object"},
    "a list as a type": {"dtype": ["float32"]},
    "too large": {"shape": [2**61]},
    "overflowing": {"shape": [2**62, 4], "order": [0, 1]},
    "negative": {"shape": [-2]},
    "two negatives": {"shape": [-1, -2], "order": [0, 1]},
    "a float": {"shape": [2.0]},
    "true": {"shape": [2, True], "order": [0, 1]},
    "many axes": {"shape": [1] * 64 + [2], "order": list(range(65))},
    "an axis twice": {"shape": [2, 1], "order": [0, 0]},
    "an axis too many": {"order": [0, 1]},
    "an unknown axis": {"order": [1]},
    "no such buffer": {"tensor": 1},
    "a negative buffer": {"tensor": -1},
    "another key": {"strides": [0]},
}


@pytest.mark.parametrize("kind", FORGED)
def test_a_forged_tensor_is_refused(kind: str) -> None:
    buffer = memoryview(bytearray(8))
    assert decode(ONE, [buffer]).tolist() == [0.0, 0.0]
    with pytest.raises(MisfitError):
        decode({**ONE, **FORGED[kind]}, [buffer])


def test_deep_nesting_is_refused() -> None:
    tree: Any = []
    for _ in range(500):
        tree = [tree]
    with pytest.raises(MisfitError, match="nested more than"):
        decode(tree, [])


def test_bools_are_bools_whatever_their_bytes() -> None:
    value = {"tensor": 0, "dtype": "bool", "shape": [3], "order": [0]}
    found = decode(value, [memoryview(bytearray([0, 1, 255]))])
    assert found.int().tolist() == [0, 1, 1]


def test_a_digest_is_of_every_bit_name_and_shape() -> None:
    trees = [
        {"a": torch.zeros(2)}, {"b": torch.zeros(2)}, {"a": torch.zeros(1, 2)}, {"a": -torch.zeros(2)},
        {"a": torch.zeros(2, dtype=torch.float64)}, {"a": [0.0, 0.0]},
    ]  # fmt: skip
    assert len({digest(tree) for tree in trees}) == len(trees)
    assert digest({"a": torch.zeros(2)}) == digest(trees[0])


def test_what_does_not_fit_is_named() -> None:
    like = {"a": torch.zeros(2), "b": torch.zeros(3)}
    assert list(tensors_like({"b": torch.ones(3), "a": torch.ones(2)}, like)) == ["a", "b"]
    for wrong in ({"a": torch.ones(2)}, {**like, "c": like["a"]}, {**like, "a": torch.ones(3)}, {**like, "a": 1}, []):
        with pytest.raises(MisfitError):
            tensors_like(wrong, like)
    for wrong_number in (True, 1.0, "1", -1, 6, None):
        with pytest.raises(MisfitError, match="must be a whole number from 0 to 5"):
            whole_number(wrong_number, 0, 5)
