"""The networks of a round, and which of them train together as one stack."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tickets.arms import Origin, apply_rules
from tickets.catalogue import ARMS, resolve
from tickets.chains import Chain, density
from tickets.config import ArmConfig
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
    """A network of the round before training. label: its arm is called by the arm's label; arm: the arm's name."""

    label: Label
    arm: str
    chain: Chain
    mask: Tensors
    values: Tensors
    start: int
    carries_state: bool


@dataclass(frozen=True)
class Group:
    """Networks that train as one stack: they start at the same step, all with or all without an optimizer state."""

    start: int
    carries_state: bool
    entries: tuple[Entry, ...]

    def stack(self, setting: Setting) -> Stack:
        """The networks before training, stacked."""
        return stack_networks(
            [entry.values for entry in self.entries],
            [entry.mask for entry in self.entries],
            setting.parameters,
            optimizer=[entry.chain.optimizer for entry in self.entries] if self.carries_state else (),
            step=self.start,
        )


def enter(setting: Setting, chain: Chain, number: int, arm: ArmConfig, draw: int) -> Entry:
    """One network of round `number`, with its mask and its starting values."""
    seed = setting.run.seed
    entry = ARMS[arm.name]
    origin = Origin(
        mask=chain.masks,
        theta0=chain.theta0,
        rewound=chain.rewound,
        biases=setting.biases,
        fresh=setting.fresh,
        stream=lambda purpose: stream(seed, chain.replicate, purpose, number, draw),
        value=0.0 if arm.value is None else arm.value,
        zero_biases=arm.biases == "zeros",
    )
    named = f"arm {arm.label!r}, round {number}, replicate {chain.replicate}"
    mask, values = apply_rules(resolve(entry.mask), resolve(entry.values), origin, named)
    start = 0 if number == 0 or arm.start == 0 else setting.run.rewind.step
    label = Label(chain.replicate, number, density(mask), arm.label, draw)
    return Entry(label, arm.name, chain, mask, values, start, carries_state=entry.carries_state and start > 0)


def group(entries: Sequence[Entry]) -> list[Group]:
    """The networks by stack, each stack and the networks in it in the order of their first appearance."""
    stacks: dict[tuple[int, bool], list[Entry]] = defaultdict(list)
    for entry in entries:
        stacks[entry.start, entry.carries_state].append(entry)
    return [Group(*key, tuple(members)) for key, members in stacks.items()]


@settings_kept()  # what a forward sets for the whole process ends with its training
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
    run, stack = setting.run, group.stack(setting)
    seeds = [
        NetworkSeeds(
            order=_order(run.seed, entry),
            # By the arm's name, as all streams: an arm that stands there twice under labels draws the same twice.
            noise=stream(run.seed, entry.label.replicate, "noise", number, entry.arm, entry.label.draw),
        )
        for entry in group.entries
    ]
    at_once = min(len(stack), setting.plan.networks_at_once)
    strategy = setting.plan.strategy_for(stack, setting.pixels)
    whole = evaluation_chunk(at_once, setting.activations, run.train.batch_size, setting.device)
    return stack, train(
        functools.partial(begin, strategy, setting.module, build=setting.build),
        stack,
        seeds,
        setting.examples,
        run.train,
        lanes=setting.plan.lanes,
        networks_at_once=setting.plan.networks_at_once,
        chunk=SPARSE_CHUNK if strategy == "sparse" and not setting.has_images else whole,
        keep_step=run.rewind.step if number == 0 and run.rewind.step > 0 else None,
        measure=functools.partial(measure_units, setting.hidden, x=setting.examples.validation_inputs)
        if run.store.units
        else None,
        device=setting.device,
        tick=tick,
    )


def _order(seed: int, entry: Entry) -> int:
    """What decides a network's data order: one for all of a replicate, but for arms with an order of their own."""
    if ARMS[entry.arm].own_order:
        return stream(seed, entry.label.replicate, "reorder", entry.label.draw)
    return stream(seed, entry.label.replicate, "order")
