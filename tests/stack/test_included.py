"""Weights that prune.include adds: zero after every step, and trained as a plain loop over torch.optim does."""

from __future__ import annotations

import functools

import pytest
import torch
from made_workloads import execution as execution_of
from torch import Tensor, nn

from tickets.initial import initial_values
from tickets.stack.architecture import prunable
from tickets.stack.networks import Stack, stack_networks
from tickets.stack.stepwise import Stepwise
from tickets.stack.training import train

RECIPES = {
    "sgd": {"optimizer": "sgd", "momentum": 0.9, "weight_decay": 0.05},
    "adam": {"optimizer": "adam", "weight_decay": 0.05},
    "adamw": {"optimizer": "adamw", "weight_decay": 0.5},
}
NETWORKS = 2


class Recurrent(nn.Module):
    def __init__(self, kind: type[nn.RNNBase]) -> None:
        super().__init__()
        self.rnn, self.out = kind(2, 4, batch_first=True), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.rnn(x.view(-1, 3, 2))[0][:, -1])


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        # Without biases: the softmax does not change with the keys' bias, whose gradient is then rounding alone.
        self.attention, self.out = nn.MultiheadAttention(2, 1, bias=False, batch_first=True), nn.Linear(2, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = x.view(-1, 3, 2)
        return self.out(self.attention(x, x, x, need_weights=True)[0].mean(1))


class Table(nn.Module):
    """An embedding, a parameter of its own and a weight that is normalised."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.own = nn.Embedding(4, 5), nn.Parameter(torch.randn(5, 4) / 2)
        self.out = nn.utils.parametrizations.weight_norm(nn.Linear(4, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.tanh(self.table((x > 0).long() + 2 * (x > 1).long()).mean(1) @ self.own))


MODELS = {
    "gru": (lambda: Recurrent(nn.GRU), ["rnn.weight_*"], {"rnn.weight_ih_l0", "rnn.weight_hh_l0", "out.weight"}),
    "lstm": (lambda: Recurrent(nn.LSTM), ["rnn.*"], {"rnn.weight_ih_l0", "rnn.weight_hh_l0", "out.weight"}),
    "attention": (Attention, ["*.in_proj_*"], {"attention.in_proj_weight", "attention.out_proj.weight", "out.weight"}),
    "table": (Table, ["table.*", "own", "*1"], {"table.weight", "own", "out.parametrizations.weight.original1"}),
}


def start(build, include: list[str], wanted: set[str]) -> Stack:
    found = prunable(build(), (), include)
    assert {tensor.name for tensor in found} == wanted
    values = [initial_values(build, "pytorch", 100 + index) for index in range(NETWORKS)]
    drawn = [torch.Generator().manual_seed(index) for index in range(NETWORKS)]
    masks = [{each.name: torch.rand(each.shape, generator=own) < 0.6 for each in found} for own in drawn]
    return stack_networks(values, masks, [name for name, _ in build().named_parameters()])


class Watched:
    """An execution that looks at the weights before each step, which is after the step before."""

    def __init__(self, inner, masks) -> None:
        self.inner, self.masks, self.steps, self.pushed = inner, masks, 0, set()

    def gradients(self, parameters, buffers, x, y, noise) -> None:
        assert all((parameters[name][~mask] == 0).all() for name, mask in self.masks.items())
        self.inner.gradients(parameters, buffers, x, y, noise)
        self.steps += 1
        self.pushed |= {name for name, mask in self.masks.items() if (parameters[name].grad[~mask] != 0).any()}

    def logits(self, parameters, buffers, x):
        return self.inner.logits(parameters, buffers, x)


@pytest.mark.parametrize("optimizer", RECIPES)
@pytest.mark.parametrize("model", MODELS)
def test_zero_at_every_step_and_the_rest_as_in_a_plain_loop(bench, model: str, optimizer: str) -> None:
    build, include, wanted = MODELS[model]
    stack, recipe, examples = start(build, include, wanted), bench.recipe(**RECIPES[optimizer]), bench.examples()
    watched = Watched(execution_of("looped", build(), stack.masks), stack.masks)
    seeds = bench.seeds(NETWORKS)
    trained = train(functools.partial(Stepwise, watched), stack, seeds, examples, recipe, chunk=4).stack
    assert watched.steps == recipe.steps
    assert watched.pushed == wanted, "the gradient never pushed at a pruned weight, so nothing was tested"
    for index in range(NETWORKS):
        values = {name: tensor[index] for name, tensor in stack.parameters.items()}
        masks = {name: tensor[index] for name, tensor in stack.masks.items()}
        module, _ = bench.plain(build, values, masks, recipe, examples, seeds[index].order)
        for name, parameter in module.named_parameters():
            torch.testing.assert_close(trained.parameters[name][index], parameter, rtol=1e-4, atol=1e-5)
        for name, mask in masks.items():
            assert (trained.parameters[name][index][~mask] == 0).all()
            assert (trained.parameters[name][index][mask] != 0).any()


class Beside(nn.Module):
    """A convolution, which may be computed by its surviving weights alone, beside an included parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.own, self.out = nn.Conv2d(1, 2, 3), nn.Parameter(torch.randn(8, 5) / 3), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.tanh(torch.relu(self.conv(x)).flatten(1) @ self.own))


@pytest.mark.parametrize("strategy", ["looped", "vectorised", "sparse"])
@pytest.mark.parametrize("optimizer", RECIPES)
def test_every_strategy_trains_them_as_a_plain_loop_does(bench, strategy: str, optimizer: str) -> None:
    stack = start(Beside, ["own"], {"conv.weight", "own", "out.weight"})
    recipe, examples = bench.recipe(**RECIPES[optimizer]), bench.examples((1, 4, 4))
    trained = bench.train(Beside, stack, recipe, examples, strategy).stack
    for index in range(NETWORKS):
        values = {name: tensor[index] for name, tensor in stack.parameters.items()}
        masks = {name: tensor[index] for name, tensor in stack.masks.items()}
        module, _ = bench.plain(Beside, values, masks, recipe, examples, bench.seeds(NETWORKS)[index].order)
        for name, parameter in module.named_parameters():
            torch.testing.assert_close(trained.parameters[name][index], parameter, rtol=1e-4, atol=1e-5)
        assert all((trained.parameters[name][index][~mask] == 0).all() for name, mask in masks.items())
