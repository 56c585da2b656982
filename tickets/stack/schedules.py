"""Learning rate schedules, as a pure function of the recipe and the step."""

from __future__ import annotations

import math

from tickets.config import TrainConfig


def learning_rate(recipe: TrainConfig, step: int) -> float:
    """The learning rate of one training step.

    | schedule | rate |
    | --- | --- |
    | constant | the full rate |
    | step | multiplied by `gamma` from each milestone on |
    | cosine | from the full rate at step 0 to 0 at `steps` (Loshchilov & Hutter 2017, one cycle) |

    Warm-up multiplies the schedule's rate by a factor that rises linearly and reaches 1 with the last of the
    `warmup_steps` steps.

    Parameters
    ----------
    recipe
        The training recipe.
    step
        0 to recipe.steps - 1.
    """
    rate = recipe.learning_rate
    if recipe.schedule == "step":
        rate *= recipe.gamma ** sum(step >= milestone for milestone in recipe.milestones)
    elif recipe.schedule == "cosine":
        rate *= (1 + math.cos(math.pi * step / recipe.steps)) / 2
    if step < recipe.warmup_steps:
        rate *= (step + 1) / recipe.warmup_steps
    return rate
