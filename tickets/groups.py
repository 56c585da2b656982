"""The networks of a round, and which of them train together as one stack."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tickets.arm_rules import apply_rules, rules_of
from tickets.arms import Origin, Start
from tickets.catalogue import Pruned
from tickets.chains import Chain, density
from tickets.config import ArmConfig, TrainConfig
from tickets.measures import Label
from tickets.process_state import settings_kept
from tickets.seeds import stream
from tickets.setting import Setting
from tickets.stack.feed import NetworkSeeds
from tickets.stack.memory import evaluation_chunk
from tickets.stack.networks import Stack, Tensors, stack_networks
from tickets.stack.strategies import SPARSE_CHUNK, begin
from tickets.stack.training import Trained, train
from tickets.stack.units import measure_units


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


def enter(setting: Setting, chain: Chain, number: int, arm: ArmConfig, draw: int) -> Entry:
    """One network of round `number`, with its mask and its start.

    Raises
    ------
    InputError
        If the arm's rules cannot be imported or do not take its options, or ask for trained values that are not kept.
    UserCodeError
        If a rule returns what it must not.
    """
    run, entry = setting.run, arm.entry
    origin = Origin(
        mask=chain.masks,
        theta0=chain.theta0,
        rewound=chain.rewound,
        biases=setting.biases,
        fresh=setting.fresh,
        stream=lambda purpose: stream(run.seed, chain.replicate, purpose, number, draw),
        parameters=setting.parameters,
        round=number,
        step=run.rewind.step if number else 0,
        optimizer=chain.optimizer,
        recipe=run.train,
        read_trained=chain.read_trained or (lambda: chain.theta0),
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


@settings_kept()  # settings of the process that a forward pass changes are restored
def train_group(setting: Setting, group: Group, number: int, tick: Callable[[int], None]) -> tuple[Stack, Trained]:
    """The stack of a group before training, and what training it gives.

    Parameters
    ----------
    setting
        The run.
    group
        The networks.
    number
        The round's number.
    tick
        Called as steps are taken, with their number times that of the networks that took them.
    """
    run, stack, plan = setting.run, group.stack(setting.parameters), setting.plan.for_pruned(group.pruned)
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
    strategy = plan.strategy_for(stack, setting.pixels)
    whole = evaluation_chunk(at_once, setting.activations, group.recipe.batch_size, setting.device)
    return stack, train(
        functools.partial(begin, strategy, setting.module, build=setting.build),
        stack,
        seeds,
        setting.examples,
        group.recipe,
        lanes=plan.lanes,
        networks_at_once=plan.networks_at_once,
        chunk=SPARSE_CHUNK if strategy == "sparse" and not setting.has_images else whole,
        keep_step=run.rewind.step if number == 0 and run.rewind.step > 0 and has_ticket else None,
        measure=functools.partial(measure_units, setting.hidden, x=setting.examples.validation_inputs)
        if run.store.units
        else None,
        device=setting.device,
        tick=tick,
    )


def _order(seed: int, entry: Entry) -> int:
    """The seed of a network's data order: the replicate's, or that of an arm and draw with an order of their own."""
    if entry.own_order:
        return stream(seed, entry.label.replicate, "reorder", entry.label.draw)
    return stream(seed, entry.label.replicate, "order")
