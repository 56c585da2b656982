"""The Gram matrix of a network: against one gradient after the other, and against that of infinite width."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from tickets.gram import gram_matrix
from tickets.models.mlp import mlp


class Odd(nn.Module):
    """A weight that is used twice, a convolution, batch normalisation, and a layer that is never called."""

    def __init__(self) -> None:
        super().__init__()
        self.twice, self.last = nn.Linear(4, 4), nn.Linear(4, 3)
        self.convolution, self.normed, self.idle = nn.Conv1d(1, 3, 4), nn.BatchNorm1d(4), nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = self.normed(self.twice(x)).relu()
        hidden = hidden + hidden @ self.twice.weight
        return self.last(hidden) + self.convolution(x.unsqueeze(1)).squeeze(2)


class Shares(nn.Module):
    """Outputs that sum to 1, from a weight that is used twice: the gradient of their sum is 0, however it is used."""

    def __init__(self) -> None:
        super().__init__()
        self.twice, self.last = nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.twice(x).relu() @ self.twice.weight).softmax(1)


def chain() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3, bias=False))


def one_by_one(module: nn.Module, inputs: torch.Tensor, kept: dict[str, torch.Tensor]) -> torch.Tensor:
    parameters = {name: value for name, value in module.named_parameters() if name in kept}
    rows = []
    for output in module(inputs).flatten():
        found = torch.autograd.grad(output, list(parameters.values()), retain_graph=True, materialize_grads=True)
        rows.append(torch.cat([one[kept[name]] for name, one in zip(parameters, found, strict=True)]))
    return torch.stack(rows) @ torch.stack(rows).T


@pytest.mark.parametrize("share", [1.0, 0.6])
@pytest.mark.parametrize("build", [chain, Odd, Shares])
def test_it_is_that_of_the_gradients_one_by_one(build, share: float) -> None:
    torch.manual_seed(0)
    module, inputs = build().double().eval(), torch.randn(5, 4, dtype=torch.float64)
    kept = {name: torch.rand(value.shape) < share for name, value in module.named_parameters()}
    del kept["0.bias" if build is chain else "twice.bias"]  # frozen
    torch.testing.assert_close(gram_matrix(module, inputs, kept), one_by_one(module, inputs, kept))


def test_by_hand() -> None:
    module = nn.Sequential(nn.Linear(1, 2, bias=False), nn.ReLU(), nn.Linear(2, 1, bias=False)).double()
    with torch.no_grad():
        module[0].weight.copy_(torch.tensor([[1.0], [-1.0]]))
        module[2].weight.copy_(torch.tensor([[3.0, 5.0]]))
    kept = {name: torch.ones_like(value, dtype=torch.bool) for name, value in module.named_parameters()}
    # Example 2 uses unit 0 alone, -1 unit 1 alone: gradients (6, 0, 2, 0) and (0, -5, 0, 1).
    found = gram_matrix(module, torch.tensor([[2.0], [-1.0]], dtype=torch.float64), kept)
    assert found.tolist() == [[40.0, 0.0], [0.0, 26.0]]


def test_a_wide_network_has_that_of_infinite_width() -> None:
    """Jacot et al. 2018: for a two-layer ReLU network of unit inputs, K = k1(u) + u k0(u) per output, u the cosine."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(6, 8, generator=generator, dtype=torch.float64)
    inputs *= math.sqrt(8) / inputs.norm(dim=1, keepdim=True)
    module = mlp((8,), 2, (16384,), bias=False, parametrisation="ntk").double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(generator=generator)
    kept = {name: torch.ones_like(value, dtype=torch.bool) for name, value in module.named_parameters()}
    found = gram_matrix(module, inputs, kept)
    cosine = (inputs @ inputs.T / 8).clamp(-1, 1)
    angle = torch.arccos(cosine)
    first = (torch.sin(angle) + (math.pi - angle) * cosine) / math.pi  # arc-cosine kernels of degree 1 and 0
    whole = first + cosine * (math.pi - angle) / math.pi
    torch.testing.assert_close(found, torch.kron(whole, torch.eye(2, dtype=torch.float64)), rtol=0, atol=0.06)
