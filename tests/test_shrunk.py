"""Which pruned weights had moved towards 0 when they were pruned, by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tickets.shrunk import shrunk_after

NAN = float("nan")
# theta0, trained, kept before, kept after, marked before, marked after
WEIGHTS = [
    (1.0, 0.5, True, False, False, True),  # moved towards 0
    (1.0, 2.0, True, False, False, False),  # moved away
    (1.0, 1.0, True, False, False, False),  # stands where it stood
    (1.0, -1.0, True, False, False, False),  # across 0, to the same magnitude
    (1.0, -0.5, True, False, False, True),  # across 0, to a smaller magnitude
    (-1.0, 0.5, True, False, False, True),
    (-1.0, -1.5, True, False, False, False),
    (0.0, 0.0, True, False, False, False),
    (-0.0, 0.1, True, False, False, False),
    (1.0, 0.0, True, False, False, True),
    (1.0, NAN, True, False, False, False),  # its training diverged
    (1.0, 0.5, True, True, False, False),  # smaller, and stays
    (1.0, 0.0, False, False, True, True),  # pruned before; its 0 is no trained value
    (1.0, 0.0, False, False, False, False),
]


@pytest.mark.parametrize("kind", [torch.tensor, np.array])
def test_by_hand(kind) -> None:
    theta0, trained, mask, following, before, after = (
        {"w": kind(column).reshape(2, 7)} for column in zip(*WEIGHTS, strict=True)
    )
    found = shrunk_after(before, {**theta0, "b": theta0["w"]}, trained, mask, following)
    assert found.keys() == {"w"}
    assert found["w"].tolist() == after["w"].tolist()
