"""Round 0 of a tiny run with probes."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from fitted_runs import fitted

from tickets.chains import first_chain
from tickets.config import ArmConfig
from tickets.planning import plan_execution
from tickets.ready import ready_run
from tickets.rounds import train_round

CPU = torch.device("cpu")


def play(arms: list[Any] = ["ticket"], replicates: int = 3, lanes: int = 1, at_once: int = 99, **changes: Any):  # noqa: B006
    """Round 0 of a run with these probes."""
    given = {"arms": arms, "train": {"steps": 4, "batch_size": 8, "evaluate_every": 2}, **changes}
    one = fitted(replicates=replicates, **given)
    plan = dataclasses.replace(plan_execution(one, CPU), lanes=lanes, networks_at_once=at_once, threads=lanes)
    ready = ready_run(one, plan, CPU)
    chains = [first_chain(ready, replicate) for replicate in range(replicates)]
    pairs = [(arm if isinstance(arm, ArmConfig) else ArmConfig(name=arm), 0) for arm in arms]
    return train_round(ready, "id", chains, 0, pairs)
