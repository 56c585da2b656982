"""A round: the ticket and its controls of several replicates, trained as one stack; then the next round's masks."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from tickets.arms import Origin, apply_rules
from tickets.catalogue import ARMS, resolve
from tickets.config import ArmConfig
from tickets.measures import Label, curve_rows, diverged, round_rows, unit_rows
from tickets.process_state import settings_kept
from tickets.pruning import prune_by_layer, prune_globally
from tickets.ready import ReadyRun
from tickets.scores import Weights, score_tensor
from tickets.seeds import stream
from tickets.stack.feed import NetworkSeeds
from tickets.stack.networks import Stack, Tensors, stack_networks
from tickets.stack.strategies import begin, strategy_named
from tickets.stack.training import Trained, train
from tickets.stack.units import measure_units


@dataclass(frozen=True)
class Chain:
    """One replicate, as it stands before a round. All tensors on the CPU, by name.

    theta0: every parameter and buffer before any training. rewound: the same at the rewind step (theta0 until
    round 0 has passed it). optimizer: the optimizer's state there, by state and parameter. masks: the round's,
    bool. diverged: whether the ticket of an earlier round diverged, so that the masks since say nothing.
    """

    replicate: int
    theta0: Tensors
    rewound: Tensors
    optimizer: dict[str, Tensors]
    masks: Tensors
    diverged: bool = False


@dataclass(frozen=True)
class Network:
    """One trained network of a round: what it was, what it started from, what it became."""

    label: Label
    mask: Tensors
    initial: Tensors
    trained: Tensors


@dataclass(frozen=True)
class RoundResult:
    """What a round gives: its networks and measurements, and each replicate's chain for the round after.

    units: of the hidden units, None unless the run has them counted. chains is empty when the ticket was not
    among the arms.
    """

    networks: tuple[Network, ...]
    curves: pd.DataFrame
    rounds: pd.DataFrame
    units: pd.DataFrame | None
    chains: tuple[Chain, ...]


@dataclass(frozen=True)
class _Entry:
    """A network of the round before training. label: its arm is called by the arm's label; arm: the arm's name."""

    label: Label
    arm: str
    chain: Chain
    mask: Tensors
    values: Tensors
    start: int
    carries_state: bool


def first_chain(setting: ReadyRun, replicate: int) -> Chain:
    """A replicate before round 0: its initial values and masks that keep every weight."""
    theta0 = setting.fresh(stream(setting.run.seed, replicate, "initial"))
    return Chain(replicate, theta0, theta0, {}, first_masks(setting))


def first_masks(setting: ReadyRun) -> Tensors:
    """The masks of round 0: every weight stays."""
    return {tensor.name: torch.ones(tensor.shape, dtype=torch.bool) for tensor in setting.prunable}


def density(masks: Tensors) -> float:
    """The fraction of the prunable weights that remains."""
    return sum(int(mask.sum()) for mask in masks.values()) / sum(mask.numel() for mask in masks.values())


def train_round(
    setting: ReadyRun,
    run: str,
    chains: Sequence[Chain],
    number: int,
    arms: Sequence[tuple[ArmConfig, int]],
    tick: Callable[[int], None] = lambda networks: None,
) -> RoundResult:
    """Train the given arms and draws of one round for all replicates in lockstep.

    run: the run's id, for the rows. number: the round's. arms: (arm, draw) pairs. In round 0 every arm has the
    full schedule; later each starts at the rewind step, or at 0 where the arm says so. Networks that start at
    different steps, or with and without an optimizer state, are different stacks.
    """
    entries = [_enter(setting, chain, number, arm, draw) for chain in chains for arm, draw in arms]
    stacks: dict[tuple[int, bool], list[_Entry]] = defaultdict(list)
    for entry in entries:
        stacks[entry.start, entry.carries_state].append(entry)
    networks, curves, rounds, units, kept = [], [], [], [], {}
    for (start, carries_state), members in stacks.items():
        outcome = _train_stack(setting, members, start, carries_state, number, tick)
        labels = [entry.label for entry in members]
        lost = diverged(outcome.curves, outcome.stack, setting.examples.classes)
        lost |= np.array([entry.chain.diverged for entry in members])
        curves.append(curve_rows(run, labels, outcome.curves))
        rounds.append(round_rows(run, labels, outcome.curves, lost, outcome.seconds))
        if outcome.measured is not None:
            units.append(unit_rows(run, labels, outcome.curves.steps, setting.hidden, outcome.measured))
        for index, entry in enumerate(members):
            initial = _masked(entry.values, entry.mask)
            networks.append(Network(entry.label, entry.mask, initial, outcome.stack.network(index)))
            if entry.label.arm == "ticket" and outcome.kept is not None:
                kept[entry.chain.replicate] = (
                    outcome.kept.network(index),
                    outcome.kept.optimizer_state(index),
                )
    table = pd.concat(rounds, ignore_index=True)
    after = []
    for chain in chains:
        rewound, optimizer = kept.get(chain.replicate, (chain.rewound, chain.optimizer))
        ticket = next((n for n in networks if n.label.arm == "ticket" and n.label.replicate == chain.replicate), None)
        if ticket is not None:
            row = table[(table["arm"] == "ticket") & (table["replicate"] == chain.replicate)]
            after.append(
                replace(
                    chain,
                    rewound=rewound,
                    optimizer=optimizer,
                    masks=next_masks(setting, ticket, number),
                    diverged=bool(row["diverged"].item()),
                )
            )
    return RoundResult(
        networks=tuple(networks),
        curves=pd.concat(curves, ignore_index=True),
        rounds=table,
        units=pd.concat(units, ignore_index=True) if units else None,
        chains=tuple(after),
    )


def next_masks(setting: ReadyRun, ticket: Network, number: int) -> Tensors:
    """The masks of the round after `number`, from what its ticket was trained to."""
    replicate = ticket.label.replicate
    scores = {}
    for name in ticket.mask:
        seed = stream(setting.run.seed, replicate, "score", number, name)
        generator = torch.Generator().manual_seed(seed)
        weights = Weights(ticket.initial[name], ticket.trained[name], generator)
        when = f"round {number}, replicate {replicate}"
        scores[name] = score_tensor(setting.score, setting.run.prune.score, weights, ticket.mask[name], name, when)
    if setting.run.prune.scope == "global":
        return prune_globally(scores, ticket.mask, setting.run.prune.rate)
    return prune_by_layer(scores, ticket.mask, setting.rates())


def _enter(setting: ReadyRun, chain: Chain, number: int, arm: ArmConfig, draw: int) -> _Entry:
    """One network of the round, with its mask and its starting values."""
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
    return _Entry(label, arm.name, chain, mask, values, start, carries_state=entry.carries_state and start > 0)


@settings_kept()  # what a forward sets for the whole process ends with its training
def _train_stack(
    setting: ReadyRun,
    members: Sequence[_Entry],
    start: int,
    carries_state: bool,
    number: int,
    tick: Callable[[int], None],
) -> Trained:
    """Train networks that start at the same step as one stack."""
    run = setting.run
    stack: Stack = stack_networks(
        [entry.values for entry in members],
        [entry.mask for entry in members],
        setting.parameters,
        optimizer=[entry.chain.optimizer for entry in members] if carries_state else (),
        step=start,
    )
    seeds = [
        NetworkSeeds(
            order=_order(run.seed, entry),
            # By the arm's name, as all streams: an arm that stands there twice under labels draws the same twice.
            noise=stream(run.seed, entry.label.replicate, "noise", number, entry.arm, entry.label.draw),
        )
        for entry in members
    ]
    at_once = min(len(members), setting.plan.networks_at_once)
    strategy = setting.plan.strategy_for(stack, setting.pixels)
    return train(
        functools.partial(begin, strategy, setting.workload),
        stack,
        seeds,
        setting.examples,
        run.train,
        lanes=setting.plan.lanes,
        networks_at_once=setting.plan.networks_at_once,
        chunk=strategy_named(strategy).chunk(setting.workload, at_once),
        keep_step=run.rewind.step if number == 0 and run.rewind.step > 0 else None,
        measure=functools.partial(measure_units, setting.hidden, x=setting.examples.validation_inputs)
        if run.store.units
        else None,
        device=setting.device,
        tick=tick,
    )


def _order(seed: int, entry: _Entry) -> int:
    """What decides a network's data order: one for all of a replicate, but for arms with an order of their own."""
    if ARMS[entry.arm].own_order:
        return stream(seed, entry.label.replicate, "reorder", entry.label.draw)
    return stream(seed, entry.label.replicate, "order")


def _masked(values: Tensors, mask: Tensors) -> Tensors:
    """The values with every pruned weight exactly 0.0."""

    def one(name: str, value: Tensor) -> Tensor:
        return value.masked_fill(~mask[name], 0.0) if name in mask else value

    return {name: one(name, value) for name, value in values.items()}
