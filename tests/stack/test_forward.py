"""What a forward pass shows."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tickets.stack.forward import observe_forward


def test_activations_by_hand(bench) -> None:
    # The example 6, Flatten 6, Linear 7, ReLU 7, Linear 5, ReLU 5, Linear 3, in float32.
    assert observe_forward(bench.mlp(), (6,)).activations == 4 * (6 + 6 + 7 + 7 + 5 + 5 + 3)
    # The image 16, convolution and ReLU 3 x 16 each, pooled 3 x 4, flattened 12, output 3.
    assert observe_forward(bench.convnet(), (1, 4, 4)).activations == 4 * (16 + 48 + 48 + 12 + 12 + 3)


@pytest.mark.parametrize("training", [True, False])
def test_the_module_is_left_as_it_was(bench, training: bool) -> None:
    module = bench.normnet().train(training)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    observe_forward(module, (1, 4, 4))
    assert module.training is training
    assert all(layer.training is training for layer in module)
    assert not any(layer._forward_hooks for layer in module.modules())
    assert all(torch.equal(module.state_dict()[name], value) for name, value in before.items())


def test_the_hooks_go_even_if_the_model_fails(bench) -> None:
    module = bench.mlp()
    with pytest.raises(RuntimeError):
        observe_forward(module, (5,))
    assert module.training
    assert not any(layer._forward_hooks for layer in module.modules())


def test_the_example_is_where_the_parameters_are(bench) -> None:
    module = bench.mlp().to("meta")
    assert observe_forward(module, (6,)).activations == 4 * (6 + 6 + 7 + 7 + 5 + 5 + 3)


def test_the_images_that_a_convolution_reads() -> None:
    module = nn.Sequential(nn.Unflatten(1, (1, 4, 4)), nn.Conv2d(1, 2, 3))
    (use,) = observe_forward(module, (16,)).convolutions["1.weight"]
    assert (use.image, use.pixels) == ((4, 4), 4)
