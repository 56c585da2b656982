"""Networks that are evaluated in another way at the steps in between, as by samples of a learned mask."""

from __future__ import annotations

import functools

import torch
from small_rounds import setting_of
from torch import Tensor

from tickets.chains import first_chain
from tickets.stack.evaluation import METRICS, evaluate
from tickets.stack.feed import NetworkSeeds
from tickets.stack.networks import stack_networks
from tickets.stack.shard import Shard
from tickets.stack.strategies import begin
from tickets.stack.training import train
from tickets.tasks import Task

LOSS = METRICS.index("validation_loss")


def test_the_early_stop_step_is_by_the_same_evaluation_at_the_ends_too() -> None:
    setting = setting_of()
    chain = first_chain(setting, 0)
    start = stack_networks([chain.theta0], [chain.masks], setting.parameters)
    given = functools.partial(begin, "looped", setting.workload)
    seeds = [NetworkSeeds(1, 2)]
    plain = train(given, start, seeds, setting.examples, setting.run.train)
    for losses in ([9.0, 8.0, 7.0, 6.0], [1.0, 8.0, 7.0, 6.0], [9.0, 2.0, 7.0, 6.0], [9.0, 8.0, 2.0, 6.0]):
        calls: list[Tensor] = []

        def between(
            task: Task,
            networks: Shard,
            examples: object,
            chunk: int,
            losses: list[float] = losses,
            calls: list[Tensor] = calls,
        ) -> Tensor:
            row = evaluate(task, networks.logits, setting.examples, chunk)
            row[:, LOSS] = losses[len(calls)]
            calls.append(row)
            return row

        found = train(given, start, seeds, setting.examples, setting.run.train, between=between)
        assert len(calls) == 4
        place = losses.index(min(losses))
        assert found.curves.early_stop is not None
        assert found.curves.early_score is not None
        assert found.curves.early_stop.tolist() == [place]
        # What is reported there, and at both ends, is by the outputs.
        assert torch.equal(found.curves.early_score[0], plain.curves.values[place, 0])
        assert torch.equal(found.curves.values[[0, 3]], plain.curves.values[[0, 3]])
        assert found.curves.values[1:3, 0, LOSS].tolist() == losses[1:3]
