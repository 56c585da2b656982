"""A convolution by its surviving weights, on planes, against torch's with the same masks."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from tickets.stack import planes
from tickets.stack.convolutions import Convolution, convolution_of
from tickets.stack.forward import observe_forward
from tickets.stack.kernels.compiled import VECTOR_BYTES
from tickets.stack.kernels.vectors import MANY
from tickets.stack.planes import GROUP_BYTES, LINE, lay_out_planes
from tickets.stack.pruned import by_surviving_weights

CLOSE = functools.partial(torch.testing.assert_close, rtol=1e-9, atol=1e-11)


def test_planes_by_hand() -> None:
    """2 channels of 3 x 4 pixels; a kernel of 1 x 2 with zeros around of 0 x 1, with a stride of 1 x 2."""
    at = lay_out_planes(Convolution(2, 3, (1, 2), (1, 2), (0, 1)), (3, 4), 4)
    assert at.outputs == (3, 3)
    # The left column of the kernel reads the odd pixels, one back; the right one the even pixels.
    assert at.phases.tolist() == [[0, 0], [0, 1]]
    assert at.line == 3, "two pixels and a gap before them; three outputs need none after"
    assert at.plane == 9
    assert at.margin == 2 * LINE, "as far as it reads, and as much as is read at once"
    first = 2 * LINE + at.size * np.array([1, 0, 3, 2])
    assert at.source.tolist() == (first - [1, 0, 1, 0]).tolist()
    assert at.target.tolist() == [1, 0, 3, 2]
    assert at.shift.tolist() == [2 * LINE + 1, 2 * LINE] * 2
    assert at.examples * at.plane + 4 * LINE <= at.size < at.examples * at.plane + 5 * LINE
    assert LINE >= MANY * VECTOR_BYTES // 4
    assert (at.read, at.units) == (4, 3)
    assert at.numbers == (4 + 3 + 4) * at.size
    assert at.examples * 7 * 9 * 4 <= GROUP_BYTES < (at.examples + 1) * 7 * 9 * 4


def pruned(layer: nn.Conv2d, mask: torch.Tensor) -> nn.Conv2d:
    by_surviving_weights(layer, {".weight": mask[None]})(0)
    return layer


sizes = st.tuples(st.integers(1, 5), st.integers(1, 5))


@given(
    channels=st.integers(1, 3),
    units=st.integers(1, 3),
    image=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    kernel=sizes,
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.tuples(st.integers(0, 4), st.integers(0, 4)),
    bias=st.booleans(),
    examples=st.integers(1, 7),
    group=st.sampled_from([1, 3_000, GROUP_BYTES]),
    density=st.sampled_from([0.0, 0.3, 1.0]),
)
def test_it_is_the_masked_convolution(
    channels, units, image, kernel, stride, padding, bias, examples, group, density
) -> None:
    layer = nn.Conv2d(channels, units, kernel, stride, padding, bias=bias, dtype=torch.float64)
    if min(convolution_of(layer).outputs(image)) < 1:
        return
    mask = torch.rand(layer.weight.shape) < density
    layer.weight.data[~mask] = 0
    x = torch.randn(examples, channels, *image, dtype=torch.float64, requires_grad=True)
    expected = layer(x)
    slope = torch.randn_like(expected)
    parameters = [x, *layer.parameters()]
    gradients = torch.autograd.grad(expected, parameters, slope)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planes, "GROUP_BYTES", group)
        made = functools.cache(lay_out_planes.__wrapped__)
        patch.setattr("tickets.stack.pruned.lay_out_planes", made)
        found = pruned(layer, mask)
        for _ in range(2):  # the second time in room that holds the first's
            outputs = found(x)
            CLOSE(outputs, expected)
            for one, (name, other) in zip(
                torch.autograd.grad(outputs, parameters, slope),
                zip(["x", *dict(layer.named_parameters())], gradients, strict=True),
                strict=True,
            ):
                CLOSE(one, other * mask if name == "weight" else other)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_another_group_left_is_not_counted(dtype, monkeypatch) -> None:
    """Seven examples, two at a time: in the last one's last vector are slopes and pixels of the one before."""
    layer = nn.Conv2d(1, 1, 3, padding=1, dtype=dtype)
    monkeypatch.setattr(planes, "GROUP_BYTES", 2 * 2 * 25 * torch.finfo(dtype).bits // 8)
    monkeypatch.setattr("tickets.stack.pruned.lay_out_planes", functools.cache(lay_out_planes.__wrapped__))
    x = torch.randn(7, 1, 4, 4, dtype=dtype)
    slope = torch.randn(7, 1, 4, 4, dtype=dtype)
    counts = 7, 1
    expected = [torch.autograd.grad(layer(x[:n]), layer.weight, slope[:n]) for n in counts]
    convolve = pruned(layer, torch.ones(1, 1, 3, 3, dtype=torch.bool))
    for n, gradients in zip(counts, expected, strict=True):
        infinite = torch.full_like(x, torch.inf)  # as of a network that has diverged
        torch.autograd.grad(convolve(infinite), layer.weight, infinite)
        found = torch.autograd.grad(convolve(x[:n]), layer.weight, slope[:n])
        torch.testing.assert_close(found, gradients)


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(3, 1, 1), (3, 2, 1), (1, 2, 0), (1, 1, 0), (2, 1, 3)])
@pytest.mark.parametrize("density", [0.02, 0.5])
def test_nothing_is_written_beside_its_room(
    kernel: int, stride: int, padding: int, density: float, monkeypatch
) -> None:
    guards = []
    zeros = torch.zeros

    def guarded(size: int, dtype: torch.dtype) -> torch.Tensor:
        whole = torch.full((size + 2000,), 7.0, dtype=dtype)
        guards.append(whole)
        whole[1000:-1000] = 0
        return whole[1000:-1000]

    layer = nn.Conv2d(5, 9, kernel, stride, padding)
    mask = torch.rand(layer.weight.shape) < density
    found = pruned(layer, mask)
    monkeypatch.setattr("torch.zeros", guarded)
    outputs = found(torch.randn(70, 5, 12, 12, requires_grad=True))
    monkeypatch.setattr("torch.zeros", zeros)
    outputs.sum().backward()
    assert len(guards) == 3
    for whole in guards:
        assert (whole[:1000] == 7).all()
        assert (whole[-1000:] == 7).all()


