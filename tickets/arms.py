"""Arms: what a round trains. An arm is a mask rule and a value rule; the pairs are in `tickets.catalogue.ARMS`.

A rule is one function of an `Origin`, which holds everything that one replicate offers in one round. A mask rule
``f(origin, **options)`` returns the masks of the prunable tensors. A value rule ``g(origin, mask, **options)`` returns
a `Start`. Pruned weights get the value that the arm's `pruned` rule gives them, whatever the value rule returns there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from tickets.candidate import Candidate
from tickets.config import TrainConfig
from tickets.config.types import AddedLater, Biases, Number, Zero
from tickets.learned.learning import Learning
from tickets.masks import random_places

Tensors = Mapping[str, Tensor]
States = Mapping[str, Tensors]


@dataclass(frozen=True)
class Start:
    """Where a training starts.

    Attributes
    ----------
    values
        Every parameter and buffer, by name, of its full shape.
    optimizer
        None for a fresh optimizer. A mapping, by state ("exp_avg", ...) and parameter, is the state that the training
        continues with; the values then count as trained up to `step`. It may be empty: SGD without momentum has no
        state.
    step
        The training step to start at, 0 to `recipe.steps - 1`. Learning rate schedule and data order start there.
    recipe
        How the network is trained; None for the ticket's way with the arm's own keys, `Origin.recipe`. Another recipe
        must agree with the keys of `train` that the campaign file gives the arm.
    learning
        How the mask is learned; None for a mask that stays. No user-defined rule has it. The values then stay as they
        are, and those of weights that the mask leaves out matter too; the mask only says how many weights are kept.
    scores
        With `learning`, the scores of the prunable tensors before training.
    """

    values: Tensors
    optimizer: States | None = None
    step: int = 0
    recipe: TrainConfig | None = None
    learning: Learning | None = None
    scores: Tensors = field(default_factory=dict)

    @property
    def continues(self) -> bool:
        """Whether the training continues with an optimizer state. At step 0 an empty state is a fresh one."""
        return self.optimizer is not None and (self.step > 0 or any(self.optimizer.values()))


def _nothing_trained() -> Tensors:
    raise LookupError("this Origin has no trained values")


def _no_candidate(scope: str = "global", inverted: bool = False) -> Candidate:
    raise NotImplementedError("this origin has no candidate")


@dataclass(frozen=True)
class Origin:
    """What one arm of one replicate, round and draw can be made from. All tensors are on the CPU, by name.

    Attributes
    ----------
    mask
        The round's mask of the prunable tensors, bool.
    theta0
        Every parameter and buffer before any training, unmasked.
    rewound
        What the ticket starts from: the same at the rewind step; theta0 itself where that step is 0, and in round 0.
        With ``rewind.kind = "learning_rate"`` or ``"none"`` the trained values of the round before instead; an arm with
        a mask of its own then gets theta0, since the trained values of pruned weights are gone.
    biases
        The names of the bias parameters.
    fresh
        Draws every parameter and buffer from the model's own initial distribution, given a seed.
    stream
        The seed of this replicate, round and draw for a purpose. The purpose is the rule's, not the arm's, so that
        two arms that share a rule differ in the other rule alone.
    parameters
        The names of the parameters that are trained.
    round
        The round's number; 0 is the dense round.
    step
        The step at which the ticket starts: the rewind step, or where the round before ended in fine-tuning
        (``rewind.kind = "none"``); 0 in round 0, which has the whole schedule.
    optimizer
        The optimizer's state of `rewound`, by state and parameter; empty where the step is 0. None: a fresh optimizer.
    recipe
        How the arm is trained: the run's `train` with the arm's own keys in their place; in fine-tuning, the same at
        its last learning rate.
    train
        The same with the whole schedule, for ``start = 0``, where that is not `recipe`; None where it is.
    read_trained
        Reads what `trained` returns.
    candidate
        ``candidate(scope="global")`` is the network before training and pruning, as a score sees it, for masks that are
        computed from theta0: ``tickets.selection.mask_at_start("snip", origin.candidate())``. As many weights remain as
        the round's mask keeps, in all tensors together, or in each tensor with ``scope="layer"``. With
        ``inverted=True`` the weights with the lowest scores stay.
    """

    mask: Tensors
    theta0: Tensors
    rewound: Tensors
    biases: frozenset[str]
    fresh: Callable[[int], dict[str, Tensor]]
    stream: Callable[[str], int]
    parameters: tuple[str, ...] = ()
    round: int = 0
    step: int = 0
    optimizer: States | None = field(default_factory=dict)
    recipe: TrainConfig = field(default_factory=TrainConfig)
    train: TrainConfig | None = None
    read_trained: Callable[[], Tensors] = _nothing_trained
    candidate: Callable[..., Candidate] = _no_candidate

    @property
    def trained(self) -> dict[str, Tensor]:
        """Every parameter and buffer of this replicate's ticket after the round before; theta0 in round 0.

        Pruned weights are 0. The values are read at each use, and are the caller's to change.

        Raises
        ------
        InputError
            If the round before kept no trained values, because the run has ``store.trained = "none"``.
        """
        return {name: value.clone() for name, value in self.read_trained().items()}


def round_mask(origin: Origin) -> dict[str, Tensor]:
    """The mask that the ticket has in this round."""
    return dict(origin.mask)


def random_mask(origin: Origin) -> dict[str, Tensor]:
    """As many weights in each tensor as the round's mask keeps, at places drawn anew each round."""
    generator = torch.Generator().manual_seed(origin.stream("random_mask"))
    return {name: random_places(mask, generator) for name, mask in origin.mask.items()}


