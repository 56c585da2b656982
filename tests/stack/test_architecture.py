"""Which tensors are prunable."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn

from tickets.coverage import LeftOut
from tickets.errors import InputError
from tickets.stack.architecture import Prunable, bias_names, coverage, prunable


def names(module: nn.Module, *exclude: str) -> list[str]:
    return [tensor.name for tensor in prunable(module, exclude)]


def included(module: nn.Module, *include: str, exclude: tuple[str, ...] = ()) -> list[str]:
    return [tensor.name for tensor in prunable(module, exclude, include)]


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


# Frozen parameters.


def test_a_frozen_weight_is_not_prunable(bench) -> None:
    module = bench.mlp()
    module[1].requires_grad_(False)
    assert names(module) == ["3.weight", "5.weight"]
    assert names(module, "1.weight", "3.*") == ["5.weight"]  # a pattern may name what is frozen anyway
    assert coverage(module, prunable(module)).left_out == {"1.weight": LeftOut(42, "frozen")}


def test_the_output_layer_is_the_last_one_frozen_or_not(bench) -> None:
    module = bench.mlp()
    module[5].requires_grad_(False)
    assert [(tensor.name, tensor.output) for tensor in prunable(module)] == [("1.weight", False), ("3.weight", False)]


def test_a_network_that_is_all_frozen_has_nothing_to_prune(bench) -> None:
    with pytest.raises(InputError, match="nothing is left to prune"):
        prunable(bench.mlp().requires_grad_(False))


# prune.include.


class Mixed(nn.Module):
    """Its parameters stand in another order than its layers of weights."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(5, 4)
        self.gru = nn.GRU(4, 3)
        self.norm = nn.LayerNorm((2, 3))
        self.attention = nn.MultiheadAttention(4, 2, add_bias_kv=True)
        self.own = nn.Parameter(torch.zeros(2, 3))
        self.scale = nn.Parameter(torch.zeros(3))
        self.conv = nn.utils.parametrizations.weight_norm(nn.Conv1d(2, 3, 2))
        self.out = nn.Linear(3, 2)


def test_patterns_add_parameters_of_two_or_more_dimensions_in_the_models_order() -> None:
    # A module's own parameters stand before those of its layers, as in torch's named_parameters.
    assert included(Mixed(), "gru.weight_*", "own") == [
        "own",
        "gru.weight_ih_l0",
        "gru.weight_hh_l0",
        "attention.out_proj.weight",
        "out.weight",
    ]
    # Biases and normalisation parameters are never added, whatever matches them and however many dimensions they have.
    everything = included(Mixed(), "*")
    assert everything == [
        "own",
        "table.weight",
        "gru.weight_ih_l0",
        "gru.weight_hh_l0",
        "attention.in_proj_weight",
        "attention.out_proj.weight",
        "conv.parametrizations.weight.original0",
        "conv.parametrizations.weight.original1",
        "out.weight",
    ]
    assert included(Mixed(), "*", exclude=("*original0", "gru.*", "table.weight", "a*")) == [
        "own",
        "conv.parametrizations.weight.original1",
        "out.weight",
    ]
    assert included(nn.LSTM(3, 2, proj_size=1), "weight_*") == ["weight_ih_l0", "weight_hh_l0", "weight_hr_l0"]


def test_a_pattern_for_what_is_prunable_anyway_changes_nothing(bench) -> None:
    assert prunable(bench.mlp(), (), ["*"]) == prunable(bench.mlp())


def test_what_is_included_knows_which_layer_it_belongs_to() -> None:
    norm = nn.utils.parametrizations.weight_norm
    module = nn.Sequential(norm(nn.Conv1d(1, 2, 3)), nn.GRU(2, 2), norm(nn.Linear(2, 2)))
    found = prunable(module, (), ["*.original1", "1.weight_hh*"])
    assert found == (
        Prunable("0.parametrizations.weight.original1", (2, 1, 3), convolution=True, output=False, included=True),
        Prunable("1.weight_hh_l0", (6, 2), convolution=False, output=False, included=True),
        Prunable("2.parametrizations.weight.original1", (2, 2), convolution=False, output=True, included=True),
    )


def test_a_table_that_the_output_layer_shares_is_one_tensor() -> None:
    module = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 3), nn.Linear(3, 5))
    module[2].weight = module[0].weight
    assert prunable(module) == (
        Prunable("1.weight", (3, 3), convolution=False, output=False),
        Prunable("0.weight", (5, 3), convolution=False, output=True),
    )
    assert prunable(module, (), ["0.weight"]) == prunable(module)


def test_every_pattern_that_adds_nothing_is_named_with_what_there_is() -> None:
    module = nn.Sequential(nn.GRU(2, 1), nn.Linear(1, 2), nn.LayerNorm((2, 2)), nn.Embedding(2, 2))
    module[3].requires_grad_(False)
    with pytest.raises(InputError) as caught:
        prunable(module, (), ["gru.*", "0.bias*", "2.*", "3.*", "0.*"])
    there = "those of two or more dimensions that require gradients are 0.weight_ih_l0, 0.weight_hh_l0, 1.weight"
    one = "only biases, normalisation parameters and others of one dimension"
    assert caught.value.problems == (
        f"prune.include: 'gru.*' matches no parameter of this model; {there}",
        f"prune.include: '0.bias*' matches {one} (0.bias_ih_l0, 0.bias_hh_l0); {there}",
        f"prune.include: '2.*' matches {one} (2.weight, 2.bias); {there}",
        f"prune.include: '3.*' matches only frozen parameters (3.weight); {there}",
    )


def test_a_model_without_layers_of_weights_is_told_what_could_be_included() -> None:
    with pytest.raises(InputError, match=r"prune\.include could add weight_ih_l0, weight_hh_l0$"):
        prunable(nn.GRU(2, 3))


def test_biases_of_included_layers_count_as_biases() -> None:
    module = Mixed()
    usual = {"norm.bias", "attention.out_proj.bias", "conv.bias", "out.bias"}
    assert bias_names(module, prunable(module)) == usual
    found = prunable(module, (), ["gru.weight_hh*", "attention.in_proj_weight"])
    added = {"gru.bias_ih_l0", "gru.bias_hh_l0", "attention.in_proj_bias", "attention.bias_k", "attention.bias_v"}
    assert bias_names(module, found) == usual | added
    module.out.bias.requires_grad_(False)
    assert bias_names(module, found) == (usual | added) - {"out.bias"}


def test_coverage_counts_every_weight_once() -> None:
    module = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 3), nn.LayerNorm((3, 3)), nn.GRU(3, 2), nn.Linear(3, 5))
    module[4].weight = module[0].weight
    found = coverage(module, prunable(module, ["1.weight"]), ["1.weight"])
    assert found.prunable == {"0.weight": 15}
    assert found.left_out == {
        "1.weight": LeftOut(9, "excluded"),
        "3.weight_ih_l0": LeftOut(18, "not included"),
        "3.weight_hh_l0": LeftOut(12, "not included"),
    }
    assert (found.weights, found.all_weights, found.share) == (15, 54, 15 / 54)
