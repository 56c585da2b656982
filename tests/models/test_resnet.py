from __future__ import annotations

import fnmatch

import pytest
import torch
from torch import nn

from tickets.errors import InputError
from tickets.models.resnet import resnet20

CIFAR = (3, 32, 32)


def test_the_papers_size() -> None:
    model = resnet20(CIFAR, 10)
    assert sum(p.numel() for p in model.parameters()) == 272_474
    # 20 layers with weights on the way, and the 2 shortcuts
    layers = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(layers) == 20 + 2
    assert all(m.bias is None for m in layers if isinstance(m, nn.Conv2d))


def test_a_pattern_tells_the_shortcuts_weights_from_the_others() -> None:
    weights = {name: p for name, p in resnet20(CIFAR, 10).named_parameters() if p.ndim >= 2}
    shortcuts = {name: tuple(p.shape) for name, p in weights.items() if fnmatch.fnmatch(name, "*shortcut*")}
    assert sorted(shortcuts.values()) == [(32, 16, 1, 1), (64, 32, 1, 1)]


def test_stages_halve_the_image() -> None:
    model = resnet20(CIFAR, 10).eval()
    hidden = torch.zeros(2, 16, 32, 32)
    shapes = []
    for stage in (model.stage1, model.stage2, model.stage3):
        hidden = stage(hidden)
        shapes.append(tuple(hidden.shape[1:]))
    assert shapes == [(16, 32, 32), (32, 16, 16), (64, 8, 8)]


def test_a_block_without_its_convolutions_is_its_shortcut() -> None:
    """With zero weights only the way past them is left; the first stage then passes what is positive."""
    model = resnet20(CIFAR, 10).eval()
    with torch.no_grad():
        for name, parameter in model.stage1.named_parameters():
            if "conv" in name:
                parameter.zero_()
    images = torch.rand(2, 16, 4, 4)
    assert torch.equal(model.stage1(images), images)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 7, 5), (2, 1, 1)])
def test_any_size_of_image_will_do(shape: tuple[int, ...]) -> None:
    assert resnet20(shape, 4).eval()(torch.zeros(3, *shape)).shape == (3, 4)


def test_it_needs_images() -> None:
    with pytest.raises(InputError, match=r"model 'resnet20': the data has examples of shape \(40,\); it needs images"):
        resnet20((40,), 10)
