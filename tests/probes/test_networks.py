"""What a probe reads of its networks, and what it carries from one step to the next."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from fitted_runs import source
from probed_rounds import play
from torch import nn

from tickets.probes import Networks, at_steps

pytestmark = pytest.mark.usefixtures("one_thread")

HERE = __name__


def test_logits_loss_and_score_are_the_modules_own() -> None:
    seen: dict[str, Any] = {}

    def look(networks: Networks):
        x, y = networks.examples.test_inputs, networks.examples.test_labels
        seen.update(logits=networks.logits(x), score=networks.score(x, y), values=networks.values, networks=networks)
        return [{"network": 0}]

    globals()["look"] = look
    result = play(probes=[f"{HERE}:look"], model=f"{HERE}:norm_net")
    x, y = source().examples.test_inputs, source().examples.test_labels
    for index, network in enumerate(result.networks):
        module = norm_net((6,), 3)
        module.load_state_dict(network.trained)
        wanted = module.eval()(x)
        torch.testing.assert_close(seen["logits"][index], wanted.detach(), rtol=1e-5, atol=1e-6)
        loss = seen["networks"].loss(wanted, y).detach()
        assert float(seen["score"][index, 0]) == pytest.approx(float(loss), rel=1e-5)
        assert float(seen["score"][index, 1]) == float((wanted.argmax(1) == y).double().mean())
        assert not seen["networks"].module(index).training
    between = {name: values[:1].float() for name, values in seen["values"].items()}
    assert torch.equal(seen["networks"].logits(x, between)[0], seen["logits"][0])


def norm_net(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    return nn.Sequential(nn.Linear(input_shape[0], 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, classes))


@at_steps
def remembers(networks: Networks):
    before = networks.carry.get("steps", torch.zeros(0))
    networks.carry["steps"] = torch.cat([before, torch.tensor([float(networks.step)])])
    return [{"network": i, "seen": "-".join(str(int(s)) for s in before)} for i in range(len(networks))]


def test_what_a_probe_carries_on_is_of_its_networks_alone() -> None:
    table = play(probes=[f"{HERE}:remembers"], replicates=4, lanes=2, at_once=2).tables["remembers"]
    assert table[["replicate", "step", "seen"]].values.tolist() == [
        [replicate, *row] for replicate in range(4) for row in ([0, ""], [2, "0"], [4, "0-2"])
    ]


def test_networks_without_values_say_so() -> None:
    seen: dict[str, Networks] = {}

    def look(networks: Networks):
        seen["bare"] = dataclasses.replace(networks, values={})
        return [{"network": 0}]

    globals()["look"] = look
    play(probes=[f"{HERE}:look"])
    bare, x = seen["bare"], source().examples.test_inputs
    for call in (lambda: bare.module(0), lambda: bare.logits(x), lambda: bare.next_masks(0)):
        with pytest.raises(ValueError, match="these networks' values after training are not there"):
            call()
