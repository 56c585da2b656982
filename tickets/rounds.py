"""A round: the ticket and its controls of several replicates, trained as stacks; then the next round's masks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch

from tickets.chains import Chain
from tickets.config import ArmConfig
from tickets.groups import Group, enter, group, train_group
from tickets.measures import Label, curve_rows, diverged, round_rows, unit_rows
from tickets.pruning import prune_by_layer, prune_globally
from tickets.scores import Weights, score_tensor
from tickets.seeds import stream
from tickets.setting import Setting
from tickets.stack.networks import Stack, Tensors
from tickets.stack.training import Trained


@dataclass(frozen=True)
class Network:
    """One trained network of a round: its mask, and its parameters and buffers before and after training."""

    label: Label
    mask: Tensors
    initial: Tensors
    trained: Tensors


@dataclass(frozen=True)
class RoundResult:
    """The result of a round.

    Attributes
    ----------
    networks
        The trained networks.
    curves, rounds
        The tables.
    units
        The table of the hidden units; None unless the run counts them.
    chains
        Each replicate before the next round; empty if the ticket was not among the arms.
    """

    networks: tuple[Network, ...]
    curves: pd.DataFrame
    rounds: pd.DataFrame
    units: pd.DataFrame | None
    chains: tuple[Chain, ...]


@dataclass(frozen=True)
class _Outcome:
    """The result of training a group. at_rewind: by replicate, the ticket's values and optimizer state at that step."""

    networks: tuple[Network, ...]
    curves: pd.DataFrame
    rounds: pd.DataFrame
    units: pd.DataFrame | None
    at_rewind: Mapping[int, tuple[Tensors, dict[str, Tensors]]]


def train_round(
    setting: Setting,
    run: str,
    chains: Sequence[Chain],
    number: int,
    arms: Sequence[tuple[ArmConfig, int]],
    tick: Callable[[int], None] = lambda networks: None,
) -> RoundResult:
    """Train the given arms and draws of one round for all replicates in lockstep.

    Parameters
    ----------
    setting
        The run.
    run
        The run's id, for the rows.
    chains
        The replicates as they stand before the round.
    number
        The round's.
    arms
        (arm, draw) pairs.
    tick
        Called as steps are taken, with their number times that of the networks that took them.
    """
    entries = [enter(setting, chain, number, arm, draw) for chain in chains for arm, draw in arms]
    groups = group(entries, setting.run.train)
    outcomes = [_measured(setting, run, one, *train_group(setting, one, number, tick)) for one in groups]
    networks = tuple(network for outcome in outcomes for network in outcome.networks)
    rounds = pd.concat([outcome.rounds for outcome in outcomes], ignore_index=True)
    at_rewind = {replicate: kept for outcome in outcomes for replicate, kept in outcome.at_rewind.items()}
    units = [outcome.units for outcome in outcomes if outcome.units is not None]
    tickets = {network.label.replicate: network for network in networks if network.label.arm == "ticket"}
    lost = set(rounds.loc[(rounds["arm"] == "ticket") & rounds["diverged"], "replicate"])
    return RoundResult(
        networks=networks,
        curves=pd.concat([outcome.curves for outcome in outcomes], ignore_index=True),
        rounds=rounds,
        units=pd.concat(units, ignore_index=True) if units else None,
        chains=tuple(
            advance(
                chain,
                tickets[chain.replicate],
                next_masks(setting, tickets[chain.replicate], number),
                at_rewind.get(chain.replicate),
                chain.replicate in lost,
            )
            for chain in chains
            if chain.replicate in tickets
        ),
    )


def advance(
    chain: Chain,
    ticket: Network,
    masks: Tensors,
    at_rewind: tuple[Tensors, dict[str, Tensors]] | None,
    diverged: bool,
) -> Chain:
    """The replicate before the next round.

    Parameters
    ----------
    chain
        The replicate before this round.
    ticket
        Its ticket of this round, trained.
    masks
        The next round's.
    at_rewind
        The values and the optimizer state of the rewind step, if this round has passed it.
    diverged
        Whether the ticket diverged, in this round or before.
    """
    rewound, optimizer = at_rewind or (chain.rewound, chain.optimizer)
    return replace(
        chain,
        rewound=rewound,
        optimizer=optimizer,
        masks=masks,
        diverged=diverged,
        read_trained=lambda: ticket.trained,
    )


def next_masks(setting: Setting, ticket: Network, number: int) -> Tensors:
    """The masks of the round after `number`, from its trained ticket."""
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


def _measured(setting: Setting, run: str, group: Group, start: Stack, outcome: Trained) -> _Outcome:
    """The rows and the networks of a group."""
    labels = [entry.label for entry in group.entries]
    lost = diverged(outcome.curves, outcome.stack, setting.examples.classes)
    lost |= np.array([entry.chain.diverged for entry in group.entries])
    units, kept = None, {}
    if outcome.measured is not None:
        units = unit_rows(run, labels, outcome.curves.steps, setting.hidden, outcome.measured)
    if outcome.kept is not None:
        kept = {
            entry.chain.replicate: (outcome.kept.network(index), outcome.kept.optimizer_state(index))
            for index, entry in enumerate(group.entries)
            if entry.label.arm == "ticket"
        }
    return _Outcome(
        networks=tuple(
            Network(entry.label, entry.mask, start.network(index), outcome.stack.network(index))
            for index, entry in enumerate(group.entries)
        ),
        curves=curve_rows(run, labels, outcome.curves),
        rounds=round_rows(run, labels, outcome.curves, lost, outcome.seconds),
        units=units,
        at_rewind=kept,
    )
