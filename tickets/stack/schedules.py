"""The learning rate at a step: a pure function of the recipe and the step."""

from __future__ import annotations

import math

from tickets.config import TrainConfig


def learning_rate(recipe: TrainConfig, step: int) -> float:
    """The learning rate with which step `step` (0 to recipe.steps - 1) is taken.

    Warm-up: over the first `warmup_steps` steps it rises linearly and reaches its full value with the last of
    them; it multiplies whatever the schedule says. constant: the full rate. step: times `gamma` from each
    milestone on. cosine: from the full rate to 0 at `steps` (Loshchilov & Hutter 2017, one cycle).
    """
    rate = recipe.learning_rate
    if recipe.schedule == "step":
        rate *= recipe.gamma ** sum(step >= milestone for milestone in recipe.milestones)
    elif recipe.schedule == "cosine":
        rate *= (1 + math.cos(math.pi * step / recipe.steps)) / 2
    if step < recipe.warmup_steps:
        rate *= (step + 1) / recipe.warmup_steps
    return rate
