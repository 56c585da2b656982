"""The networks of a round before they are trained: each with its mask and its start, by the rules of its arm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from tickets.arm_rules import apply_rules, rules_of
from tickets.arms import Origin, Start
from tickets.catalogue import Pruned
from tickets.chains import Chain
from tickets.config import ArmConfig, recipe_of
from tickets.density import density
from tickets.measures import Label
from tickets.narrower import narrower, origin_of
from tickets.ready import ReadyRun
from tickets.rewinding import origin_values, position
from tickets.seeds import stream
from tickets.stack.networks import Tensors


@dataclass(frozen=True)
class Entry:
    """A network of a round before training.

    Attributes
    ----------
    label
        Its keys in the tables; the arm's label is one of them.
    arm
        The arm's name, from which its random numbers derive.
    chain
        Its replicate.
    mask
        By prunable tensor, bool.
    start
        Where it starts.
    pruned
        What its pruned weights are.
    own_order
        Whether its data order is another one than the replicate's.
    narrower
        The run with the narrower network that it is (arm `small_dense`); None if it is the run's own.
    """

    label: Label
    arm: str
    chain: Chain
    mask: Tensors
    start: Start
    pruned: Pruned
    own_order: bool
    narrower: ReadyRun | None = None

    @property
    def model(self) -> Mapping[str, Any] | None:
        """The table `model` of a network that is not the run's own; None if it is."""
        return None if self.narrower is None else self.narrower.run.model.model_dump(mode="json")

    def held(self) -> Tensors:
        """The values that its pruned weights keep, unless that is 0: tensors of full shape, by name."""
        theta0 = self.chain.theta0
        if self.pruned == "initial" or all(bool(mask.all()) for mask in self.mask.values()):
            return theta0
        return {**theta0, **{name: theta0[name].masked_fill(gone, 0.0) for name, gone in self.chain.shrunk().items()}}

    @property
    def layout(self) -> frozenset[tuple[str, str]] | None:
        """The states and parameters of the optimizer state that the training continues with; None for a fresh one."""
        if self.start.optimizer is None or not self.start.continues:
            return None
        return frozenset((state, name) for state, tensors in self.start.optimizer.items() for name in tensors)


def enter(ready: ReadyRun, chain: Chain, number: int, arm: ArmConfig, draw: int) -> Entry:
    """One network of round `number`, with its mask and its start.

    Raises
    ------
    InputError
        If the arm's rules cannot be imported or do not take its options, or ask for trained values that are not kept.
    UserCodeError
        If a rule returns what it must not.
    """
    run, entry = ready.run, arm.entry
    train = recipe_of(run.train, arm)
    at = position(run, number, train)
    rewound, optimizer = origin_values(run, number, entry.has_own_mask, chain.theta0, chain.rewound, chain.optimizer)
    origin = Origin(
        mask=chain.masks,
        theta0=chain.theta0,
        rewound=rewound,
        biases=ready.biases,
        fresh=ready.fresh_draw,
        stream=lambda purpose: stream(run.seed, chain.replicate, purpose, number, draw),
        parameters=ready.parameters,
        round=number,
        step=at.step,
        optimizer=optimizer,
        recipe=at.recipe,
        train=None if at.recipe is train else train,
        read_trained=chain.read_trained or (lambda: chain.theta0),
        candidate=lambda scope="global", inverted=False: ready.candidates.at_start(
            number,
            chain.replicate,
            chain.theta0,
            chain.masks,
            scope,
            stream(run.seed, chain.replicate, "score", number, draw),
            inverted,
        ),
    )
    small = narrower(ready, sum(int(mask.sum()) for mask in chain.masks.values())) if entry.scaled else None
    if small is not None:
        origin = origin_of(small, origin)
    mask, start = apply_rules(rules_of(arm), origin, f"arm {arm.label!r}, round {number}, replicate {chain.replicate}")
    if start.recipe is None and at.recipe is not run.train:
        start = replace(start, recipe=at.recipe)
    # A narrower network is compared at the round's density, which it has nearly.
    label = Label(chain.replicate, number, density(chain.masks if small else mask), arm.label, draw)
    return Entry(label, arm.name, chain, mask, start, entry.pruned, entry.own_order, small)
