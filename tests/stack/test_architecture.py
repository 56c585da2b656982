"""Which tensors are prunable."""

from __future__ import annotations

import re

import pytest
from torch import nn

from tickets.errors import InputError
from tickets.stack.architecture import Prunable, prunable


def names(module: nn.Module, *exclude: str) -> list[str]:
    return [tensor.name for tensor in prunable(module, exclude)]


def test_weights_of_linear_and_convolution_layers_alone() -> None:
    module = nn.ModuleDict(
        {
            "one": nn.Conv1d(2, 3, 5),
            "two": nn.Conv2d(2, 3, (5, 4), groups=1),
            "three": nn.Conv3d(2, 3, 1),
            "up": nn.ConvTranspose2d(2, 3, 4),
            "norm": nn.BatchNorm2d(3),
            "layer_norm": nn.LayerNorm((3, 3)),  # its weight has two dimensions
            "embedding": nn.Embedding(4, 3),
            "prelu": nn.PReLU(),
            "output": nn.Linear(6, 7),
        }
    )
    assert prunable(module) == (
        Prunable("one.weight", (3, 2, 5), convolution=True, output=False),
        Prunable("two.weight", (3, 2, 5, 4), convolution=True, output=False),
        Prunable("three.weight", (3, 2, 1, 1, 1), convolution=True, output=False),
        Prunable("up.weight", (2, 3, 4, 4), convolution=True, output=False),
        Prunable("output.weight", (7, 6), convolution=False, output=True),
    )


def test_a_bare_layer() -> None:
    assert prunable(nn.Linear(3, 2)) == (Prunable("weight", (2, 3), convolution=False, output=True),)
    assert prunable(nn.Conv1d(3, 2, 1)) == (Prunable("weight", (2, 3, 1), convolution=True, output=True),)


def test_the_output_layer_is_the_last_one_excluded_or_not(bench) -> None:
    assert [tensor.output for tensor in prunable(bench.mlp())] == [False, False, True]
    kept = prunable(bench.mlp(), ["5.weight"])
    assert [(tensor.name, tensor.output) for tensor in kept] == [("1.weight", False), ("3.weight", False)]
    assert [tensor.output for tensor in prunable(bench.mlp(), ["1.*"])] == [False, True]


def test_patterns_are_those_of_a_shell() -> None:
    module = nn.ModuleDict({"a1": nn.Linear(2, 2), "a2": nn.Linear(2, 2), "b": nn.Linear(2, 2)})
    assert names(module, "a?.weight") == ["b.weight"]
    assert names(module, "a*") == ["b.weight"]
    assert names(module, "[!b]*") == ["b.weight"]
    assert names(module, "a1.weight", "b.weight") == ["a2.weight"]


def test_every_pattern_that_matches_nothing_is_named(bench) -> None:
    with pytest.raises(InputError) as caught:
        prunable(bench.mlp(), ["fc*", "1.weight", "1.bias", "1"])
    there = "matches none of this model's weights; they are 1.weight, 3.weight, 5.weight"
    assert caught.value.problems == tuple(f"prune.exclude: {p!r} {there}" for p in ("fc*", "1.bias", "1"))


def test_case_matters() -> None:
    module = nn.ModuleDict({"fc": nn.Linear(2, 2), "FC": nn.Linear(2, 2)})
    assert names(module, "fc.weight") == ["FC.weight"]
    assert names(module, "FC.weight") == ["fc.weight"]
    with pytest.raises(InputError, match=re.escape("prune.exclude: 'Fc.weight' matches none")):
        prunable(module, ["Fc.weight"])


def test_something_must_be_left(bench) -> None:
    with pytest.raises(InputError, match=r"nothing is left to prune; .* prune\.exclude \('\*'\)"):
        prunable(bench.mlp(), ["*"])
    with pytest.raises(InputError, match=r"nothing is left to prune; .* prune\.exclude \(empty\)"):
        prunable(nn.Sequential(nn.BatchNorm1d(3), nn.PReLU()))


def test_a_weight_that_layers_share_is_one_tensor() -> None:
    module = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3, bias=False), nn.Linear(3, 3))
    module[2].weight = module[0].weight
    assert prunable(module) == (
        Prunable("0.weight", (3, 3), convolution=False, output=True),
        Prunable("1.weight", (3, 3), convolution=False, output=False),
    )


def test_a_weight_that_is_computed_from_others_is_no_parameter() -> None:
    module = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(3, 3)), nn.Linear(3, 2))
    assert names(module) == ["1.weight"]
