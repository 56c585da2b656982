"""Round 0 of small runs, for the tests of what probes are given."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch
from fitted_runs import fitted

from tickets.chains import first_chain
from tickets.config import ArmConfig
from tickets.planning import plan_execution
from tickets.ready import ReadyRun, ready_run
from tickets.rounds import RoundResult, train_round

CPU = torch.device("cpu")


def ready_to_play(replicates: int = 3, lanes: int = 1, at_once: int = 99, **changes: Any) -> ReadyRun:
    given = {"train": {"steps": 4, "batch_size": 8, "evaluate_every": 2}, **changes}
    one = fitted(replicates=replicates, **given)
    plan = dataclasses.replace(plan_execution(one, CPU), lanes=lanes, networks_at_once=at_once, threads=lanes)
    return ready_run(one, plan, CPU)


def round_of(ready: ReadyRun, arms: Sequence[str | ArmConfig] = ("ticket",)) -> RoundResult:
    chains = [first_chain(ready, replicate) for replicate in range(ready.run.replicates)]
    pairs = [(arm if isinstance(arm, ArmConfig) else ArmConfig(name=arm), 0) for arm in arms]
    return train_round(ready, "id", chains, 0, pairs)


def play(arms: Sequence[Any] = ("ticket",), **changes: Any) -> RoundResult:
    """Round 0 of a run with these probes."""
    return round_of(ready_to_play(arms=list(arms), **changes), arms)
