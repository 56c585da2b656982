"""A run's own functions tried on initial values, before anything is written or trained.

What a model's function, a score or an arm's rule does wrong at every call is found here, and not after the dense
round. Nothing that is made here is trained.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tickets.arms import Origin, apply_rules
from tickets.candidate import Ends
from tickets.catalogue import ARMS, resolve
from tickets.config import ArmConfig, Run
from tickets.data import Examples
from tickets.errors import InputError, Problems, UserCodeError
from tickets.initial import initial_values
from tickets.random_state import untouched_generators
from tickets.roles import FRESH_DRAW, NOT_DRAWN, like_ticket_sentence
from tickets.scores import Score
from tickets.scoring import scores_of
from tickets.seeds import stream
from tickets.selection import Candidates
from tickets.stack.architecture import Prunable
from tickets.users_code import told

Tensors = Mapping[str, Tensor]

MOVED = 0.01  # the standard deviation of what is added to initial values to stand for trained ones
WHEN = "tried on initial values, before any training"


@dataclass(frozen=True)
class Trial:
    """What a run's functions gave on initial values.

    like_ticket: the controls that start from the ticket's own mask and values, by label. notes: what to say of it.
    """

    like_ticket: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def try_out(
    run: Run,
    build: Callable[[], nn.Module],
    examples: Examples,
    prunable: Sequence[Prunable],
    biases: frozenset[str],
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
    prunable
        The network's prunable tensors.
    biases
        The names of its biases.
    score
        The run's score.

    Raises
    ------
    InputError
        If two seeds give equal values though the start is drawn and the run compares replicates or draws, or if the
        score or an arm's rule fails or returns what it must not.
    """
    init = run.model.init.model_dump()
    one, other = (initial_values(build, init, stream(run.seed, replicate, "initial")) for replicate in (0, 1))
    candidates = Candidates(run, build, examples, torch.device("cpu"))
    problems = Problems()
    fresh = [arm.label for arm in run.arms if ARMS[arm.name].values == FRESH_DRAW]
    equal = [tensor for tensor in prunable if torch.equal(one[tensor.name], other[tensor.name])]
    unexpected = [tensor for tensor in equal if not _by_design(run, tensor, one[tensor.name])]
    with problems.noted():
        if unexpected and len(equal) == len(prunable) and (run.replicates > 1 or fresh):
            raise InputError(_same_start(run, len(prunable)))
    with problems.noted():
        _try_score(run, candidates, one, prunable, score)
    like: tuple[str, ...] = ()
    with problems.noted(), untouched_generators():
        like = tuple(
            arm.label for arm in run.arms if _starts_as_ticket(run, candidates, arm, one, other, prunable, biases)
        )
    problems.raise_any()
    drawn = len(equal) < len(prunable)
    same_values = () if drawn else tuple(label for label in fresh if label not in like)
    return Trial(like, tuple(_notes(run, like, same_values, unexpected if drawn else ())))


def _by_design(run: Run, tensor: Prunable, values: Tensor) -> bool:
    """Whether a tensor whose values are the same for two seeds is meant to be so: it has one value, or such an init."""
    filled = run.model.init.name in NOT_DRAWN and not tensor.included
    return filled or values.numel() < 2 or bool((values == values.reshape(-1)[0]).all())


def _same_start(run: Run, tensors: int) -> str:
    return (
        f"model = {run.model.name!r}: two different seeds give the same initial weights, in all {tensors} prunable "
        "tensors, so that every replicate starts alike and reinit is the ticket once more; the function must draw them "
        "anew at each call from the global generator of torch, numpy or random, which is seeded for it: take out "
        "torch.manual_seed and generators with a seed of their own, and return a new module each time. To train from "
        "one fixed start, set replicates = 1 and leave out the arms that draw anew (reinit, random_mask_reinit)"
    )


def _try_score(run: Run, candidates: Candidates, values: Tensors, prunable: Sequence[Prunable], score: Score) -> None:
    """Score the network as if training had moved its weights a little: a score of how far they moved is no 0 / 0 then.

    Buffers and other parameters stay: a variance, say, must not become negative.
    """
    generator = torch.Generator().manual_seed(stream(run.seed, 0, "trial"))
    weights = {tensor.name: values[tensor.name] for tensor in prunable}
    ends = Ends(values, {**values, **_moved(weights, generator)})
    mask = {tensor.name: torch.ones(tensor.shape, dtype=torch.bool) for tensor in prunable}
    candidate = candidates.after_round(0, 0, ends, mask, prunable)
    scores_of(score, candidate, f"prune.score = {run.prune.score.name!r}", WHEN)


def _starts_as_ticket(
    run: Run,
    candidates: Candidates,
    arm: ArmConfig,
    one: Tensors,
    other: Tensors,
    prunable: Sequence[Prunable],
    biases: frozenset[str],
) -> bool:
    """Whether a control starts from the ticket's own mask and values. Half of the weights are masked here.

    Of an arm by a fresh draw the prunable tensors alone count, drawn before any training.
    """
    entry = ARMS[arm.name]
    masks = {tensor.name: _every_second(tensor.shape) for tensor in prunable}
    rewound = one if run.rewind.step == 0 else _moved(one, torch.Generator().manual_seed(0))
    origin = Origin(
        mask=masks,
        theta0=one,
        rewound=rewound,
        biases=biases,
        fresh=lambda seed: dict(other),
        stream=lambda purpose: stream(run.seed, 0, purpose, "trial"),
        value=0.0 if arm.value is None else arm.value,
        zero_biases=arm.biases == "zeros",
        candidate=lambda scope="global": candidates.at_start(
            0, 0, one, masks, scope, stream(run.seed, 0, "score", "trial")
        ),
    )
    try:
        mask, values = apply_rules(resolve(entry.mask), resolve(entry.values), origin, f"arm {arm.label!r} ({WHEN})")
    except InputError:
        raise
    except Exception as error:
        raise _failure(f"arm {arm.label!r}: fails ({WHEN})", error) from error
    if entry.role != "control" or not all(torch.equal(mask[name], masks[name]) for name in masks):
        return False
    drawn = entry.values == FRESH_DRAW
    ticket, names = (one, list(masks)) if drawn else (rewound, list(one))
    return all(_same(values[name], ticket[name], masks.get(name)) for name in names)


def _failure(what: str, error: Exception) -> UserCodeError:
    return UserCodeError(f"{what}: {told(error)}")


def _same(one: Tensor, other: Tensor, mask: Tensor | None) -> bool:
    return torch.equal(one, other) if mask is None else torch.equal(one[mask], other[mask])


def _moved(values: Tensors, generator: torch.Generator) -> dict[str, Tensor]:
    return {
        name: value + MOVED * torch.randn(value.shape, generator=generator).to(value.dtype)
        if value.is_floating_point()
        else value.clone()
        for name, value in values.items()
    }


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
