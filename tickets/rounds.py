"""A round: the ticket and its controls of several replicates, trained as stacks; then the next round's masks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from tickets.candidate import Ends
from tickets.chains import Chain
from tickets.checkpoint import RoundCheckpoint
from tickets.config import ArmConfig
from tickets.entries import enter
from tickets.finished import Finished
from tickets.groups import Group, group, train_group
from tickets.measures import Label, curve_rows, round_rows
from tickets.probes import Context, Networks, Probe
from tickets.probes.measuring import Earlier, Measurements
from tickets.ready import ReadyRun
from tickets.selection import next_masks
from tickets.shrunk import shrunk_after
from tickets.stack.memory import evaluation_chunk
from tickets.stack.networks import Stack, Tensors


@dataclass(frozen=True)
class Network:
    """One trained network of a round: its mask, and its parameters and buffers before and after training.

    model: the table `model` of a network that is not the run's own; None if it is.
    """

    label: Label
    mask: Tensors
    initial: Tensors
    trained: Tensors
    model: Mapping[str, Any] | None = None


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
    """The result of training a group. at_rewind: by replicate, what the next ticket starts from (`carried`)."""

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
    checkpoint: RoundCheckpoint | None = None,
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
    checkpoint
        The round's; None to save nothing while it trains.
    """
    entries = [enter(ready, chain, number, arm, draw) for chain in chains for arm, draw in arms]
    groups = group(entries, ready.run.train)
    theta0 = {chain.replicate: chain.theta0 for chain in chains}
    probed = measurements_of(ready, run, number, theta0, earlier, ready.probes)
    if checkpoint is not None:
        checkpoint.measure(probed, len(entries))
    outcomes = [_outcome(run, one, *train_group(ready, one, number, probed, tick, checkpoint)) for one in groups]
    networks = tuple(network for outcome in outcomes for network in outcome.networks)
    if measured := [network for network in networks if network.model is None]:  # of one architecture
        probed.afterwards(measured)
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
                _next_masks(ready, tickets[chain.replicate], chain.theta0, number, chain.replicate in lost),
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
        The values and the optimizer state that the next ticket starts from, if this round has decided them.
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
        read_shrunk=lambda: shrunk_after(chain.shrunk(), chain.theta0, ticket.trained, chain.masks, masks),
    )


def _next_masks(ready: ReadyRun, ticket: Network, theta0: Tensors, number: int, diverged: bool) -> Tensors:
    """The masks of the round after `number`."""
    replicate = ticket.label.replicate
    if ready.transfer is not None:
        return ready.transfer.masks(replicate, number + 1)
    masked = {
        name: value.masked_fill(~ticket.mask[name], 0.0) if name in ticket.mask else value
        for name, value in theta0.items()
    }
    ends = Ends(ticket.initial, ticket.trained, masked)
    candidate = ready.candidates.after_round(number, replicate, ends, ticket.mask, ready.prunable)
    return next_masks(ready.score, candidate, ready.run.prune.score.name, diverged=diverged)


def context_of(ready: ReadyRun) -> Context:
    """What the run's probes get of it."""
    chunk = evaluation_chunk(1, ready.activations, ready.run.train.batch_size, ready.device)
    return Context(ready.run, lambda: ready.examples, ready.build, lambda: ready.fitted.anatomy, ready.device, chunk)


def measurements_of(
    ready: ReadyRun,
    run: str,
    number: int,
    theta0: Mapping[int, Tensors],
    earlier: Earlier,
    probes: Sequence[Probe],
) -> Measurements:
    """The measurements of a round by some probes.

    Parameters
    ----------
    ready
        The run.
    run
        The run's id, for the rows.
    number
        The round's.
    theta0
        Every parameter and buffer of each replicate before any training.
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
        network = Network(networks.labels[place], mask, initial, trained)
        return _next_masks(ready, network, theta0[network.label.replicate], number, diverged=True)

    return Measurements(run, probes, context_of(ready), earlier, after)


def _outcome(run: str, group: Group, start: Stack, finished: Finished) -> _Outcome:
    """The rows and the networks of a group."""
    labels = [entry.label for entry in group.entries]
    lost = finished.lost | np.array([entry.chain.diverged for entry in group.entries])
    return _Outcome(
        networks=tuple(
            Network(entry.label, *_masked(entry.mask, start, finished, index), entry.model)
            for index, entry in enumerate(group.entries)
        ),
        curves=curve_rows(run, labels, finished.curves),
        rounds=round_rows(run, labels, finished.curves, lost, finished.seconds),
        at_rewind={group.entries[place].chain.replicate: one for place, one in finished.carried.items()},
    )


def _masked(mask: Tensors, start: Stack, finished: Finished, index: int) -> tuple[Tensors, Tensors, Tensors]:
    """A network's mask, and its values before and after training.

    A learned mask is known after training alone, and so are the values that it leaves. Both are then of that network:
    its weights are what they were, and its normalisation statistics those that it is evaluated with.
    """
    trained = finished.values[index]
    if finished.masks is None:
        return mask, start.network(index), trained
    return finished.masks[index], {name: tensor.clone() for name, tensor in trained.items()}, trained
