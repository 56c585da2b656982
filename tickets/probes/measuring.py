"""What the probes of a run give in one round, while its networks train and afterwards: a table for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import pandas as pd
import torch

from tickets.errors import UserCodeError
from tickets.measures import Label
from tickets.probes.context import Context
from tickets.probes.lent import Lent
from tickets.probes.networks import Networks, Tensors, stacked
from tickets.probes.observing import Found, Observer, found_in, tree_of
from tickets.probes.probe import Probe
from tickets.probes.rows import NETWORK, Columns, differing, joined, kinds_of
from tickets.rewinding import position
from tickets.stack.networks import Stack
from tickets.stack.trees import Tree

Earlier = Callable[[int, bool], Networks | None]
NextMasks = Callable[[Networks, int], Mapping[str, torch.Tensor]]


class TrainedNetwork(Protocol):
    """One network of a round, on the CPU: its label, its mask, what it started from and what it became."""

    @property
    def label(self) -> Label:
        """Which network it is."""

    @property
    def mask(self) -> Tensors:
        """Of the prunable tensors, bool, by name."""

    @property
    def initial(self) -> Tensors:
        """Every parameter and buffer as training started, by name."""

    @property
    def trained(self) -> Tensors:
        """The same after training."""


class Measurements:
    """The measurements of one round of a run.

    Parameters
    ----------
    run
        The run's id, for the rows.
    probes
        The run's probes.
    context
        What all networks of the run have in common.
    earlier, next_masks
        What `Networks.earlier` and `Networks.next_masks` return.
    """

    def __init__(
        self, run: str, probes: Sequence[Probe], context: Context, earlier: Earlier, next_masks: NextMasks
    ) -> None:
        self._run, self._context, self._earlier, self._next_masks = run, context, earlier, next_masks
        self._lent = Lent(context)
        self._last: set[int] = set()  # the last steps of the networks that were trained
        self._at_steps = [probe for probe in probes if probe.at_steps]
        self._afterwards = [probe for probe in probes if not probe.at_steps]
        self._labels: list[Label] = []  # of every network that was trained, stack after stack
        self._found: dict[str, Found] = {probe.table: {} for probe in probes}
        self._probes = {probe.table: probe for probe in probes}

    @property
    def alone(self) -> bool:
        """Whether a probe is called in training beside which no other network may be trained."""
        return any(probe.alone for probe in self._at_steps)

    def observer(self, labels: Sequence[Label], start: Stack, last: int, learned: bool = False) -> Observer | None:
        """What a training is to call with its networks at each evaluated step; None if no probe asks for it.

        Parameters
        ----------
        labels
            Of the networks that are trained as one stack.
        start
            The stack before training, on the CPU.
        last
            The step at which they have been trained.
        learned
            Whether their masks are what is trained. A probe then gets the masks of the step, without weights of 0, and
            as the initial values those that the masks leave.
        """
        self._last.add(last)
        first = len(self._labels)
        self._labels += labels
        if not self._at_steps:
            return None
        begun: dict[int, tuple[Tensors, Tensors]] = {}
        carries: dict[tuple[str, int], dict[str, torch.Tensor]] = {}

        def observe(part: slice, step: int, values: Tensors) -> None:
            if learned:
                masks = {name: values[name] != 0 for name in start.masks}
                begun[part.start] = {name: tensor.clone() for name, tensor in values.items()}, masks
            elif part.start not in begun:
                of_part = start[part]
                initial = _on(self._context.device, {**of_part.parameters, **of_part.buffers})
                begun[part.start] = initial, _on(self._context.device, of_part.masks)
            for probe in self._at_steps:
                carry = carries.setdefault((probe.table, part.start), {})
                networks = self._networks(tuple(labels[part]), step, values, *begun[part.start], carry)
                self._keep(probe, networks, first + part.start)

        return Observer(observe, carries, [probe.table for probe in self._at_steps], self._context.device)

    def tree(self) -> Tree:
        """What has been measured of the round so far, for a checkpoint."""
        return tree_of(self._found)

    def restore(self, tree: Tree, networks: int) -> None:
        """Go on from what `tree` gave. Raises MisfitError if it is anything else. networks: how many the round has."""
        self._found = found_in(tree, self._found, networks)

    @property
    def begun(self) -> int:
        """The number of networks whose training has begun; those of the next one follow them."""
        return len(self._labels)

    def forget(self, first: int) -> None:
        """Drop what `restore` gave of all networks from this number on, which are trained again in another way."""
        for table, found in self._found.items():
            self._found[table] = {key: columns for key, columns in found.items() if key[0] < first}

    def afterwards(self, networks: Sequence[TrainedNetwork]) -> None:
        """Measure the networks of the whole round once it has been trained.

        Raises
        ------
        UserCodeError
            If a probe fails, or if one has written to the examples, in training or now.
        """
        number = networks[0].label.round
        if own := [probe.name for probe in self._at_steps if not probe.is_own]:
            probes = "probe" if len(own) == 1 else "one of the probes"
            self._lent.check_bits(f"{probes} {', '.join(map(repr, own))} (round {number})")
        if not self._afterwards:
            return
        device = self._context.device
        labels = tuple(network.label for network in networks)
        values, initial, masks = (
            stacked(tensors, device)
            for tensors in (
                [network.trained for network in networks],
                [network.initial for network in networks],
                [network.mask for network in networks],
            )
        )
        step = next(iter(self._last)) if len(self._last) == 1 else position(self._context.run, number).recipe.steps
        whole = self._networks(labels, step, values, initial, masks, {})
        for probe in self._afterwards:
            self._keep(probe, whole, 0)
            if not probe.is_own:
                self._lent.check_bits(f"probe {probe.name!r} (round {number})")

    def tables(self) -> dict[str, pd.DataFrame]:
        """Each probe's table, by its name: rows by network, then by step, as the probe gave them."""
        return {table: self._table(self._probes[table], found) for table, found in self._found.items()}

    def _networks(
        self,
        labels: tuple[Label, ...],
        step: int,
        values: Tensors,
        initial: Tensors,
        masks: Tensors,
        carry: dict[str, torch.Tensor],
    ) -> Networks:
        return Networks(
            labels,
            step,
            values,
            initial,
            masks,
            self._context,
            carry,
            _earlier=self._earlier,
            _next_masks=self._next_masks,
        )

    def _keep(self, probe: Probe, networks: Networks, first: int) -> None:
        columns = probe.measure(networks, f"round {networks.round}, step {networks.step}", self._lent)
        found = self._found[probe.table]
        if columns and len(columns[NETWORK]):
            others = (other for other in list(found.values()) if other and len(other[NETWORK]))
            _check_columns(probe, columns, next(others, {}), networks.round)
            columns[NETWORK] = columns[NETWORK] + first
        found[first, networks.step] = columns

    def _table(self, probe: Probe, found: Mapping[tuple[int, int], Columns]) -> pd.DataFrame:
        """Rows of all calls, in the order of the networks and steps, with what says which network each is about."""
        steps = {
            key: np.full(len(columns[NETWORK]) if columns else 0, key[1], dtype=np.int64)
            for key, columns in found.items()
        }
        order = sorted(found)
        columns = joined([{**found[key], "step": steps[key]} if found[key] else {} for key in order])
        if not columns:
            columns = {NETWORK: np.empty(0, np.int64), "step": np.empty(0, np.int64)}
        by_network = np.argsort(columns[NETWORK], kind="stable")
        places = columns.pop(NETWORK)[by_network]
        at = columns.pop("step")[by_network]
        labels = [vars(self._labels[place]) for place in places]
        keys: dict[str, Any] = {"run": np.full(len(places), self._run, dtype=object)}
        for name, kind in _LABELS.items():
            keys[name] = np.array([label[name] for label in labels], dtype=kind)
        own = {name: values[by_network] for name, values in columns.items()}
        return pd.DataFrame({**keys, **({"step": at} if probe.at_steps else {}), **own})


_LABELS = {"replicate": np.int64, "round": np.int64, "density": np.float64, "arm": object, "draw": np.int64}


def _check_columns(probe: Probe, columns: Columns, others: Columns, number: int) -> None:
    """Raise UserCodeError if the columns are not those of the trial, nor of other networks of the round."""
    before, when = (probe.columns, "the trial before training") if probe.columns else (kinds_of(others), "others of it")
    if before and (differ := differing(before, kinds_of(columns))):
        raise UserCodeError(
            f"probe {probe.name!r}: its columns are not the same in {when} and in round {number}: {differ}; give the "
            "same columns each time, NaN where there is nothing to measure"
        )


def _on(device: torch.device, tensors: Tensors) -> Tensors:
    return {name: tensor.detach().to(device) for name, tensor in tensors.items()}
