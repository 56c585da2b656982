"""What a candidate's functions are given: the names, shapes and types that are refused."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from candidates import after_round, inputs_of, mlp


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            lambda values: {name: value for name, value in values.items() if name != "0.bias"},
            "without 0.bias; must",
        ),
        (lambda values: {**values, "w": torch.zeros(1)}, "with the unknown w; must have exactly 0.weight, 0.bias, 2.w"),
        (
            lambda values: {**values, "0.bias": torch.zeros(4)},
            "0.bias is of shape (4,); must be a tensor of",
        ),
        (lambda values: {**values, "0.bias": [0.0] * 5}, "0.bias is a list; must be a tensor of shape (5,)"),
        (lambda values: list(values), "must be tensors by name, not a list"),
    ],
)
def test_values_of_other_names_or_shapes_are_refused(change: Any, told: str) -> None:
    candidate = after_round(mlp, inputs_of(4))
    with pytest.raises(ValueError, match=re.escape(f"gradients(values): {told}")):
        candidate.gradients(change(candidate.values.trained))


def test_directions_and_scores_are_of_the_prunable_tensors() -> None:
    candidate = after_round(mlp, inputs_of(4))
    for call, told in (
        (lambda: candidate.hessian_product({"0.weight": torch.zeros(5, 4)}), "hessian_product(direction): without 2.w"),
        (lambda: candidate.prune(candidate.values.trained), "prune(scores): with the unknown 0.bias, 2.bias"),
        (lambda: candidate.gradients(candidate.trained), "gradients(values): without 0.bias, 2.bias"),
    ):
        with pytest.raises(ValueError, match=re.escape(told)):
            call()


def test_an_objective_of_many_numbers_and_a_type_that_has_no_gradient_are_refused() -> None:
    candidate = after_round(mlp, inputs_of(4))
    with pytest.raises(ValueError, match=r"objective returned a tensor of shape \(10, 3\); it must"):
        candidate.gradients(objective=lambda outputs, targets: outputs)
    with pytest.raises(ValueError, match="objective returned a float"):
        candidate.gradients(objective=lambda outputs, targets: 1.0)
    with pytest.raises(ValueError, match=r"dtype = torch\.float16: must be torch\.float32 or torch\.float64"):
        candidate.gradients(dtype=torch.float16)
