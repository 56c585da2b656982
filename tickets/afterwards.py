"""A probe of networks that are saved: what it would have measured in training, at the steps that are stored.

Stored are the values before and after training. A probe that is called at evaluated steps is called at these two. A
learned mask is stored as it is after training, so that its network is measured there alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from tickets.measures import Label
from tickets.probes import Probe
from tickets.probes.measuring import Measurements
from tickets.probes.stored import Stored
from tickets.ready import ReadyRun
from tickets.rounds import Network, context_of, measurements_of
from tickets.stack.networks import Tensors, stack_networks
from tickets.store import Layout, RoundPlan, StoredNetwork, read_manifest, read_part, read_values, round_folder
from tickets.store.manifests import trusting_form
from tickets.store.reading import read_checked
from tickets.store.tables import CURVES, decode_table, row_limit

Key = tuple[int, str, int]  # replicate, arm, draw


@dataclass(frozen=True)
class Measured:
    """What a probe gave of one part of a round.

    Parameters
    ----------
    table
        Its table.
    networks
        The number of networks that were measured.
    left_out
        The arms that were left out, because their values after training are not stored.
    start_only
        The arms that were measured before training only, for the same reason.
    """

    table: pd.DataFrame
    networks: int
    left_out: tuple[str, ...] = ()
    start_only: tuple[str, ...] = ()


def is_measurable(probe: Probe, cohort: Path, number: int, part: int) -> bool:
    """Whether enough is stored of a part of a round for a probe to measure some of its networks."""
    return probe.without_trained or Layout.TRAINED in read_manifest(round_folder(cohort, number, part))["files"]


def measure_part(ready: ReadyRun, run: str, cohort: Path, number: int, part: int, probe: Probe) -> Measured:
    """Measure the stored networks of a part of a round.

    Parameters
    ----------
    ready
        The run, with the probe among its probes.
    run
        The run's id, for the rows.
    cohort
        The cohort's folder.
    number, part
        The round and the part.
    probe
        The probe.

    Raises
    ------
    UserCodeError
        If the probe fails.
    InputError
        If a file is damaged, or if the probe asks for values that are not stored.
    """
    # Probes compare networks of one architecture.
    stored = [network for network in read_part(cohort, number, part) if network.model is None]
    lacking = tuple(dict.fromkeys(network.arm for network in stored if network.trained is None))
    kept = stored if probe.without_trained else [network for network in stored if network.trained is not None]
    steps = _steps(cohort, number, part)
    earlier = Stored(cohort, RoundPlan(number, part, ()), context_of(ready)).networks
    theta0 = {replicate: _tensors(values) for replicate, values in read_values(cohort / Layout.INITIAL).items()}
    probed = measurements_of(ready, run, number, theta0, earlier, [probe])
    learned = {arm.label for arm in ready.run.arms if arm.entry.learned}
    spans = _by_steps(kept, {key: (last if key[1] in learned else first, last) for key, (first, last) in steps.items()})
    for span, members in spans.items():
        _observe(ready, probed, members, number, span, probe.at_steps)
    if not probe.at_steps:
        # In the order in which they were observed. Without trained values of some, the probe gets none of any.
        ordered = [network for members in spans.values() for network in members]
        whole = all(network.trained is not None for network in ordered)
        probed.afterwards([_network(network, number, whole) for network in ordered])
    (table,) = probed.tables().values()
    left_out = () if probe.without_trained else lacking
    return Measured(table, len(kept), left_out, lacking if probe.at_steps and probe.without_trained else ())


def _observe(
    ready: ReadyRun,
    probed: Measurements,
    members: Sequence[StoredNetwork],
    number: int,
    span: tuple[int, int],
    at_steps: bool,
) -> None:
    """Have a probe measure networks that trained over the same steps, at the first of them and at the last."""
    first, last = span
    initial = [_tensors(network.initial) for network in members]
    masks = [_tensors(network.mask) for network in members]
    start = stack_networks(initial, masks, ready.parameters, step=first, pruned_values=initial)
    observe = probed.observer([_label(network, number) for network in members], start, last)
    if not at_steps or observe is None:
        return
    at_once = max(1, ready.plan.networks_at_once)
    for begin in range(0, len(members), at_once):
        part = slice(begin, min(begin + at_once, len(members)))
        observe(part, first, _stacked(initial[part], ready.device))
        ended = [network.trained for network in members[part] if network.trained is not None]
        if ended:  # networks with trained values and without are not among the same members
            observe(part, last, _stacked([_tensors(values) for values in ended], ready.device))


def _by_steps(
    networks: Sequence[StoredNetwork], steps: Mapping[Key, tuple[int, int]]
) -> dict[tuple[int, int], list[StoredNetwork]]:
    """The networks by the first and the last step of their training; the last is the first if no end is stored."""
    groups: dict[tuple[int, int], list[StoredNetwork]] = defaultdict(list)
    for network in networks:
        first, last = steps[network.replicate, network.arm, network.draw]
        groups[first, first if network.trained is None else last].append(network)
    return groups


def _steps(cohort: Path, number: int, part: int) -> dict[Key, tuple[int, int]]:
    """The first and the last evaluated step of each training."""
    folder = round_folder(cohort, number, part)
    manifest = read_manifest(folder)
    data = read_checked(folder, Layout.CURVES, manifest)
    with trusting_form(folder / Layout.CURVES):
        curves: pd.DataFrame = decode_table(data, CURVES, row_limit(manifest, Layout.CURVES)).to_pandas()
    found = curves.groupby(["replicate", "arm", "draw"], sort=False)["step"].agg(["min", "max"])
    return {
        (int(replicate), str(arm), int(draw)): (int(first), int(last))
        for (replicate, arm, draw), first, last in found.itertuples(name=None)
    }


def _network(network: StoredNetwork, number: int, whole: bool) -> Network:
    trained = _tensors(network.trained or {}) if whole else {}
    return Network(_label(network, number), _tensors(network.mask), _tensors(network.initial), trained)


def _label(network: StoredNetwork, number: int) -> Label:
    return Label(network.replicate, number, network.density, network.arm, network.draw)


def _tensors(arrays: Mapping[str, np.ndarray]) -> Tensors:
    return {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}


def _stacked(networks: Sequence[Tensors], device: torch.device) -> Tensors:
    return {name: torch.stack([network[name] for network in networks]).to(device) for name in networks[0]}
