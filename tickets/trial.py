"""A run's own functions tried on initial values, before anything is written or trained.

What a model's function, a score or an arm's rule does wrong at every call is found here, and not after the dense
round. Nothing that is made here is trained.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from tickets.arm_trial import TriedArm, try_arm
from tickets.candidate import Ends
from tickets.config import Run, TrainConfig
from tickets.data import Examples
from tickets.errors import InputError, Problems
from tickets.initial import initial_values
from tickets.planting import NAME as PLANTED
from tickets.random_state import untouched_generators
from tickets.roles import FRESH, NOT_DRAWN, ArmStart, like_ticket_sentence
from tickets.scores import Score
from tickets.scoring import scores_of
from tickets.seeds import stream
from tickets.selection import Candidates
from tickets.stack.anatomy import Anatomy
from tickets.stack.architecture import Prunable
from tickets.stand_ins import WHEN, moved

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class Trial:
    """What a run's functions gave on initial values.

    Attributes
    ----------
    like_ticket
        The controls that start from the ticket's own mask and values, by label.
    notes
        Lines about them for the user.
    arms
        What the arms' rules gave, by label.
    """

    like_ticket: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    arms: Mapping[str, TriedArm] = field(default_factory=dict)

    @property
    def starts(self) -> dict[str, ArmStart]:
        """Where each arm's trainings start, by label."""
        return {label: arm.start for label, arm in self.arms.items()}

    @property
    def recipes(self) -> tuple[TrainConfig, ...]:
        """Every recipe of an arm's own, once."""
        return tuple(dict.fromkeys(recipe for arm in self.arms.values() for recipe in arm.recipes))

    def recorded_starts(self) -> dict[str, dict[str, Any]]:
        """`starts` as JSON, as run.json holds them."""
        return {label: start.as_json() for label, start in self.starts.items()}


def try_out(
    run: Run,
    build: Callable[[], nn.Module],
    examples: Examples,
    anatomy: Anatomy,
    score: Score,
) -> Trial:
    """Make two replicates' initial values, score them, and apply every arm's rules to them.

    Parameters
    ----------
    run
        The run that is to be trained.
    build
        Makes one network, with values of its constructor's.
    examples
        The data.
    anatomy
        What is known of the network.
    score
        The run's score.

    Raises
    ------
    InputError
        If two seeds give equal values though the start is drawn and the run compares replicates or draws, or if the
        score or an arm's rule fails or returns what it must not.
    """
    init, prunable = run.model.init.model_dump(), anatomy.prunable
    one, other = (initial_values(build, init, stream(run.seed, replicate, "initial")) for replicate in (0, 1))
    candidates = Candidates(run, build, examples, torch.device("cpu"))
    problems = Problems()
    fresh = [arm.label for arm in run.arms if arm.entry.values in FRESH]
    equal = [tensor for tensor in prunable if torch.equal(one[tensor.name], other[tensor.name])]
    unexpected = [tensor for tensor in equal if not _by_design(run, tensor, one[tensor.name])]
    with problems.collected():
        if unexpected and len(equal) == len(prunable) and (run.replicates > 1 or fresh):
            raise InputError(_same_start(run, len(prunable)))
    with problems.collected():
        _try_score(run, candidates, one, prunable, score)
    tried: dict[str, TriedArm] = {}
    for arm in run.arms:
        with problems.collected(), untouched_generators():
            masks = {tensor.name: _every_second(tensor.shape) for tensor in prunable}
            tried[arm.label] = try_arm(run, arm, candidates, (one, other), masks, anatomy.biases, anatomy.trained)
    problems.raise_any()
    like = tuple(label for label, arm in tried.items() if arm.as_ticket)
    drawn = len(equal) < len(prunable)
    same_values = () if drawn or run.rewind.keeps_trained else tuple(label for label in fresh if label not in like)
    notes = [*_notes(run, like, same_values, unexpected if drawn else ())]
    if fresh and run.model.init.name == PLANTED:
        notes.append(f"{', '.join(fresh)}: random values alone; a fresh draw plants no ticket (model.init = 'planted')")
    return Trial(like, tuple(notes), tried)


def _by_design(run: Run, tensor: Prunable, values: Tensor) -> bool:
    """Whether equal values for two seeds are expected: a constant tensor, or an init that draws nothing."""
    filled = run.model.init.name in NOT_DRAWN and not tensor.included
    return filled or values.numel() < 2 or bool((values == values.reshape(-1)[0]).all())


def _same_start(run: Run, tensors: int) -> str:
    return (
        f"model = {run.model.name!r}: two different seeds give the same initial weights, in all {tensors} prunable "
        "tensors, so that every replicate starts alike and reinit is the ticket once more; the function must draw them "
        "anew at each call from the global generator of torch, numpy or random, which is seeded for it: take out "
        "torch.manual_seed and generators with a seed of their own, and return a new module each time. To train from "
        "one fixed start, set replicates = 1 and leave out the arms that draw anew (reinit, sign_reinit, "
        "random_mask_reinit)"
    )


def _try_score(run: Run, candidates: Candidates, values: Tensors, prunable: Sequence[Prunable], score: Score) -> None:
    """Score slightly perturbed weights, so that scores of weight movement do not divide 0 by 0.

    Buffers and other parameters stay: a variance, say, must not become negative.
    """
    generator = torch.Generator().manual_seed(stream(run.seed, 0, "trial"))
    weights = {tensor.name: values[tensor.name] for tensor in prunable}
    ends = Ends(values, {**values, **moved(weights, generator)}, values)
    mask = {tensor.name: torch.ones(tensor.shape, dtype=torch.bool) for tensor in prunable}
    candidate = candidates.after_round(0, 0, ends, mask, prunable)
    scores_of(score, candidate, f"prune.score = {run.prune.score.name!r}", WHEN)


def _every_second(shape: tuple[int, ...]) -> Tensor:
    return (torch.arange(torch.Size(shape).numel()) % 2 == 0).reshape(shape)


def _notes(run: Run, like: Sequence[str], same_values: Sequence[str], shared: Sequence[Prunable]) -> Iterator[str]:
    sentence = like_ticket_sentence(like, run.model.init.name)
    if sentence:
        yield sentence
    if same_values:
        yield (
            f"{', '.join(same_values)}: this start (model.init = {run.model.init.name!r}) draws nothing, so a fresh "
            "draw gives the ticket's own initial weights; only the mask is another one"
        )
    if shared:
        names = ", ".join(tensor.name for tensor in shared)
        yield f"model {run.model.name!r}: every replicate, and reinit, starts from the same values of {names}"