def rewound(origin: Origin, mask: Tensors, *, start: Zero | None = None) -> Start:
    """The values of the rewind step (Frankle & Carbin 2019; Frankle et al. 2020 for steps past 0).

    The training continues there, with the optimizer state of that step. With ``start = 0`` the same values have the
    whole schedule, with a fresh optimizer. Where a ticket keeps its trained values, see tickets/rewinding.py.
    """
    if start == 0:
        return Start(dict(origin.rewound), None, 0, origin.train)
    return Start(dict(origin.rewound), origin.optimizer, origin.step)


def fresh_draw(origin: Origin, mask: Tensors, *, start: Zero | None = None) -> Start:
    """Another draw from the model's own initial distribution (Frankle & Carbin 2019, "random reinitialization")."""
    return untrained(origin, origin.fresh(origin.stream("fresh_draw")), start)


def shuffled(origin: Origin, mask: Tensors, *, start: Zero | None = None) -> Start:
    """The rewound surviving values, permuted among the surviving places of each tensor (Zhou et al. 2019)."""
    generator = torch.Generator().manual_seed(origin.stream("shuffle"))
    values = dict(origin.rewound)
    for name, kept in mask.items():
        survivors = values[name][kept]
        values[name] = values[name].clone()
        values[name][kept] = survivors[torch.randperm(survivors.numel(), generator=generator)]
    return untrained(origin, values, start)


def constant(
    origin: Origin,
    mask: Tensors,
    *,
    value: Number = 0.5,
    biases: AddedLater[Biases] = "zeros",
    start: Zero | None = None,
) -> Start:
    """Every weight is `value`. With biases of 0, only the mask distinguishes two units of a layer."""
    weights = {name: torch.full_like(origin.theta0[name], value) for name in mask}
    return untrained(origin, {**_beside(origin, biases), **weights}, start)


def sign_constant(
    origin: Origin, mask: Tensors, *, start: Zero | None = None, biases: AddedLater[Biases] = "model"
) -> Start:
    """sign(theta0) times the standard deviation of that tensor's dense theta0 (Zhou et al. 2019, "constant")."""
    weights = {name: origin.theta0[name].sign() * _spread(origin.theta0[name]) for name in mask}
    return untrained(origin, {**_beside(origin, biases), **weights}, start)


def random_sign_constant(
    origin: Origin, mask: Tensors, *, start: Zero | None = None, biases: AddedLater[Biases] = "model"
) -> Start:
    """The sizes of `sign_constant` with signs drawn at random (Zhou et al. 2019)."""
    generator = torch.Generator().manual_seed(origin.stream("random_sign"))
    signs = {name: torch.randint(2, kept.shape, generator=generator) * 2.0 - 1.0 for name, kept in mask.items()}
    weights = {name: signs[name] * _spread(origin.theta0[name]) for name in mask}
    return untrained(origin, {**_beside(origin, biases), **weights}, start)


def untrained(origin: Origin, values: Tensors, start: int | None) -> Start:
    """Values with a fresh optimizer, at the ticket's step unless the arm says `start = 0`."""
    return Start(values, None, origin.step) if start is None else Start(values, None, start, origin.train)


def _beside(origin: Origin, biases: str) -> dict[str, Tensor]:
    """All other parameters of a constant start: theta0, with biases of 0 or the model's."""
    zeros = origin.biases if biases == "zeros" else ()
    return {**origin.theta0, **{name: torch.zeros_like(origin.theta0[name]) for name in zeros}}


def _spread(values: Tensor) -> Tensor:
    """Standard deviation over the whole tensor, as a population."""
    return values.std(correction=0)
