"""On a GPU, the whole study of LeNet by Frankle and Carbin (2019, section 2) with its controls, against its floors."""

from __future__ import annotations

import math
import time
from pathlib import Path

import pytest
import torch

import tickets

from .clocks import now
from .contestants import rate
from .race import Race
from .tables import Row
from .workloads import CAMPAIGN, Ready, lenet_campaign, make_ready, step_flops

pytestmark = pytest.mark.bench

ROUNDS, REPLICATES, STEPS, EVERY = 22, 5, 50_000, 100
ARMS = ("ticket", {"name": "reinit", "draws": 3}, "constant", "random_mask")
TRAININGS = ROUNDS * REPLICATES * 6
EVALUATED = 4 * CAMPAIGN.held_out  # examples: for validation, as many of the training examples, twice as many for test
# Numbers that a step must move for each parameter: read for the forward pass; its gradient, written; then value,
# gradient and Adam's two moments read, and all of these but the gradient written. (And a mask, of a byte.)
MOVED = 9
COPIED = 2**28  # numbers in the copy that the memory's rate is measured by


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that PyTorch can use")
def test_study(race: Race, tmp_path: Path) -> None:
    device = torch.device("cuda", 0)
    campaign = lenet_campaign(
        "study",
        replicates=REPLICATES,
        rounds=ROUNDS - 1,
        arms=ARMS,
        learning_rate=1.2e-3,
        steps=STEPS,
        every=EVERY,
    )

    def study() -> float:
        start = time.perf_counter()
        tickets.run(campaign, out=tmp_path / "out", device="cuda")
        return (time.perf_counter() - start) / TRAININGS

    ready = make_ready(CAMPAIGN, 1.0, device, networks=1)
    race.rounds = 1  # minutes
    measures = {"operations": lambda: _operations(ready) / rate(device), "memory": lambda: _moved(ready) / _copying()}
    seconds = race.run("study", {**measures, "study": study})
    name = f"{CAMPAIGN.name}, {ROUNDS} rounds of {REPLICATES * 6} networks: a training of {STEPS} steps"
    race.keep(Row("a whole study, cuda", name, "study", seconds))


def _operations(ready: Ready) -> float:
    """Floating-point operations of one training, evaluations included."""
    forward = 2 * sum(math.prod(tensor.shape) for tensor in ready.fitted.prunable)
    return STEPS * step_flops(ready) + (STEPS / EVERY + 1) * EVALUATED * forward


def _moved(ready: Ready) -> float:
    """Bytes that the steps of one training move, at least."""
    parameters = sum(parameter.numel() for parameter in ready.fitted.module.parameters())
    return STEPS * parameters * (4 * MOVED + 1)


def _copying() -> float:
    """Bytes a second that the GPU's memory reads and writes."""
    device = torch.device("cuda", 0)
    source = torch.empty(COPIED, device=device)
    target = torch.empty_like(source)
    fastest = math.inf
    for _ in range(5):
        start = now(device)
        target.copy_(source)
        fastest = min(fastest, now(device) - start)
    return 8 * COPIED / fastest
