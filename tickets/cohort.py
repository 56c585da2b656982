"""The rounds of a cohort: what is missing is trained, and each round is committed to disk as it ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tickets.chains import Chain, first_chain
from tickets.config import ArmConfig, Run
from tickets.density import density
from tickets.listener import RoundDone
from tickets.probes import Probe, record_of
from tickets.probes.stored import Stored
from tickets.ready import ReadyRun
from tickets.resuming import Resuming
from tickets.roles import ArmStart
from tickets.rounds import Network, RoundResult, context_of, train_round
from tickets.saved_chains import Arrays, arrays_of, by_parameter, chains_before, shrunk_reader, trained_reader
from tickets.store import (
    ArmRecord,
    CohortPlan,
    Committed,
    Layout,
    Permit,
    RoundPlan,
    RoundRecord,
    Shrunk,
    arm_options,
    check_tables,
    cohort_folder,
    write_initial,
    write_rewind,
    write_round,
)
from tickets.store.checkpoint import remove_checkpoint
from tickets.store.history import log_round
from tickets.tasks import Accuracy


@dataclass(frozen=True)
class CohortWork:
    """A cohort, and what is missing of it.

    folder: the run's. made_with: JSON of where and how it trains ("fingerprint", "execution"), for each manifest.
    permit: asked immediately before each commit; raises if this process may not commit any more. generation: that of
    its lease of the cohort's folder.
    """

    run: Run
    run_id: str
    folder: Path
    cohort: CohortPlan
    made_with: Mapping[str, Any]
    permit: Permit
    generation: int


def train_cohort(
    ready: ReadyRun,
    work: CohortWork,
    tick: Callable[[int], None],
    done: Callable[[RoundDone], None],
    note: Callable[[str], None] = lambda text: None,
) -> None:
    """Train and commit every round, arm and draw that is missing of a cohort.

    Parameters
    ----------
    ready
        The run, ready to train.
    work
        The cohort.
    tick
        Called as steps are taken, with their number times that of the networks that took them.
    done
        Called after each commit.
    note
        Called with what a user should know of a checkpoint that cannot be used or written.

    Raises
    ------
    LeaseLostError
        If another process has taken the cohort over.
    DiskError
        If the system refuses a write: the disk is full, ...
    InputError
        If a committed file is damaged, or if a rule asks for trained values that are not saved.
    UserCodeError
        If a function of the user's fails, or a probe's columns are not those of the rounds before.
    """
    folder, permit = cohort_folder(work.folder, work.cohort.index), work.permit
    if not work.cohort.exists:
        starts = {replicate: first_chain(ready, replicate).theta0 for replicate in work.cohort.replicates}
        write_initial(folder, {replicate: arrays_of(values) for replicate, values in starts.items()}, permit)
    chains: Sequence[Chain] = ()
    following = -1  # the round that `chains` stand before
    shrunk = Shrunk(folder)
    resuming = Resuming(
        work.run, work.run_id, work.folder, work.cohort.index, work.made_with, ready.probes, permit, note
    )
    for plan in work.cohort.rounds:
        # Else it is the first plan, it follows a part, which has no ticket to go on from, or it follows rounds that are
        # there already (a round before them was trained again).
        if not chains or following != plan.number:
            chains = chains_before(ready, folder, plan.number)
        chains = [replace(chain, read_shrunk=shrunk_reader(shrunk, plan.number, chain)) for chain in chains]
        earlier = Stored(folder, plan, context_of(ready)).networks
        checkpoint = resuming.checkpoint_of(plan, [chain.replicate for chain in chains])
        arms = _wanted(work.run, plan)
        result = train_round(ready, work.run_id, chains, plan.number, arms, tick, earlier, checkpoint)
        check_tables(work.folder, result.tables, record_of(ready.probes))
        if plan.number == 0 and plan.part == 0 and work.run.rewind.restores:
            _commit_rewind(folder, result.chains, permit)
        committed = write_round(folder, _record(work, plan, chains, result, ready.probes), permit)
        checkpoint.remove()  # not before: a kill in between must cost nothing
        seconds = float(result.rounds["seconds"].sum())
        log_round(
            work.folder,
            (work.cohort.index, plan.number, plan.part),
            generation=work.generation,
            seconds=round(seconds, 3),
            networks=len(result.rounds),
            density=round(float(result.rounds["density"].mean()), 6),
            diverged=int(result.rounds["diverged"].sum()),
        )
        densities = [density(chain.masks) for chain in chains]
        done(round_done(work.run, work.run_id, committed, densities, result.rounds, ready.scale.accuracy))
        # Trained values are read from disk, as in a run that is resumed: the same bits, or the same error.
        files = Committed()
        chains = [
            replace(chain, read_trained=trained_reader(files, committed, chain.replicate)) for chain in result.chains
        ]
    remove_checkpoint(folder)  # of a process that was killed after a commit


def steps_missing(cohort: CohortPlan, starts: Mapping[str, ArmStart]) -> int:
    """Training steps that a cohort still has to take, counted over all its networks.

    Parameters
    ----------
    cohort
        What is missing of it.
    starts
        Where each arm's trainings start, by label.
    """
    return sum(
        len(cohort.replicates) * (starts[arm].steps if plan.number else starts[arm].dense_steps)
        for plan in cohort.rounds
        for arm, _ in plan.arms
    )


def round_done(
    run: Run, run_id: str, committed: Path, densities: Sequence[float], rounds: pd.DataFrame, measures: Accuracy
) -> RoundDone:
    """The event of a committed round.

    Parameters
    ----------
    run, run_id
        The run's configuration and id.
    committed
        The round's folder.
    densities
        Of the ticket's masks, by replicate.
    rounds
        The round's table.
    measures
        What the columns called accuracy contain.
    """
    # The rows are in the order of the stacks; the listener gets the campaign's order.
    measured = "loss" if measures == "none" else measures
    column = "final_test_loss" if measured == "loss" else "early_stop_test_accuracy"
    trained = rounds.groupby("arm", sort=False)[column].mean()
    accuracy = {arm.label: float(trained[arm.label]) for arm in run.arms if arm.label in trained.index}
    return RoundDone(
        run=run_id,
        folder=f"{committed.parent.name}/{committed.name}",
        density=float(np.mean(densities)),
        accuracy=accuracy,
        diverged=int(rounds["diverged"].sum()),
        seconds=float(rounds["seconds"].sum()),
        measured=measured,
    )


def _wanted(run: Run, plan: RoundPlan) -> list[tuple[ArmConfig, int]]:
    by_label = {arm.label: arm for arm in run.arms}
    return [(by_label[label], draw) for label, draw in plan.arms]


def _record(
    work: CohortWork, plan: RoundPlan, chains: Sequence[Chain], result: RoundResult, probes: Sequence[Probe]
) -> RoundRecord:
    """A round as the store takes it."""
    kept = work.run.store.trained
    is_whole = plan.part == 0
    labels = {label for label, _ in plan.arms}
    needs_shrunk = any(arm.entry.pruned == "zero_if_shrunk" for arm in work.run.arms if arm.label in labels)

    def record(network: Network) -> ArmRecord:
        label = network.label
        keep = kept == "all" or (kept == "ticket" and label.arm == Layout.TICKET)
        trained = arrays_of(network.trained) if keep else None
        return ArmRecord(
            label.replicate, label.arm, label.draw, arrays_of(network.mask), arrays_of(network.initial), trained
        )

    return RoundRecord(
        number=plan.number,
        part=plan.part,
        replicates=tuple(chain.replicate for chain in chains),
        arms=[record(network) for network in result.networks],
        repeated=frozenset(arm.label for arm in work.run.arms if arm.draws > 1),
        names={arm.label: arm.name for arm in work.run.arms if arm.label != arm.name},
        own_masks=frozenset(arm.label for arm in work.run.arms if arm.entry.has_own_mask),
        pruned={arm.label: arm.entry.pruned for arm in work.run.arms if arm.entry.pruned != "zero"},
        shrunk={chain.replicate: arrays_of(chain.shrunk()) for chain in chains} if needs_shrunk else None,
        models={network.label.arm: network.model for network in result.networks if network.model is not None},
        curves=result.curves,
        rounds=result.rounds,
        tables=result.tables,
        probes=record_of(probes),
        next_masks={chain.replicate: arrays_of(chain.masks) for chain in result.chains} if is_whole else None,
        optimizer=_end_states(work.run, result.chains) if is_whole else {},
        extra={"arm_options": arm_options(work.run.arms), **work.made_with},
    )


def _end_states(run: Run, chains: Sequence[Chain]) -> dict[int, Arrays]:
    """Where the optimizers of the tickets ended, if the next round goes on with them."""
    if run.rewind.kind != "none":
        return {}
    return {chain.replicate: arrays_of(by_parameter(chain.optimizer)) for chain in chains}


def _commit_rewind(folder: Path, chains: Sequence[Chain], permit: Permit) -> None:
    """Commit the values and optimizer states of the rewind step, unless an interrupted run already has."""
    if (folder / Layout.REWIND).exists():
        return
    write_rewind(
        folder,
        {chain.replicate: arrays_of(chain.rewound) for chain in chains},
        {chain.replicate: arrays_of(by_parameter(chain.optimizer)) for chain in chains},
        permit,
    )
