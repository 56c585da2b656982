"""A model that writes to its input does not write to the data."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from candidates import CLASSES
from odd_campaigns import assert_as_plain, campaign, run
from odd_modules import FLAT, TRAINED
from torch import nn
from torch.nn import functional

from tickets.current_network import current_network
from tickets.earlier import check_earlier
from tickets.fitting import fit
from tickets.guard import guarded
from tickets.planning import plan_execution
from tickets.ready import ready_run
from tickets.source import load_source
from tickets.stack.evaluation import evaluate
from tickets.stack.feed import NetworkSeeds
from tickets.stack.networks import stack_networks
from tickets.stack.strategies import begin
from tickets.tasks import task_of

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = torch.device("cpu")


class Writing(nn.Module):
    def __init__(self, way: str) -> None:
        super().__init__()
        self.first, self.last, self.way = nn.Linear(6, 8), nn.Linear(8, CLASSES), way

    def forward(self, x):
        written = {"clamp_": lambda: x.clamp_(0), "add_": lambda: x.add_(1.0), "relu": lambda: functional.relu(x, True)}
        return self.last(torch.tanh(self.first(written[self.way]())))


@pytest.mark.parametrize("strategy", ["auto", "looped"])
@pytest.mark.parametrize("way", ["clamp_", "add_", "relu", "a chain"])
def test_a_model_that_writes_to_its_input_does_not_write_to_the_data(
    way: str, strategy: str, monkeypatch, tmp_path
) -> None:
    def writing() -> nn.Module:
        chain = (nn.ReLU(inplace=True), nn.Linear(6, 8), nn.ReLU(inplace=True), nn.Linear(8, CLASSES))
        return nn.Sequential(*chain) if way == "a chain" else Writing(way)

    monkeypatch.setitem(TRAINED, "writing", (writing, FLAT))
    wanted = campaign("writing", strategy)
    one = wanted.runs[0]
    fitted = fit(one, load_source(one.data, None))
    before = [tensor.clone() for tensor in tensors_of(fitted.source.examples)]
    plan = plan_execution(fitted, CPU)
    current_network(fitted)
    guarded(fitted, plan, CPU)
    check_earlier(tmp_path, fitted, plan, plan)
    ready = ready_run(fitted, plan, CPU)
    assert all(map(torch.equal, tensors_of(fitted.source.examples), before))
    masks = {tensor.name: torch.ones(tensor.shape, dtype=torch.bool) for tensor in fitted.prunable}
    stack = stack_networks([fitted.fresh(0)], [masks], fitted.trained)
    given = (stack, [NetworkSeeds(0, 0)], ready.examples, one.train, CPU)
    for each in (plan.strategy, "plain"):
        evaluate(task_of(one.train), begin(each, ready.workload, *given).logits, ready.examples, 5)
    assert all(map(torch.equal, tensors_of(ready.examples), before))
    assert_as_plain(run(wanted, tmp_path), "writing", FLAT, ("ticket",), 1)


def tensors_of(examples: Any) -> list[torch.Tensor]:
    return [value for value in vars(examples).values() if isinstance(value, torch.Tensor)]
