"""Models whose networks have tensors in common, or keep state in plain attributes."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from wrong_shards import execution

import tickets
from tickets.errors import InputError

SHARED, MEMORY, MEAN = nn.Linear(8, 8), torch.ones(8, 8), torch.zeros(8)


class Sharing(nn.Module):
    """Its networks have a layer, a tensor's memory or a buffer in common."""

    def __init__(self, classes: int, what: str) -> None:
        super().__init__()
        self.first, self.middle, self.last = nn.Linear(64, 8), nn.Linear(8, 8), nn.Linear(8, classes)
        self.register_buffer("mean", MEAN if what in ("mean", "constant") else torch.zeros(8))
        self.moves = what == "mean"
        if what == "middle.weight":
            self.middle = SHARED

    def forward(self, x):
        hidden = self.middle(torch.tanh(self.first(x.flatten(1))))
        if self.training and self.moves:
            self.mean.mul_(0.9).add_(0.1 * hidden.detach().mean(0))
        return self.last(torch.tanh(hidden - self.mean))


def sharing_net(input_shape: tuple[int, ...], classes: int, what: str) -> nn.Module:
    return Sharing(classes, what)


def slice_net(input_shape: tuple[int, ...], classes: int, what: str) -> nn.Module:
    net = Sharing(classes, "")
    net.middle.bias = nn.Parameter(MEMORY[1])
    return net


@pytest.mark.parametrize("strategy", ["auto", "looped"])
@pytest.mark.parametrize(
    ("net", "what"), [("sharing_net", "middle.weight"), ("sharing_net", "mean"), ("slice_net", "middle.bias")]
)
def test_what_is_put_into_every_network_is_refused(campaign_file, tmp_path, net, what, strategy) -> None:
    model, out = {"name": f"{__name__}:{net}", "what": what}, tmp_path / "out"
    with pytest.raises(InputError, match=f"every network shares the same tensor {what!r}; create it at"):
        tickets.run(campaign_file(tmp_path, model=model, compute={"strategy": strategy}), out=out)
    assert not out.exists()


def test_a_constant_that_networks_have_in_common_does_no_harm(campaign_file, tmp_path) -> None:
    model, before = {"name": f"{__name__}:sharing_net", "what": "constant"}, MEAN.clone()
    tickets.run(campaign_file(tmp_path, model=model, rounds=0), out=tmp_path / "out")
    assert torch.equal(MEAN, before)


LATE = 12  # the step from which on the count matters


class Late(nn.Module):
    """It counts its training steps, by a plain attribute of a part of it, and is another function from LATE on."""

    def __init__(self, classes: int, kind: str) -> None:
        super().__init__()
        self.first, self.drop, self.last = nn.Linear(64, 8), nn.Dropout(0.1), nn.Linear(8, classes)
        self.drop.steps = {"number": 0, "list": [], "dict": {"n": 0}, "tensor": torch.zeros(())}[kind]

    def forward(self, x):
        steps = self.drop.steps
        if self.training:
            if isinstance(steps, list):
                steps.append(0)
            elif isinstance(steps, dict):
                steps["n"] += 1
            else:
                self.drop.steps = steps + 1
        n = len(steps) if isinstance(steps, list) else steps["n"] if isinstance(steps, dict) else steps
        h = torch.tanh(self.first(x.flatten(1)))
        return self.last(self.drop(h) if n < LATE else 3 * h)


def late_net(input_shape: tuple[int, ...], classes: int, kind: str) -> nn.Module:
    return Late(classes, kind)


@pytest.mark.parametrize("strategy", ["auto", "looped"])
@pytest.mark.parametrize("kind", ["number", "list", "dict", "tensor"])
def test_each_network_counts_for_itself(campaign_file, tmp_path, kind, strategy) -> None:
    changes = {"model": {"name": f"{__name__}:late_net", "kind": kind}, "compute": {"strategy": strategy}, "rounds": 1}
    several = tickets.run(campaign_file(tmp_path, **changes), out=tmp_path / "several")
    ran = execution(tmp_path / "several")
    assert (ran["strategy"], ran["reason"]) == (
        "plain",
        "each network has a module of its own, for it changes drop.steps as it trains",
    )
    assert ran["compared"]["passed_over"] == [
        "looped: all networks would share one module, whose attribute drop.steps changes during training"
    ]
    alone = tickets.run(campaign_file(tmp_path, **changes, replicates=1, arms=["ticket"]), out=tmp_path / "alone")
    columns = ["round", "final_train_loss", "final_test_loss"]
    found = several.rounds.query("replicate == 0 and arm == 'ticket'")[columns].reset_index(drop=True)
    assert found.equals(alone.rounds[columns])


def test_a_count_that_no_rewinding_restores_is_refused(campaign_file, tmp_path) -> None:
    changes = {"model": {"name": f"{__name__}:late_net", "kind": "number"}, "rewind": {"step": 2}}
    with pytest.raises(InputError, match=r"drop\.steps changes during training; .* no ticket can be rewound with it"):
        tickets.run(campaign_file(tmp_path, **changes), out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
