"""Gradients for scores of odd modules: those of a plain loop over the very module, bit for bit."""

from __future__ import annotations

import pytest
import torch
from candidates import at_start, inputs_of
from odd_modules import TRAINED
from torch.nn import functional


@pytest.fixture(autouse=True)
def one_thread():
    """So that a plain loop sums in the same order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated")
@pytest.mark.parametrize("which", [which for which in TRAINED if which != "noise in evaluation too"])
def test_gradients_are_those_of_a_plain_loop(which: str) -> None:
    build, shape = TRAINED[which]
    candidate = at_start(build, inputs_of(*shape))
    found, again = (candidate.gradients(training=False) for _ in range(2))
    module, batch = candidate.build().eval(), candidate.batch()
    functional.cross_entropy(module(batch.inputs.clone()), batch.targets).backward()
    for name, gradient in found.items():
        expected = module.get_parameter(name).grad
        assert torch.equal(gradient, torch.zeros_like(gradient) if expected is None else expected)
        assert torch.equal(again[name], gradient)
    one, other = (candidate.gradients() for _ in range(2))
    assert all(torch.equal(gradient, other[name]) for name, gradient in one.items())