def test_what_does_not_fit_is_left_to_the_layer() -> None:
    layer = nn.Conv2d(2, 3, 3)
    mask = torch.rand(layer.weight.shape) < 0.5
    layer.weight.data[~mask] = 0
    alone, image = torch.randn(2, 4, 4), torch.randn(1, 2, 4, 4)
    expected = layer(alone), layer(image)
    found = pruned(layer, mask)
    torch.testing.assert_close(found(alone), expected[0])
    torch.testing.assert_close(found(image), expected[1])
    for wrong in (torch.randn(1, 3, 4, 4), torch.randn(1, 2, 2, 2), torch.randn(1, 2, 4, 4, dtype=torch.float64)):
        with pytest.raises(RuntimeError) as told:
            found(wrong)
        with pytest.raises(RuntimeError) as expected_error:
            functional.conv2d(wrong, layer.weight, layer.bias)
        assert str(told.value) == str(expected_error.value)


def shared() -> nn.Sequential:
    layers = nn.Conv2d(2, 2, 3, padding=1), nn.Conv2d(2, 2, 3, padding=1)
    layers[1].weight = layers[0].weight
    return nn.Sequential(*layers)


class Scaled(nn.Conv2d):
    pass


class Twice(nn.Module):
    """Meets one layer at two sizes."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(2, 2, 3, stride=2, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(self.layer(x))


def test_which_uses_of_convolutions_are_found() -> None:
    plain = nn.Sequential(nn.Conv2d(2, 4, (3, 2), stride=(2, 1), padding=(1, 0), bias=False))
    (use,) = observe_forward(plain, (2, 6, 5)).convolutions["0.weight"]
    assert use.convolution == Convolution(2, 4, (3, 2), (2, 1), (1, 0))
    assert (use.image, use.pixels) == ((6, 5), 3 * 4)
    assert [(use.image, use.pixels) for use in observe_forward(Twice(), (2, 8, 8)).convolutions["layer.weight"]] == [
        ((8, 8), 16),
        ((4, 4), 4),
    ]
    none = [
        shared(),
        Scaled(2, 4, 3),
        nn.Conv2d(2, 4, 3, groups=2),
        nn.Conv2d(2, 4, 3, dilation=2),
        nn.Conv2d(2, 4, 3, padding="same"),
        nn.Conv2d(2, 4, 3, padding=1, padding_mode="reflect"),
        nn.utils.parametrizations.weight_norm(nn.Conv2d(2, 4, 3)),
    ]
    assert [observe_forward(nn.Sequential(module), (2, 6, 6)).convolutions for module in none] == [{}] * len(none)
    assert plain.training, "it is left as it was"
    assert not plain[0]._forward_hooks
