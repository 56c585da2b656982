"""The networks of a round, and which of them train together as one stack."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from tickets.arm_rules import apply_rules, rules_of
from tickets.arms import Origin, Start
from tickets.catalogue import Pruned
from tickets.chains import Chain
from tickets.config import ArmConfig, TrainConfig
from tickets.density import density
from tickets.measures import Label
from tickets.probes.measuring import Measurements
from tickets.process_state import settings_kept
from tickets.ready import ReadyRun
from tickets.seeds import stream
from tickets.stack.feed import NetworkSeeds
from tickets.stack.networks import Stack, Tensors, stack_networks
from tickets.stack.strategies import begin, strategy_named
from tickets.stack.training import Trained, train


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
    """

    label: Label
    arm: str
    chain: Chain
    mask: Tensors
    start: Start
    pruned: Pruned
    own_order: bool

    @property
    def layout(self) -> frozenset[tuple[str, str]] | None:
        """The states and parameters of the optimizer state that the training continues with; None for a fresh one."""
        if self.start.optimizer is None or not self.start.continues:
            return None
        return frozenset((state, name) for state, tensors in self.start.optimizer.items() for name in tensors)


@dataclass(frozen=True)
class Group:
    """Networks that train as one stack.

    They have the same step, recipe and rule for pruned weights, and optimizer states of the same parameters.

    Attributes
    ----------
    step
        The step that they start at.
    recipe
        How they are trained.
    pruned
        What pruned weights are.
    continues
        Whether they continue with the optimizer states of their starts.
    entries
        The networks.
    """

    step: int
    recipe: TrainConfig
    pruned: Pruned
    continues: bool
    entries: tuple[Entry, ...]

    def stack(self, parameters: Sequence[str]) -> Stack:
        """The networks before training. parameters: the names of those that are trained."""
        optimizer = [entry.start.optimizer or {} for entry in self.entries] if self.continues else ()
        return stack_networks(
            [entry.start.values for entry in self.entries],
            [entry.mask for entry in self.entries],
            parameters,
            optimizer=optimizer,
            step=self.step,
            pruned_values=[entry.chain.theta0 for entry in self.entries] if self.pruned == "initial" else (),
        )


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
    origin = Origin(
        mask=chain.masks,
        theta0=chain.theta0,
        rewound=chain.rewound,
        biases=ready.biases,
        fresh=ready.fresh_draw,
        stream=lambda purpose: stream(run.seed, chain.replicate, purpose, number, draw),
        parameters=ready.parameters,
        round=number,
        step=run.rewind.step if number else 0,
        optimizer=chain.optimizer,
        recipe=run.train,
        read_trained=chain.read_trained or (lambda: chain.theta0),
        candidate=lambda scope="global": ready.candidates.at_start(
            number,
            chain.replicate,
            chain.theta0,
            chain.masks,
            scope,
            stream(run.seed, chain.replicate, "score", number, draw),
        ),
    )
    mask, start = apply_rules(rules_of(arm), origin, f"arm {arm.label!r}, round {number}, replicate {chain.replicate}")
    label = Label(chain.replicate, number, density(mask), arm.label, draw)
    return Entry(label, arm.name, chain, mask, start, entry.pruned, entry.own_order)


def group(entries: Sequence[Entry], recipe: TrainConfig) -> list[Group]:
    """The networks by stack, each stack and the networks in it in the order of their first appearance.

    Parameters
    ----------
    entries
        The networks.
    recipe
        How those are trained that have no recipe of their own.
    """
    stacks: dict[tuple[Any, ...], list[Entry]] = defaultdict(list)
    for entry in entries:
        stacks[entry.start.step, entry.start.recipe or recipe, entry.pruned, entry.layout].append(entry)
    return [
        Group(step, own, pruned, layout is not None, tuple(members))
        for (step, own, pruned, layout), members in stacks.items()
    ]


@settings_kept()  # what a forward sets for the whole process ends with its training
def train_group(
    ready: ReadyRun, group: Group, number: int, probed: Measurements, tick: Callable[[int], None]
) -> tuple[Stack, Trained]:
    """The stack of a group before training, and what training it gives.

    Parameters
    ----------
    ready
        The run.
    group
        The networks.
    number
        The round's number.
    probed
        The measurements of the round's probes.
    tick
        Called as steps are taken, with their number times that of the networks that took them.
    """
    run, stack, plan = ready.run, group.stack(ready.parameters), ready.plan.for_pruned(group.pruned)
    has_ticket = any(entry.label.arm == "ticket" for entry in group.entries)
    seeds = [
        NetworkSeeds(
            order=_order(run.seed, entry),
            # By the arm's name, as all streams: an arm that is there twice, under two labels, draws the same.
            noise=stream(run.seed, entry.label.replicate, "noise", number, entry.arm, entry.label.draw),
        )
        for entry in group.entries
    ]
    at_once = min(len(stack), plan.networks_at_once)
    strategy = plan.strategy_for(stack, ready.pixels)
    torch.set_num_threads(max(1, plan.threads // plan.lanes))  # a plan of another rule may have other lanes
    return stack, train(
        functools.partial(begin, strategy, replace(ready.workload, pruned=group.pruned)),
        stack,
        seeds,
        ready.examples,
        group.recipe,
        lanes=plan.lanes,
        networks_at_once=plan.networks_at_once,
        chunk=strategy_named(strategy).chunk(replace(ready.workload, recipe=group.recipe), at_once),
        keep_step=run.rewind.step if number == 0 and run.rewind.step > 0 and has_ticket else None,
        observe=probed.observer([entry.label for entry in group.entries], stack, group.recipe.steps),
        observe_alone=probed.alone,
        device=ready.device,
        tick=tick,
    )


def _order(seed: int, entry: Entry) -> int:
    """The seed of a network's data order: the replicate's, or that of an arm and draw with an order of their own."""
    if entry.own_order:
        return stream(seed, entry.label.replicate, "reorder", entry.label.draw)
    return stream(seed, entry.label.replicate, "order")
