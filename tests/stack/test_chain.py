"""Which networks are chains, and what their links are."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tickets.models import factory
from tickets.stack.chain import Chain, Link, chain_of

IMAGE = (2, 6, 6)


def ends(*layers: nn.Module, units: int) -> nn.Sequential:
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(units, 3))


def test_the_links_of_a_fully_connected_network(bench) -> None:
    links = (
        Link("1.weight", "1.bias", (6, 1, 1), (7, 1, 1)),
        Link("3.weight", "3.bias", (7, 1, 1), (5, 1, 1)),
        Link("5.weight", "5.bias", (5, 1, 1), (3, 1, 1)),
    )
    assert chain_of(bench.mlp(), (6,)) == chain_of(bench.mlp(), (1, 2, 3)) == Chain(links, complete=True)
    chain = chain_of(bench.mlp(), (6,))
    assert [[type(layer) for layer in link.between] for link in chain.links] == [[nn.ReLU], [nn.ReLU], []]
    assert chain.linear
    assert chain.rectified


def test_the_links_of_conv2() -> None:
    chain = chain_of(factory("conv2", {}, (3, 32, 32), 10)(), (3, 32, 32))
    assert chain is not None
    links = chain.links
    assert (chain.linear, chain.rectified, chain.complete) == (False, True, True)
    assert links[:3] == (
        Link("conv1.weight", "conv1.bias", (3, 32, 32), (64, 32, 32), (3, 3), (1, 1)),
        Link("conv2.weight", "conv2.bias", (64, 32, 32), (64, 32, 32), (3, 3), (1, 1), pool=2),
        Link("fc1.weight", "fc1.bias", (64, 16, 16), (256, 1, 1)),
    )
    assert [link.pixels for link in links] == [1024, 1024, 1, 1, 1]


@pytest.mark.parametrize("name", ["conv4", "conv6"])
def test_the_convolutional_networks_are_chains_that_kernels_train_unless_they_drop_out(name: str) -> None:
    for dropout in (0.0, 0.5):
        module = factory(name, {"dropout": dropout}, (3, 32, 32), 10)()
        assert chain_of(module, (3, 32, 32)).rectified == (dropout == 0)


def shared() -> nn.Sequential:
    layer = nn.Linear(3, 3)
    return nn.Sequential(nn.Flatten(), nn.Linear(72, 3), nn.ReLU(), layer, nn.ReLU(), layer)


def hooked() -> nn.Sequential:
    module = ends(units=72)
    module[1].register_forward_hook(lambda *_: None)
    return module


NO_CHAINS = {
    "nothing": nn.Sequential(),
    "no Sequential": nn.Linear(72, 3),
    "not flat": nn.Sequential(nn.Linear(6, 3)),
    "no weights after": nn.Sequential(nn.Flatten(), nn.Linear(72, 3), nn.ReLU()),
    "ends with an image": nn.Sequential(nn.Conv2d(2, 3, 6)),
    "relu first": ends(nn.ReLU(), units=72),
    "pool first": ends(nn.MaxPool2d(2), units=18),
    "stride": ends(nn.Conv2d(2, 3, 2, stride=2), nn.ReLU(), units=27),
    "dilation": ends(nn.Conv2d(2, 3, 3, dilation=2), nn.ReLU(), units=12),
    "groups": ends(nn.Conv2d(2, 4, 3, groups=2), nn.ReLU(), units=64),
    "same": ends(nn.Conv2d(2, 3, 3, padding="same"), nn.ReLU(), units=108),
    "reflect": ends(nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect"), nn.ReLU(), units=108),
    "wide padding": ends(nn.Conv2d(2, 3, 1, padding=1), nn.ReLU(), units=192),
    "other norm": ends(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), units=48),
    "other pool": ends(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.AvgPool2d(2), units=12),
    "oblong pool": ends(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.MaxPool2d((2, 1)), units=24),
    "pool with a stride": ends(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.MaxPool2d(2, 1), units=27),
    "pool with padding": ends(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.MaxPool2d(2, padding=1), units=27),
    "pool that leaves some over": ends(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.MaxPool2d(3), units=3),
    "two pools": ends(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.MaxPool2d(2), nn.MaxPool2d(2), units=3),
    "flat in part": nn.Sequential(nn.Flatten(2), nn.Linear(36, 3)),
    "shared": shared(),
    "hooked": hooked(),
}


@pytest.mark.parametrize("name", NO_CHAINS)
def test_what_is_no_chain(name: str) -> None:
    assert chain_of(NO_CHAINS[name], IMAGE) is None


@pytest.mark.parametrize(
    ("between", "rectified"),
    [
        ([], False),
        ([nn.ReLU()], True),
        ([nn.ReLU(inplace=True), nn.ReLU()], True),
        ([nn.Tanh()], False),
        ([nn.ReLU(), nn.Dropout()], False),
        ([nn.MaxPool2d(2), nn.ReLU()], True),
        ([nn.ReLU(), nn.Flatten(), nn.ReLU()], True),
    ],
)
def test_what_may_stand_between(between: list[nn.Module], rectified: bool) -> None:
    pooled = any(isinstance(layer, nn.MaxPool2d) for layer in between)
    chain = chain_of(ends(nn.Conv2d(2, 3, 3), *between, units=12 if pooled else 48), IMAGE)
    assert chain is not None
    assert chain.rectified == rectified
    elementwise = [type(layer) for layer in between if not isinstance(layer, nn.MaxPool2d | nn.Flatten)]
    assert [type(layer) for layer in chain.links[0].between] == elementwise
    assert chain.links[0].pool == (2 if pooled else 1)


def test_a_chain_is_complete_if_each_parameter_is_trained_and_belongs_to_one_link() -> None:
    def chain(change=lambda module: None) -> Chain:
        module = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3))
        change(module)
        found = chain_of(module, (3,))
        assert found is not None
        return found

    def share(module: nn.Sequential) -> None:
        module[2].bias = module[0].bias

    assert chain().complete
    assert not chain(lambda module: module[0].bias.requires_grad_(False)).complete
    assert not chain(lambda module: module.register_parameter("more", nn.Parameter(torch.zeros(1)))).complete
    assert not chain(lambda module: module.register_buffer("more", torch.zeros(1))).complete
    assert not chain(share).complete
