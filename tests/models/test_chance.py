"""Random numbers in a network: each network has its own, the same in every process, or it is refused in words."""

from __future__ import annotations

import random
import sys
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import tickets
from tickets.errors import InputError
from tickets.initial import initial_values
from tickets.models.chance import check_chance, draws_of

OWN = np.random.default_rng()
OWN_TORCH = torch.Generator()
OWN_PYTHON = random.Random()


class Net(nn.Module):
    """A network of one hidden layer; `noise` is what its outputs are multiplied by."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.outer = nn.Linear(64, 8), nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.outer(torch.tanh(self.inner(x.flatten(1))) * self.noise())

    def noise(self) -> Any:
        return 1.0


class Python(Net):
    def noise(self) -> Any:
        return 1 + random.random()


class Numpy(Net):
    def noise(self) -> Any:
        return torch.from_numpy(np.random.rand(8).astype(np.float32))


class InTraining(Net):
    """Drops its hidden layer now and then: stochastic depth."""

    def noise(self) -> Any:
        return 1.0 if not self.training or random.random() < 0.8 else 0.5


class ExitsInTraining(Net):
    def noise(self) -> Any:
        return sys.exit(3) if self.training else torch.rand(8)


class InEvaluation(Net):
    def noise(self) -> Any:
        return 1.0 if self.training else torch.rand(8)


class Torch(Net):
    def noise(self) -> Any:
        return 1 + torch.rand(8)


class Permuted(Net):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x + 0.1 * x[torch.randperm(len(x))])


class Dropped(Net):
    def forward(self, x: Tensor) -> Tensor:
        return functional.dropout(super().forward(x), 0.3, self.training)


class Image(nn.Module):
    """A convolution, which would be trained in several lanes."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.outer = nn.Conv2d(1, 2, 3), nn.Linear(72, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.outer(torch.relu(self.inner(x)).flatten(1) * (1 + np.random.rand()))


class NumpyOwn(Net):
    def noise(self) -> Any:
        return 1 + OWN.random()


class TorchOwn(Net):
    def noise(self) -> Any:
        return 1 + torch.rand(8, generator=OWN_TORCH)


class HeldOwn(Net):
    def __init__(self) -> None:
        super().__init__()
        self.generator = torch.Generator().manual_seed(3)

    def noise(self) -> Any:
        return 1 + torch.rand(8, generator=self.generator)


class PythonOwn(Net):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) if OWN_PYTHON.random() < 0.999999 else 2 * super().forward(x)


def closed_over() -> type[Net]:
    generator = np.random.RandomState()

    class Closed(Net):
        def noise(self) -> Any:
            return 1.0 if generator.rand() < 0.999999 else 2.0

    return Closed


class Counting(Net):
    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def noise(self) -> Any:
        self.calls += 1
        return 1 / self.calls


class Reseeded(Net):
    """Noise that is the same at every call is a function like any other."""

    def noise(self) -> Any:
        return 1 + torch.rand(8, generator=torch.Generator().manual_seed(0))


class Initialised(Net):
    def __init__(self) -> None:
        super().__init__()
        self.extra = nn.Parameter(torch.from_numpy(OWN.random(3)).float())


def draws(network: type[nn.Module]) -> Any:
    inputs = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    return draws_of(network, inputs)


@pytest.mark.parametrize(
    ("network", "sources"),
    [
        (Net, set()),
        (Python, {"python"}),
        (Numpy, {"numpy"}),
        (InTraining, {"python"}),
        (InEvaluation, {"torch"}),
        (ExitsInTraining, {"torch"}),  # that it fails is reported where it is trained
        (Torch, {"torch"}),
        (Permuted, {"torch"}),
        (Dropped, {"torch"}),
        (Image, {"numpy"}),
        (Reseeded, set()),
        (Counting, set()),  # what it remembers is found where it is trained beside a plain loop
    ],
)
def test_the_generators_that_a_network_draws_from_are_found(network: type[nn.Module], sources: set[str]) -> None:
    inputs = torch.randn(4, 1, 8, 8)
    before = random.getstate(), torch.get_rng_state().tolist()
    found = draws_of(network, inputs)
    assert found.sources == sources
    assert found.repeatable
    assert (random.getstate(), torch.get_rng_state().tolist()) == before


