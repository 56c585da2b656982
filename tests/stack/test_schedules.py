"""The learning rate at every step, by hand and against torch.optim.lr_scheduler."""

from __future__ import annotations

import pytest
import torch
from torch.optim import lr_scheduler

from tickets.config import TrainConfig
from tickets.stack.schedules import learning_rate


def rates(**recipe) -> list[float]:
    config = TrainConfig(**{"learning_rate": 0.8, "steps": 8} | recipe)
    return [learning_rate(config, step) for step in range(config.steps)]


def torchs(make, steps: int) -> list[float]:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 0.8)
    scheduler = make(optimizer)
    seen = []
    for _ in range(steps):
        seen.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    return seen


def test_constant() -> None:
    assert rates() == [0.8] * 8


def test_step_from_each_milestone_on() -> None:
    expected = [0.8, 0.8, 0.4, 0.4, 0.4, 0.2, 0.2, 0.2]
    assert rates(schedule="step", milestones=(2, 5), gamma=0.5) == pytest.approx(expected)


def test_cosine_from_the_full_rate_towards_zero() -> None:
    assert rates(schedule="cosine", steps=4) == pytest.approx([0.8, 0.4 + 0.2 * 2**0.5, 0.4, 0.4 - 0.2 * 2**0.5])


def test_warm_up_reaches_the_full_rate_with_its_last_step() -> None:
    assert rates(warmup_steps=4) == pytest.approx([0.2, 0.4, 0.6, 0.8, 0.8, 0.8, 0.8, 0.8])
    assert rates(warmup_steps=1) == [0.8] * 8
    assert rates(warmup_steps=8)[-1] == pytest.approx(0.8)


def test_warm_up_multiplies_what_the_schedule_says() -> None:
    for schedule in ({"schedule": "cosine"}, {"schedule": "step", "milestones": (2, 5), "gamma": 0.5}):
        both = [rate * min(1, (step + 1) / 4) for step, rate in enumerate(rates(**schedule))]
        assert rates(**schedule, warmup_steps=4) == pytest.approx(both)


def test_against_torch() -> None:
    steps = 30
    step = rates(schedule="step", milestones=(7, 20), gamma=0.3, steps=steps)
    assert step == pytest.approx(torchs(lambda opt: lr_scheduler.MultiStepLR(opt, [7, 20], 0.3), steps))
    cosine = rates(schedule="cosine", steps=steps)
    assert cosine == pytest.approx(torchs(lambda opt: lr_scheduler.CosineAnnealingLR(opt, steps), steps))
    warm = rates(warmup_steps=10, steps=steps)
    # Torch counts the steps between the first factor and 1; there are 9 of them in a warm-up of 10 steps.
    assert warm == pytest.approx(torchs(lambda opt: lr_scheduler.LinearLR(opt, 0.1, 1.0, 9), steps))
