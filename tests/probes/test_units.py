"""Hidden units: counted by hand, against numpy, and while the real trainer trains."""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest
import torch
from made_workloads import hidden_of, workload
from torch import Tensor, nn

from tickets.config import TrainConfig
from tickets.data import load_dataset, split
from tickets.initial import initial_values
from tickets.models.mlp import mlp
from tickets.probes.units import MEASURES, measure_units
from tickets.stack.feed import NetworkSeeds
from tickets.stack.networks import stack_networks
from tickets.stack.strategies import begin, choose
from tickets.stack.training import Trained, train

ADAM = {"optimizer": "adam", "learning_rate": 0.01}
SGD = {"optimizer": "sgd", "learning_rate": 1e-4, "momentum": 0.9}


def chain(*widths: int) -> nn.Sequential:
    """Linear and ReLU in turn, ending with Linear; the first number is of inputs, the last of classes."""
    return mlp((widths[0],), widths[-1], widths[1:-1])


def measured(module: nn.Module, parameters: dict[str, Tensor], x: Tensor) -> dict[str, list[list[float]]]:
    """By measure: a list of networks, each of layers."""
    values = measure_units(hidden_of(module), parameters, x)
    assert values.dtype == torch.float64
    return {name: values[:, :, index].tolist() for index, name in enumerate(MEASURES)}


def random_stack(module: nn.Module, networks: int, seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(networks, *p.shape, generator=generator) for name, p in module.named_parameters()}


def by_hand() -> tuple[nn.Module, dict[str, Tensor]]:
    """2-4-1. Units 0 and 2 are equal but for the sign of a zero, 3 differs from them in its outgoing weight alone."""
    module = chain(2, 4, 1)
    parameters = {
        "1.weight": torch.tensor([[[3.0, 0.0], [0.0, 1.0], [3.0, -0.0], [3.0, 0.0]]]),
        "1.bias": torch.tensor([[0.0, 1.0, 0.0, 0.0]]),
        "3.weight": torch.tensor([[[4.0, 0.0, 4.0, 4.001]]]),
        "3.bias": torch.zeros(1, 1),
    }
    return module, parameters


def test_distinct_units_by_hand() -> None:
    module, parameters = by_hand()
    x = torch.tensor([[1.0, 2.0], [3.0, 1.0], [-1.0, 0.0]])
    found = measured(module, parameters, x)
    assert found["distinct"] == [[3.0]]
    # The vectors are (3, 0, 0, 4), (0, 1, 1, 0), the first again, and one that is 0.001 away: 0.0002 of its length.
    assert found["distinct_within"] == [[2.0]]
    longest = math.hypot(3, 4.001)
    assert found["spread"] == [[pytest.approx(math.sqrt(9 + 1 + 1 + 16) / longest, rel=1e-6)]]


def test_distances_by_hand() -> None:
    module, parameters = by_hand()
    x = torch.tensor([[1.0, 2.0], [3.0, 1.0]])
    # (1, 2) becomes (3, 3, 3, 3), (3, 1) becomes (9, 2, 9, 9).
    ratio = pytest.approx(math.sqrt(3 * 36 + 1) / math.sqrt(5), rel=1e-6)
    found = measured(module, parameters, x)
    assert [found[name] for name in ("distance_low", "distance_median", "distance_high")] == [[[ratio]]] * 3
    assert found["effective_rank"] == [[pytest.approx(1.0, abs=1e-6)]], "two examples differ in one direction"


def test_examples_that_come_as_one_are_no_pair() -> None:
    module, parameters = by_hand()
    found = measured(module, parameters, torch.tensor([[1.0, 2.0], [1.0, 2.0]]))
    assert all(math.isnan(found[name][0][0]) for name in ("distance_low", "distance_median", "distance_high"))
    assert found["effective_rank"] == [[0.0]]
    alone = measured(module, parameters, torch.tensor([[1.0, 2.0]]))
    assert math.isnan(alone["distance_median"][0][0])
    assert alone["distinct"] == [[3.0]]


def oracle(parameters: dict[str, Tensor], network: int, layers: list[tuple[str, str]], x: np.ndarray):
    """The measures of one network in plain numpy."""
    values = {name: tensor[network].numpy() for name, tensor in parameters.items()}
    before, rows = x, []
    for name, after in layers:
        weight, bias, outgoing = values[f"{name}.weight"], values[f"{name}.bias"], values[f"{after}.weight"]
        outputs = np.maximum(before @ weight.T + bias, 0)
        units = np.concatenate([weight, bias[:, None], outgoing.T], 1).astype(np.float64)
        ratios = [
            np.linalg.norm(outputs[i] - outputs[j]) / np.linalg.norm(before[i] - before[j])
            for i in range(len(x))
            for j in range(i)
            if np.any(before[i] != before[j])
        ]
        singular = np.linalg.svd(outputs - outputs.mean(0), compute_uv=False)
        shares = singular[singular > 1e-12] / singular.sum()
        longest = np.linalg.norm(units, axis=1).max()
        rows.append(
            [
                len(np.unique(units, axis=0)),
                sum(all(np.linalg.norm(u - v) > 1e-3 * longest for v in units[:i]) for i, u in enumerate(units)),
                max(np.linalg.norm(u - units[0]) for u in units) / longest,
                *np.quantile(ratios, [0.05, 0.5, 0.95]),
                np.exp(-(shares * np.log(shares)).sum()),
            ]
        )
        before = outputs
    return np.array(rows)


