"""A run's probes tried on initial values, before anything is written or trained.

Errors that a probe makes at every call are found before the first round. The results are discarded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import torch
from torch import Tensor

from tickets.config import Run
from tickets.data import Examples
from tickets.errors import InputError, UserCodeError
from tickets.measures import Label
from tickets.probes.context import Context
from tickets.probes.lent import Lent
from tickets.probes.networks import Networks, Tensors, nothing_trained, stacked
from tickets.probes.probe import Probe
from tickets.probes.rows import NETWORK, differing, kinds_of
from tickets.seeds import stream
from tickets.stand_ins import WHEN, moved

EXAMPLES = 64  # of each kind: enough for a probe that compares examples


def try_probes(
    probes: Sequence[Probe], context: Context, values: Sequence[Tensors], prunable: Sequence[str]
) -> tuple[Probe, ...]:
    """Call every probe on a made-up dense round, one with half of the weights and one in which a network diverged.

    Parameters
    ----------
    probes
        The run's probes.
    context
        What all networks of the run have in common, on the CPU. The probes get the first examples of it.
    values
        Every parameter and buffer of replicate 0, 1, ... before any training, by name.
    prunable
        The names of the prunable tensors.

    Returns
    -------
    tuple of Probe
        The same probes, each with the columns that it gave.

    Raises
    ------
    InputError
        If a probe cannot measure this run, fails, or gives other columns at one call than at another.
    """
    few = _first_of(context.examples)
    made = _Made(replace(context, read_examples=lambda: few), values, tuple(prunable))
    tried: list[Probe] = []
    problems: list[str] = []
    failed: UserCodeError | None = None
    for probe in probes:
        try:
            tried.append(_tried(probe, made))
        except UserCodeError as error:
            failed = failed or error
            problems += error.problems
        except InputError as error:
            problems += error.problems
    if problems:
        raise (InputError(problems) if failed is None else UserCodeError(problems)) from failed
    return tuple(tried)


@dataclass(frozen=True)
class _Made:
    """What the made-up networks are made from."""

    context: Context
    values: Sequence[Tensors]
    prunable: tuple[str, ...]

    @property
    def run(self) -> Run:
        return self.context.run

    def networks(self, number: int, step: int, diverged: bool = False) -> Networks:
        """One network for each replicate, arm and draw, two draws at most; the last one diverged, if asked for."""
        pairs = [(arm.label, draw) for arm in self.run.arms for draw in range(min(arm.draws, 2))]
        density, replicates = 1.0 / (number + 1), range(len(self.values))
        labels = [Label(replicate, number, density, *pair) for replicate, pair in product(replicates, pairs)]
        masks = {name: self._masks(self.values[0][name], number, len(labels)) for name in self.prunable}
        initial = stacked([self.values[label.replicate] for label in labels], self.context.device)
        initial = {name: value * masks[name] if name in masks else value for name, value in initial.items()}
        seed = stream(self.run.seed, "probe", "trial", number, step)
        generator = torch.Generator().manual_seed(seed)
        values = {name: value.clone() for name, value in initial.items()}
        if step > 0:
            values = moved(initial, generator)
            values |= {name: values[name].where(mask, initial[name]) for name, mask in masks.items()}
        for value in values.values():
            if diverged and value.is_floating_point():
                value[-1] = torch.nan

        def earlier(round: int, trained: bool) -> Networks | None:
            return self._stored(round, trained) if 0 <= round < number else None

        def next_masks(networks: Networks, network: int) -> Tensors:
            return {name: self._masks(self.values[0][name], number + 1, 1)[0] for name in self.prunable}

        found = tuple(labels)
        return Networks(found, step, values, initial, masks, self.context, _earlier=earlier, _next_masks=next_masks)

    def _stored(self, number: int, trained: bool) -> Networks:
        """The networks of an earlier round, as they would be read back."""
        networks = self.networks(number, self.run.train.steps)
        if not trained:
            return replace(networks, values={})
        kept = self.run.store.trained
        stored = [place for place, label in enumerate(networks.labels) if kept == "all" or label.arm == "ticket"]
        if kept == "none":
            raise nothing_trained(number)
        return networks[stored]

    def _masks(self, like: Tensor, number: int, networks: int) -> Tensor:
        """(networks, *shape): all weights in round 0, every second one in round 1, every third one after it."""
        mask = torch.arange(like.numel()).reshape(like.shape) % (number + 1) == 0
        return mask.expand(networks, *like.shape).clone()


def _tried(probe: Probe, made: _Made) -> Probe:
    last, numbers = made.run.train.steps, (0, 1) if made.run.rounds else (0,)
    lent = Lent(made.context)
    columns: dict[str, str] | None = None
    for number, diverged in [*((number, False) for number in numbers), (0, True)]:
        carry: dict[str, Tensor] = {}
        for step in (0, last) if probe.at_steps else (last,):
            networks = replace(made.networks(number, step, diverged), carry=carry)
            if probe.is_own and probe.one_by_one:  # it may take long, and what it does with two it does with all
                networks = networks[sorted({0, len(networks) - 1})]
            when = f"{WHEN}: round {number}, step {step}" + (", one network diverged" if diverged else "")
            measured = probe.measure(networks, when, lent)
            found = kinds_of(measured) if measured and len(measured[NETWORK]) else {}
            if columns and found and (differ := differing(columns, found)):
                raise UserCodeError(
                    f"probe {probe.name!r}: its columns are not the same at each call: {differ} ({when}); give the "
                    "same columns each time, NaN where there is nothing to measure"
                )
            columns = columns or found
    lent.check_bits(f"probe {probe.name!r} ({WHEN})")
    return replace(probe, columns=columns or None)


def _first_of(examples: Examples) -> Examples:
    """The first examples of each kind, copied."""
    cut: dict[str, Any] = {
        name: tensor[:EXAMPLES].clone() for name, tensor in vars(examples).items() if isinstance(tensor, Tensor)
    }
    return replace(examples, **cut)
