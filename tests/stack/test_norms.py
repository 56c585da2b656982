"""Batch normalisation by our kernels, against PyTorch's in double precision."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tickets.stack import norms
from tickets.stack.norms import by_channels

SIZES = st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 9), st.integers(1, 20))


@pytest.fixture(autouse=True)
def _however_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers are normalised here however few they are."""
    monkeypatch.setattr(norms, "FEW", 0)


def pair(layer: nn.Module, dtype: torch.dtype) -> tuple[nn.Module, nn.Module]:
    """PyTorch's layer in double precision, and ours in `dtype`."""
    ours = copy.deepcopy(layer).to(dtype)
    by_channels(ours)
    return layer.double(), ours


def passed(layer: nn.Module, x: Tensor, slopes: Tensor) -> dict[str, Tensor]:
    """Everything that a pass forward and back gives, in double precision."""
    x = x.clone().requires_grad_()
    outputs = layer(x)
    outputs.backward(slopes)
    gradients = {name: parameter.grad for name, parameter in layer.named_parameters()}
    found = {"outputs": outputs.detach(), "by x": x.grad, **gradients, **dict(layer.named_buffers())}
    return {name: tensor.double() for name, tensor in found.items() if tensor is not None}


@settings(max_examples=60)
@given(SIZES, st.sampled_from([torch.float32, torch.float64]), st.booleans(), st.sampled_from([0.1, 0.7, None]))
def test_what_comes_out_and_what_goes_back(
    size: tuple[int, int, int, int], dtype: torch.dtype, affine: bool, momentum: float | None
) -> None:
    if size[0] * size[2] * size[3] == 1:
        return
    draw = torch.Generator().manual_seed(1)
    layer = nn.BatchNorm2d(size[1], eps=1e-3, momentum=momentum, affine=affine)
    for parameter in layer.parameters():
        nn.init.uniform_(parameter, 0.5, 2, generator=draw)
    whole, ours = pair(layer, dtype)
    exact = {"rtol": 1e-9, "atol": 1e-9} if dtype == torch.float64 else {"rtol": 1e-4, "atol": 1e-4}
    for _ in range(2):  # running statistics go on from the first time
        x, slopes = (torch.randn(size, generator=draw, dtype=torch.float64).to(dtype) for _ in range(2))
        wanted, found = passed(whole, x.double(), slopes.double()), passed(ours, x, slopes)
        assert wanted.keys() == found.keys()
        for name, tensor in wanted.items():
            torch.testing.assert_close(found[name], tensor, **exact, msg=lambda text, name=name: f"{name}: {text}")


def test_numbers_far_from_zero_keep_their_digits() -> None:
    x = 3000 + torch.randn(8, 2, 32, 32, generator=torch.Generator().manual_seed(1))
    layer = nn.BatchNorm2d(2)
    theirs = copy.deepcopy(layer)(x)
    whole, ours = pair(layer, torch.float32)
    wanted = whole(x.double())
    assert (ours(x) - wanted).abs().max() <= (theirs - wanted).abs().max()


def test_a_channel_that_diverged_is_alone() -> None:
    x = torch.randn(3, 3, 4, 5, generator=torch.Generator().manual_seed(1))
    x[1, 1, 2, 3], x[0, 2, 0, 0] = torch.inf, torch.nan
    layer = nn.BatchNorm2d(3)
    _, ours = pair(copy.deepcopy(layer), torch.float32)
    wanted, found = passed(layer, x, torch.ones_like(x)), passed(ours, x, torch.ones_like(x))
    for name in ("outputs", "by x"):
        assert found[name][:, 0].isfinite().all()
        assert not found[name][:, 1:].isfinite().any()
        assert torch.equal(found[name].isfinite(), wanted[name].isfinite())


def test_evaluation_is_pytorchs() -> None:
    layer = nn.BatchNorm2d(3)
    x = torch.randn(4, 3, 5, 6)
    layer(x)
    layer.eval()
    wanted = layer(x)
    by_channels(layer)
    assert torch.equal(layer(x), wanted)


@pytest.mark.parametrize(
    ("layer", "x"),
    [
        (nn.BatchNorm2d(3), torch.randn(1, 3, 1, 1)),  # one number a channel
        (nn.BatchNorm2d(3), torch.randn(2, 4, 5, 5)),
        (nn.BatchNorm2d(3), torch.randn(4, 3)),
    ],
)
def test_what_pytorch_refuses_it_refuses_itself(layer: nn.Module, x: Tensor) -> None:
    with pytest.raises((ValueError, RuntimeError)) as theirs:
        layer(x)
    by_channels(layer)
    with pytest.raises(theirs.type) as ours:
        layer(x)
    assert str(ours.value) == str(theirs.value)


def test_layers_derived_from_it_stay_as_they_are() -> None:
    class Centred(nn.BatchNorm2d):
        def forward(self, x: Tensor) -> Tensor:
            return x - x.mean((0, 2, 3), keepdim=True)

    layer, x = Centred(2), torch.randn(3, 2, 4, 4)
    wanted = layer(x)
    by_channels(layer)
    assert torch.equal(layer(x), wanted)


def test_without_running_statistics_none_are_kept() -> None:
    layer = nn.BatchNorm2d(2, track_running_stats=False)
    x = torch.randn(3, 2, 4, 4)
    wanted = layer(x)
    by_channels(layer)
    torch.testing.assert_close(layer(x), wanted)
    layer.eval()
    torch.testing.assert_close(layer(x), wanted)


def test_images_in_another_order_of_memory() -> None:
    x = torch.randn(3, 2, 4, 4).to(memory_format=torch.channels_last)
    layer = nn.BatchNorm2d(2)
    whole, ours = pair(layer, torch.float32)
    slopes = torch.randn(3, 4, 4, 2).permute(0, 3, 1, 2)
    wanted, found = passed(whole, x.double(), slopes.double()), passed(ours, x, slopes)
    for name, tensor in wanted.items():
        torch.testing.assert_close(found[name], tensor, rtol=1e-4, atol=1e-5)