@pytest.mark.parametrize("network", [NumpyOwn, TorchOwn, HeldOwn, PythonOwn, closed_over()])
def test_what_cannot_be_drawn_again_is_refused(network: type[nn.Module]) -> None:
    found = draws(network)
    assert not found.repeatable
    with pytest.raises(InputError, match=r"^model 'mine': the same values and seeds give other outputs the next time"):
        check_chance(found, lambda seed: {}, "mine")


def test_what_is_initialised_otherwise_each_time_is_refused() -> None:
    found = draws(Initialised)
    with pytest.raises(InputError, match=r"two networks from one seed differ in 'extra', .*draw from torch's, NumPy's"):
        check_chance(found, lambda seed: initial_values(Initialised, "pytorch", seed), "mine")


@pytest.mark.parametrize("network", ["NumpyOwn", "Initialised", "Counting"])
def test_a_campaign_of_it_is_refused_and_writes_nothing(network: str, campaign_file, tmp_path) -> None:
    with pytest.raises(InputError, match=r"^model '.*': "):
        tickets.run(campaign_file(tmp_path / "file", model=f"{__name__}:{network}"), out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_why_networks_are_trained_one_after_the_other() -> None:
    assert draws(Python).obstacle == "the model draws from Python's random numbers"
    assert draws(Numpy).obstacle == "the model draws from NumPy's random numbers"
    assert draws(Torch).obstacle is None  # which vmap tells


@pytest.mark.parametrize("network", ["Python", "Numpy", "InTraining", "InEvaluation", "Torch", "Permuted", "Image"])
def test_a_campaign_of_it_has_the_same_bits_again_and_networks_have_their_own(
    network: str, campaign_file, contents, tmp_path
) -> None:
    out = []
    for index in range(2):
        random.seed(index)
        np.random.seed(index)
        torch.manual_seed(index)
        changes = {"rounds": 1, "compute": {"threads": 2}, "train": {"steps": 5, "evaluate_every": 2}}
        changes |= {"arms": ["ticket", "repeat", "reinit"], "store": {"trained": "all"}}
        file = campaign_file(tmp_path / str(index), model=f"{__name__}:{network}", **changes)
        out.append(tmp_path / str(index) / "out")
        saved = tickets.run(file, out=out[-1])
    assert contents(out[0]) == contents(out[1])
    # `repeat` is the ticket but for what is drawn while it trains.
    one, other = (saved.arm(arm, 0, 0).trained["inner.weight"] for arm in ("ticket", "repeat"))
    assert np.array_equal(one, other) == (network == "InEvaluation")


def test_it_trains_as_a_plain_loop_that_is_seeded_so(campaign_file, tmp_path) -> None:
    """One step of one network, by hand."""
    from tickets.data import load_dataset, split
    from tickets.seeds import stream
    from tickets.stack.order import Batches

    changes = {"replicates": 1, "rounds": 0, "arms": ["ticket"], "store": {"trained": "all"}}
    changes["train"] = {"steps": 1, "optimizer": "sgd", "learning_rate": 0.1, "momentum": 0.0}
    saved = tickets.run(campaign_file(tmp_path, model=f"{__name__}:Numpy", **changes), out=tmp_path / "out")
    ticket = saved.ticket(0, 0)
    examples = split(load_dataset({}, "digits", None), 200)
    network = ticket.build()
    places = Batches((stream(0, 0, "order"),), len(examples.train_labels), 50, torch.device("cpu")).at(0)[0]
    before = np.random.get_state()
    np.random.seed(stream(stream(0, 0, "noise", 0, "ticket", 0), 0) & 0xFFFFFFFF)
    loss = functional.cross_entropy(network(examples.train_inputs[places]), examples.train_labels[places])
    np.random.set_state(before)
    loss.backward()
    for name, parameter in network.named_parameters():
        expected = (parameter - 0.1 * parameter.grad).detach().numpy()
        assert np.allclose(ticket.trained[name], expected, rtol=1e-5, atol=1e-7), name
