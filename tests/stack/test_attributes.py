"""What a module keeps in plain attributes: which of it is seen, and that a change of it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tickets.stack.attributes import SMALL, changed_in, plain_attributes


def module(value: Any) -> nn.Module:
    part = nn.Sequential(nn.Dropout(0.5))
    part[0].kept = value
    return part


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (0, 1),
        (False, True),
        (None, "there"),
        (float("nan"), 0.0),
        (np.int64(1), np.int64(2)),
        (torch.tensor(1), torch.tensor(2)),
        ([1], [1, 2]),
        ({"a": (1, {2})}, {"a": (1, {3})}),
    ],
)
def test_a_change_is_seen_and_the_same_value_is_none(before: Any, after: Any) -> None:
    seen = [plain_attributes(module(value)) for value in (before, before, after)]
    assert changed_in(seen[:2]) == ()
    assert changed_in(seen) == ("0.kept",)


def test_what_is_no_plain_value_is_left_out() -> None:
    endless: list[Any] = []
    endless.append(endless)
    many = list(range(SMALL + 1))
    for value in (torch.zeros(2), torch.ones(1, requires_grad=True), object(), [1, object()], many, endless, len):
        assert plain_attributes(module(value)) == {"0.p": "0.5", "0.inplace": "False"}


def test_an_attribute_that_comes_is_a_change() -> None:
    assert changed_in([{}, {"n": "1"}]) == ("n",)
    assert changed_in([]) == ()


def test_what_every_module_has_is_left_out() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    before = plain_attributes(net)
    net.eval()
    net.register_forward_hook(lambda *arguments: None)
    assert changed_in([before, plain_attributes(net)]) == ()