def test_against_numpy() -> None:
    module = chain(6, 9, 8, 3)
    parameters = random_stack(module, 3)
    parameters["1.weight"][1, 4:] = parameters["1.weight"][1, 4]  # equal units, and nearly equal ones
    parameters["1.bias"][1, 4:] = 0.5
    parameters["3.weight"][1, :, 4:] = parameters["3.weight"][1, :, 4:5]
    parameters["1.weight"][1, 7] += 1e-5
    x = torch.randn(20, 6, generator=torch.Generator().manual_seed(1))
    found = measure_units(hidden_of(module), parameters, x)
    for network in range(3):
        expected = oracle(parameters, network, [("1", "3"), ("3", "5")], x.numpy())
        np.testing.assert_allclose(found[network].numpy(), expected, rtol=1e-4, atol=1e-6)
    assert found[1, 0, :2].tolist() == [6.0, 5.0]


def test_what_is_not_finite_says_nothing() -> None:
    module = chain(4, 5, 3)
    parameters = random_stack(module, 3)
    parameters["1.weight"][1, 2, 0] = torch.inf
    parameters["3.weight"][2, 0, 0] = torch.nan
    found = measure_units(hidden_of(module), parameters, torch.randn(9, 4))
    assert found[0].isfinite().all()
    assert found[1:].isnan().all()


def test_only_the_first_examples_are_looked_at() -> None:
    module = chain(4, 5, 3)
    parameters, x = random_stack(module, 2), torch.randn(100, 4)
    layers = hidden_of(module)
    assert torch.equal(measure_units(layers, parameters, x), measure_units(layers, parameters, x[:64]))


class Seen:
    """Measures what a training shows, from whichever thread."""

    def __init__(self, module: nn.Module, x: Tensor) -> None:
        self.layers, self.x, self.found = hidden_of(module), x, {}

    def __call__(self, part: slice, step: int, values: dict[str, Tensor]) -> None:
        self.found[part.start, step] = measure_units(self.layers, values, self.x)

    def whole(self) -> Tensor:
        starts, steps = (sorted(set(keys)) for keys in zip(*self.found, strict=True))
        return torch.stack([torch.cat([self.found[start, step] for start in starts]) for step in steps])


@functools.cache
def signals():
    return split(load_dataset({}, "mnist1d", None), 500)


def trained(
    widths: list[int], recipe: dict, networks: int, dropout: float = 0.0, steps: int = 60
) -> tuple[Trained, Tensor]:
    """What training networks that start constant gives, and what was measured, (steps, networks, layers, measures).

    Each has its own data order, on the demo's data by the trainer's own choice.
    """
    examples = signals()

    def build() -> nn.Module:
        return mlp((40,), 10, widths, dropout=dropout)

    module = build()
    values = initial_values(build, {"name": "constant", "value": 0.5, "biases": "zeros"}, 0)
    masks = {name: torch.ones_like(p, dtype=torch.bool) for name, p in module.named_parameters() if p.ndim == 2}
    start = stack_networks([values] * networks, [masks] * networks, [name for name, _ in module.named_parameters()])
    how = TrainConfig(batch_size=100, steps=steps, evaluate_every=10, **recipe)
    one = workload(module, (40,), threads=2, networks=networks, build=build, recipe=how)
    choice = choose(one)
    seen = Seen(module, examples.validation_inputs)
    result = train(
        functools.partial(begin, choice.strategy, one),
        start,
        [NetworkSeeds(order=index, noise=index) for index in range(networks)],
        examples,
        how,
        lanes=choice.lanes,
        observe=seen,
    )
    return result, seen.whole()


@pytest.mark.parametrize("networks", [1, 5])
@pytest.mark.parametrize("recipe", [ADAM, SGD])
def test_equal_units_stay_equal_stacked_and_alone(recipe: dict, networks: int) -> None:
    result, measured = trained([32, 32], recipe, networks)
    assert measured.shape == (7, networks, 2, len(MEASURES))
    assert (measured[:, :, :, MEASURES.index("distinct")] == 1).all()
    assert (measured[:, :, :, MEASURES.index("spread")] == 0).all()
    weights = result.stack.parameters["1.weight"]
    assert (weights != 0.5).any(2).all(), "what is equal moves, and moves together"
    assert torch.equal(weights, weights[:, :1].expand_as(weights))


def test_dropout_alone_parts_equal_units() -> None:
    _, measured = trained([32, 32], ADAM, 2, dropout=0.5, steps=10)
    distinct = measured[:, :, :, MEASURES.index("distinct")]
    assert distinct[0].eq(1).all()
    assert distinct[1].gt(1).all()
