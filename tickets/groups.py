"""Which networks of a round train together as one stack, and how they do."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from tickets.catalogue import Pruned, kind_of_stack
from tickets.checkpoint import RoundCheckpoint
from tickets.config import Run, TrainConfig
from tickets.entries import Entry
from tickets.finished import Finished
from tickets.learned.learning import Learning
from tickets.learned.shard import begin_learned, mean_of_samples, start_stack
from tickets.probes.measuring import Measurements
from tickets.process_state import settings_kept
from tickets.ready import ReadyRun
from tickets.seeds import stream
from tickets.stack.feed import NetworkSeeds
from tickets.stack.networks import Stack, stack_networks
from tickets.stack.strategies import begin, strategy_named
from tickets.stack.training import train
from tickets.stack.trees import digest


@dataclass(frozen=True)
class Group:
    """Networks that train as one stack.

    They have the same step, recipe, rule for pruned weights and architecture, and optimizer states of the same
    parameters.

    Attributes
    ----------
    step
        The step that they start at.
    recipe
        How they are trained.
    pruned
        "zero" if their pruned weights are 0; "initial" if each keeps other values.
    continues
        Whether they continue with the optimizer states of their starts.
    entries
        The networks.
    learning
        How their masks are learned; None for masks that stay.
    """

    step: int
    recipe: TrainConfig
    pruned: Pruned
    continues: bool
    entries: tuple[Entry, ...]
    learning: Learning | None = None

    @property
    def narrower(self) -> ReadyRun | None:
        """The run with the narrower network that they all are; None if they are the run's own."""
        return self.entries[0].narrower

    def stack(self, parameters: Sequence[str]) -> Stack:
        """The networks before training. parameters: the names of those that are trained."""
        if self.learning is not None:
            starts = [entry.start for entry in self.entries]
            masks, scores = [entry.mask for entry in self.entries], [start.scores for start in starts]
            return start_stack([start.values for start in starts], masks, scores, parameters, self.step)
        optimizer = [entry.start.optimizer or {} for entry in self.entries] if self.continues else ()
        return stack_networks(
            [entry.start.values for entry in self.entries],
            [entry.mask for entry in self.entries],
            parameters,
            optimizer=optimizer,
            step=self.step,
            pruned_values=[entry.held() for entry in self.entries] if self.pruned == "initial" else (),
        )


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
        start, kind = entry.start, kind_of_stack(entry.pruned)
        architecture = id(entry.narrower)
        key = (start.step, start.recipe or recipe, kind, entry.layout, start.learning, architecture)
        stacks[key].append(entry)
    return [
        Group(step, own, pruned, layout is not None, tuple(members), learning)
        for (step, own, pruned, layout, learning, _), members in stacks.items()
    ]


@settings_kept()  # what a forward sets for the whole process ends with its training
def train_group(
    ready: ReadyRun,
    group: Group,
    number: int,
    probed: Measurements,
    tick: Callable[[int], None],
    checkpoint: RoundCheckpoint | None = None,
) -> tuple[Stack, Finished]:
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
    checkpoint
        That of the round; its groups are trained in their order.
    """
    begins, guess, ready = ready.begins, ready.scale.guess, group.narrower or ready
    run, stack, plan = ready.run, group.stack(ready.parameters), ready.plan.for_pruned(group.pruned)
    tickets = [place for place, entry in enumerate(group.entries) if entry.label.arm == "ticket"]
    seeds = [_seeds(run, entry, number) for entry in group.entries]
    strategy, lanes, begun = plan.strategy_for(stack, ready.pixels), plan.lanes, begin
    if group.learning is not None:
        strategy, lanes = plan.learned_strategy, plan.learned_lanes(ready.workload)
        begun = functools.partial(begin_learned, plan.has_own_modules, group.learning)
    torch.set_num_threads(max(1, plan.threads // lanes))  # a plan of another rule may have other lanes
    workload = replace(ready.workload, recipe=group.recipe)
    chunk = strategy_named(strategy).chunk(workload, min(len(stack), plan.networks_at_once))
    learned, last = group.learning is not None, group.recipe.steps
    at_once = 1 if learned and plan.has_own_modules else plan.networks_at_once
    begins(min(len(stack), at_once))
    keep_step = run.rewind.step if number == 0 and run.rewind.restores and tickets else None
    # Probes compare networks of one architecture.
    labels = [entry.label for entry in group.entries]
    first = probed.begun
    observe = None if group.narrower else probed.observer(labels, stack, last, learned=learned)
    mine = progress = None
    if checkpoint is not None:
        # All that decides the bits, but for the data, the code and the machine.
        how = (group.recipe, group.learning, seeds, strategy, lanes, at_once, chunk, keep_step)
        mine = checkpoint.group(lambda: digest({"how": repr(how), "stack": vars(stack)}), first)
        carrying = tickets if run.rewind.keeps_trained or keep_step is not None else []
        found = mine.finished(lambda tree: Finished.of_tree(tree, stack, last, carrying, learned))
        if found is not None:
            tick((last - stack.step) * len(stack))
            return stack, found
        progress = mine.progress(observe)
    trained = train(
        functools.partial(begun, strategy, replace(ready.workload, pruned=group.pruned)),
        stack,
        seeds,
        ready.examples,
        group.recipe,
        lanes=lanes,
        networks_at_once=at_once,
        chunk=chunk,
        keep_step=keep_step,
        observe=observe,
        observe_alone=probed.alone,
        between=mean_of_samples(group.learning),
        device=ready.device,
        tick=tick,
        progress=progress,
    )
    finished = Finished.of(trained, run, guess, tickets, learned)
    if mine is not None:
        mine.end(finished)
    return stack, finished


def _seeds(run: Run, entry: Entry, number: int) -> NetworkSeeds:
    """The seeds of a network of round `number`.

    In round 0 an arm with a data order of its own has the ticket's seeds up to the rewind step: the two dense networks
    part there, as the arm and the ticket of every later round do (Frankle et al. 2020).
    """
    replicate, draw = entry.label.replicate, entry.label.draw
    # By the arm's name, as all streams: an arm that is there twice, under two labels, draws the same.
    noise = stream(run.seed, replicate, "noise", number, entry.arm, draw)
    order = stream(run.seed, replicate, "order")
    if not entry.own_order:
        return NetworkSeeds(order, noise)
    own = stream(run.seed, replicate, "reorder", draw)
    if number > 0 or not run.rewind.restores:
        return NetworkSeeds(own, noise)
    ticket = NetworkSeeds(order, stream(run.seed, replicate, "noise", number, "ticket", 0))
    return NetworkSeeds(own, noise, before=ticket, step=run.rewind.step)
