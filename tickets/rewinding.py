"""What is rewound between two rounds (Renda, Frankle & Carbin 2020): where a round's networks start, by rewind.kind.

| kind | the ticket's values | optimizer | steps |
| --- | --- | --- | --- |
| weights | those of step k | as it was at step k | k to T |
| learning_rate | trained | fresh: its state at the end of training does not belong to step k | k to T |
| none | trained | as it was at the end of the round before | T + (round - 1) t to T + round * t |

T is `train.steps`, k `rewind.step` and t `fine_tune.steps`. The learning rate and the data order are functions of the
step; fine-tuning goes on at the rate of step T - 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from tickets.arms import States, Tensors
from tickets.config import Run, TrainConfig
from tickets.stack.networks import Stack
from tickets.stack.schedules import learning_rate

SLOW = 1e-3  # of the full learning rate


@dataclass(frozen=True)
class Position:
    """Where the training of a round's ticket starts.

    Attributes
    ----------
    step
        The training step.
    recipe
        How it trains, up to `recipe.steps`.
    """

    step: int
    recipe: TrainConfig

    @property
    def steps(self) -> int:
        """How many steps it takes."""
        return self.recipe.steps - self.step


def position(run: Run, round: int, train: TrainConfig | None = None) -> Position:
    """Where the networks of a round start; in round 0 the whole schedule is trained.

    Parameters
    ----------
    run
        The run.
    round
        The round's number.
    train
        How an arm is trained that has keys of [train] of its own. Default: the run's.
    """
    train = train or run.train
    if round == 0:
        return Position(0, train)
    if run.rewind.kind != "none":
        return Position(run.rewind.step, train)
    assert run.fine_tune.steps is not None  # the rules of a configuration require it
    first = run.train.steps + (round - 1) * run.fine_tune.steps
    return Position(first, fine_tuning(train, first + run.fine_tune.steps))


def fine_tuning(recipe: TrainConfig, steps: int) -> TrainConfig:
    """The recipe at the constant learning rate of its last step, up to step `steps`."""
    rate = learning_rate(recipe, recipe.steps - 1)
    constant = {"learning_rate": rate, "schedule": "constant", "milestones": (), "warmup_steps": 0}
    return recipe.model_copy(update={**constant, "steps": steps})


def slow_note(run: Run) -> Iterator[str]:
    """A warning where fine-tuning goes on at a learning rate that hardly trains, as after a cosine schedule."""
    share = learning_rate(run.train, run.train.steps - 1) / run.train.learning_rate
    if run.rewind.kind == "none" and share < SLOW:
        yield (
            f'warning: rewind.kind = "none" fine-tunes at the learning rate of the last step, {share:.1g} times the '
            f'full rate (train.schedule = "{run.train.schedule}"), at which networks hardly change; a schedule that '
            'ends higher ("step", "constant") lets them recover'
        )


def origin_values(
    run: Run, round: int, own_mask: bool, theta0: Tensors, rewound: Tensors, optimizer: States
) -> tuple[Tensors, States | None]:
    """The values that an arm's rules get as the rewound ones, and their optimizer state; None for a fresh optimizer.

    Where the ticket keeps its trained values, those of pruned weights are gone: an arm with a mask of its own gets
    theta0, untrained in every parameter and buffer, instead of a network that is trained in some places.

    Parameters
    ----------
    run
        The run.
    round
        The round's number.
    own_mask
        Whether the arm's mask is another one than the ticket's.
    theta0, rewound, optimizer
        Of the chain before the round.
    """
    if round == 0 or not run.rewind.keeps_trained:
        return rewound, optimizer
    if own_mask:
        return theta0, None
    return rewound, optimizer if run.rewind.kind == "none" else None


def carried(
    run: Run, trained: Tensors, end: Stack, kept: Stack | None, place: int
) -> tuple[dict[str, Tensor], dict[str, dict[str, Tensor]]] | None:
    """What the next round's ticket starts from, if the round that has ended decides it: values, optimizer state.

    Parameters
    ----------
    run
        The run.
    trained
        The ticket's values after training.
    end
        The stack that it is part of, after training.
    kept
        The same at the rewind step, in a round that passes it.
    place
        The ticket's place in them.
    """
    if run.rewind.keeps_trained:
        return dict(trained), end.optimizer_state(place) if run.rewind.kind == "none" else {}
    return None if kept is None else (kept.network(place), kept.optimizer_state(place))
