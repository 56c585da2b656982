"""A cohort's rounds, from the plan of what is missing to what is committed: where training meets the store."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from tickets.config import ArmConfig, Run
from tickets.listener import RoundDone
from tickets.rounds import Chain, Network, RoundResult, density, first_chain, first_masks, train_round
from tickets.setting import Setting
from tickets.stack.networks import Tensors
from tickets.store import (
    ArmRecord,
    CohortPlan,
    Layout,
    RoundPlan,
    RoundRecord,
    append_event,
    arm_options,
    cohort_folder,
    read_next_masks,
    read_optimizer,
    read_round_table,
    read_values,
    round_folder,
    write_initial,
    write_rewind,
    write_round,
)

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class CohortWork:
    """A cohort and what is missing of it. folder: the run's. made_with: goes into each manifest.

    made_with: JSON of where and how it trains, "fingerprint" and "execution".
    """

    run: Run
    run_id: str
    folder: Path
    cohort: CohortPlan
    made_with: Mapping[str, Any]


def train_cohort(
    setting: Setting, work: CohortWork, tick: Callable[[int], None], done: Callable[[RoundDone], None]
) -> None:
    """Train and commit every round, arm and draw that is missing of a cohort.

    tick: called after each training step with the number of networks that took it. done: called after each
    commit. Raises InputError if the disk is full, or if what is committed already is damaged.
    """
    folder = cohort_folder(work.folder, work.cohort.index)
    if not work.cohort.exists:
        starts = {replicate: first_chain(setting, replicate).theta0 for replicate in work.cohort.replicates}
        write_initial(folder, {replicate: _arrays(values) for replicate, values in starts.items()})
    chains: Sequence[Chain] = ()
    for plan in work.cohort.rounds:
        if not chains:  # the first plan, or after a part: a part ends no round
            chains = _chains(setting, folder, plan.number)
        result = train_round(setting, work.run_id, chains, plan.number, _wanted(work.run, plan), tick)
        if plan.number == 0 and plan.part == 0 and work.run.rewind.step > 0:
            _commit_rewind(folder, result.chains)
        committed = write_round(folder, _record(work, plan, chains, result))
        seconds = float(result.rounds["seconds"].sum())
        append_event(
            work.folder / Layout.LOG,
            {
                "event": "round",
                "cohort": work.cohort.index,
                "round": plan.number,
                "part": plan.part,
                "seconds": round(seconds, 3),
                "diverged": int(result.rounds["diverged"].sum()),
            },
        )
        done(_told(work, committed, chains, result.rounds, seconds))
        chains = result.chains


def steps_missing(run: Run, cohort: CohortPlan) -> int:
    """Training steps that a cohort still has to take, counted over all its networks."""
    total = 0
    for plan in cohort.rounds:
        for arm, _ in _wanted(run, plan):
            start = 0 if plan.number == 0 or arm.start == 0 else run.rewind.step
            total += len(cohort.replicates) * (run.train.steps - start)
    return total


def _wanted(run: Run, plan: RoundPlan) -> list[tuple[ArmConfig, int]]:
    by_label = {arm.label: arm for arm in run.arms}
    return [(by_label[label], draw) for label, draw in plan.arms]


def _chains(setting: Setting, folder: Path, number: int) -> tuple[Chain, ...]:
    """The cohort's replicates before a round, from what is committed."""
    theta0 = read_values(folder / Layout.INITIAL)
    rewinds = number > 0 and setting.run.rewind.step > 0
    rewound = read_values(folder / Layout.REWIND) if rewinds else theta0
    states = read_optimizer(folder / Layout.REWIND) if rewinds else {}
    before = round_folder(folder, number - 1)
    masks = read_next_masks(before) if number > 0 else {}
    lost: set[int] = set()
    if number > 0:
        table = read_round_table(before)
        lost = set(table.loc[(table["arm"] == Layout.TICKET) & table["diverged"], "replicate"])
    return tuple(
        Chain(
            replicate=replicate,
            theta0=_tensors(values),
            rewound=_tensors(rewound[replicate]),
            optimizer=_by_state(_tensors(states.get(replicate, {}))),
            masks=_tensors(masks[replicate]) if masks else first_masks(setting),
            diverged=replicate in lost,
        )
        for replicate, values in theta0.items()
    )


def _record(work: CohortWork, plan: RoundPlan, chains: Sequence[Chain], result: RoundResult) -> RoundRecord:
    """A round as the store takes it."""
    kept = work.run.store.trained
    is_whole = plan.part == 0

    def record(network: Network) -> ArmRecord:
        label = network.label
        keep = kept == "all" or (kept == "ticket" and label.arm == Layout.TICKET)
        trained = _arrays(network.trained) if keep else None
        return ArmRecord(
            label.replicate, label.arm, label.draw, _arrays(network.mask), _arrays(network.initial), trained
        )

    return RoundRecord(
        number=plan.number,
        part=plan.part,
        replicates=tuple(chain.replicate for chain in chains),
        arms=[record(network) for network in result.networks],
        repeated=frozenset(arm.label for arm in work.run.arms if arm.draws > 1),
        names={arm.label: arm.name for arm in work.run.arms if arm.label != arm.name},
        curves=result.curves,
        rounds=result.rounds,
        units=result.units,
        next_masks={chain.replicate: _arrays(chain.masks) for chain in result.chains} if is_whole else None,
        extra={"arm_options": arm_options(work.run.arms), **work.made_with},
    )


def _commit_rewind(folder: Path, chains: Sequence[Chain]) -> None:
    """Commit the values and optimizer states of the rewind step, unless a run that was interrupted has."""
    if (folder / Layout.REWIND).exists():
        return
    write_rewind(
        folder,
        {chain.replicate: _arrays(chain.rewound) for chain in chains},
        {chain.replicate: _arrays(_by_parameter(chain.optimizer)) for chain in chains},
    )


def _told(
    work: CohortWork, committed: Path, chains: Sequence[Chain], rounds: pd.DataFrame, seconds: float
) -> RoundDone:
    # The rows are in the order of the stacks; what is told is in the campaign's.
    trained = rounds.groupby("arm", sort=False)["early_stop_test_accuracy"].mean()
    accuracy = {arm.label: float(trained[arm.label]) for arm in work.run.arms if arm.label in trained.index}
    return RoundDone(
        run=work.run_id,
        folder=f"{committed.parent.name}/{committed.name}",
        density=float(np.mean([density(chain.masks) for chain in chains])),
        accuracy=accuracy,
        diverged=int(rounds["diverged"].sum()),
        seconds=seconds,
    )


def _arrays(tensors: Mapping[str, Tensor]) -> Arrays:
    return {name: tensor.numpy() for name, tensor in tensors.items()}


def _tensors(arrays: Mapping[str, np.ndarray]) -> Tensors:
    return {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}


def _by_parameter(optimizer: Mapping[str, Tensors]) -> Tensors:
    """{state: {parameter: tensor}} as {"parameter/state": tensor}."""
    return {f"{name}/{state}": value for state, values in optimizer.items() for name, value in values.items()}


def _by_state(flat: Tensors) -> dict[str, Tensors]:
    """The inverse of `_by_parameter`."""
    states: dict[str, Tensors] = {}
    for key, value in flat.items():
        name, _, state = key.rpartition("/")
        states.setdefault(state, {})[name] = value
    return states
