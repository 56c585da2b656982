"""A round: the ticket and its controls of several replicates, trained as stacks; then the next round's masks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from tickets.candidate import Ends
from tickets.chains import Chain
from tickets.config import ArmConfig
from tickets.groups import Group, enter, group, train_group
from tickets.measures import Label, curve_rows, diverged, round_rows
from tickets.probes import Context, Networks, Probe
from tickets.probes.measuring import Earlier, Measurements
from tickets.ready import ReadyRun
from tickets.selection import next_masks
from tickets.stack.memory import evaluation_chunk
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
    tables
        The tables of the run's probes, by name.
    chains
        Each replicate before the next round; empty if the ticket was not among the arms.
    """

    networks: tuple[Network, ...]
    curves: pd.DataFrame
    rounds: pd.DataFrame
    tables: Mapping[str, pd.DataFrame]
    chains: tuple[Chain, ...]


@dataclass(frozen=True)
class _Outcome:
    """The result of training a group. at_rewind: by replicate, the ticket's values and optimizer state at that step."""

    networks: tuple[Network, ...]
    curves: pd.DataFrame
    rounds: pd.DataFrame
    at_rewind: Mapping[int, tuple[Tensors, dict[str, Tensors]]]


def train_round(
    ready: ReadyRun,
    run: str,
    chains: Sequence[Chain],
    number: int,
    arms: Sequence[tuple[ArmConfig, int]],
    tick: Callable[[int], None] = lambda networks: None,
    earlier: Earlier = lambda round, trained: None,
) -> RoundResult:
    """Train the given arms and draws of one round for all replicates in lockstep.

    Parameters
    ----------
    ready
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
    earlier
        What the run's probes get of earlier rounds; see `Networks.earlier`.
    """
    entries = [enter(ready, chain, number, arm, draw) for chain in chains for arm, draw in arms]
    groups = group(entries, ready.run.train)
    probed = measurements_of(ready, run, number, earlier, ready.probes)
    outcomes = [_outcome(ready, run, one, *train_group(ready, one, number, probed, tick)) for one in groups]
    networks = tuple(network for outcome in outcomes for network in outcome.networks)
    probed.afterwards(networks)
    rounds = pd.concat([outcome.rounds for outcome in outcomes], ignore_index=True)
    at_rewind = {replicate: kept for outcome in outcomes for replicate, kept in outcome.at_rewind.items()}
    tickets = {network.label.replicate: network for network in networks if network.label.arm == "ticket"}
    lost = set(rounds.loc[(rounds["arm"] == "ticket") & rounds["diverged"], "replicate"])
    return RoundResult(
        networks=networks,
        curves=pd.concat([outcome.curves for outcome in outcomes], ignore_index=True),
        rounds=rounds,
        tables=probed.tables(),
        chains=tuple(
            advance(
                chain,
                tickets[chain.replicate],
                _next_masks(ready, tickets[chain.replicate], number, chain.replicate in lost),
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


def _next_masks(ready: ReadyRun, ticket: Network, number: int, diverged: bool) -> Tensors:
    """The masks of the round after `number`."""
    ends = Ends(ticket.initial, ticket.trained)
    replicate = ticket.label.replicate
    candidate = ready.candidates.after_round(number, replicate, ends, ticket.mask, ready.prunable)
    return next_masks(ready.score, candidate, ready.run.prune.score.name, diverged=diverged)


def context_of(ready: ReadyRun) -> Context:
    """What the run's probes get of it."""
    chunk = evaluation_chunk(1, ready.activations, ready.run.train.batch_size, ready.device)
    return Context(ready.run, lambda: ready.examples, ready.build, lambda: ready.fitted.anatomy, ready.device, chunk)


def measurements_of(ready: ReadyRun, run: str, number: int, earlier: Earlier, probes: Sequence[Probe]) -> Measurements:
    """The measurements of a round by some probes.

    Parameters
    ----------
    ready
        The run.
    run
        The run's id, for the rows.
    number
        The round's.
    earlier
        What `Networks.earlier` returns.
    probes
        The probes.
    """

    def after(networks: Networks, place: int) -> Tensors:
        mask, initial, trained = (
            {name: tensor[place].to("cpu", copy=True) for name, tensor in tensors.items()}
            for tensors in (networks.masks, networks.initial, networks.values)
        )
        return _next_masks(ready, Network(networks.labels[place], mask, initial, trained), number, diverged=True)

    return Measurements(run, probes, context_of(ready), earlier, after)


def _outcome(ready: ReadyRun, run: str, group: Group, start: Stack, outcome: Trained) -> _Outcome:
    """The rows and the networks of a group."""
    labels = [entry.label for entry in group.entries]
    lost = diverged(outcome.curves, outcome.stack, ready.scale.guess)
    lost |= np.array([entry.chain.diverged for entry in group.entries])
    kept = {}
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
        at_rewind=kept,
    )
