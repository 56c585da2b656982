"""A campaign without training: the example's run, written round by round as a campaign writes it, and checked."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from tickets.store import (
    Layout,
    append_event,
    check_writable,
    cohort_folder,
    load,
    lock,
    missing,
    read_events,
    round_folder,
    settle,
    status,
    sweep_temporary,
    unmoved,
    verify,
    write_initial,
    write_rewind,
    write_round,
    write_run,
)
from tickets.store.history import log_unlogged_here

_spec = importlib.util.spec_from_file_location("example_of_the_store", Path(__file__).parent / "store" / "conftest.py")
assert _spec is not None
assert _spec.loader is not None
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)
EXAMPLE = _module.Example()

# A run, and what it grows to: another round, and an arm in the rounds that are there.
STAGES = (
    EXAMPLE.config(rounds=1, rewind={"step": 7}, arms=["ticket", {"name": "constant", "value": 0.5}]),
    EXAMPLE.config(
        rounds=2,
        rewind={"step": 7},
        arms=["ticket", {"name": "constant", "value": 0.5}, {"name": "reinit", "draws": 2}],
    ),
)
SMALLEST = (EXAMPLE.config(rounds=0, arms=["ticket"], replicates=1),)


def play(campaign: Path, acknowledge: Callable[[str], None] = lambda name: None, stages: Any = STAGES) -> None:
    """Go on with the run of a campaign's folder until it has everything.

    Parameters
    ----------
    campaign
        The campaign's folder.
    acknowledge
        Called after each commit with the folder's path below the campaign's.
    stages
        The configurations of the run, one after another.
    """
    run = campaign / EXAMPLE.run_id
    with lock(campaign) as lease:
        sweep_temporary(campaign, lease.check)
        for stage in stages:
            if not (run / Layout.RUN).exists():
                about = {"sha256": "0" * 64, "input_shape": [3], "classes": 2}
                write_run(
                    run, run.name, stages[-1].model_dump(mode="json"), about, {"torch": "2"}, {"strategy": "looped"}
                )
            for cohort in missing(stage, run):
                _play_cohort(campaign, run, stage, cohort, acknowledge)


def _play_cohort(campaign: Path, run: Path, stage: Any, cohort: Any, acknowledge: Callable[[str], None]) -> None:
    folder, log = cohort_folder(run, cohort.index), run / Layout.LOG
    with unmoved(run) as permit:
        settle(run, folder)
        log_unlogged_here(run, cohort.index)
        check_writable(folder if cohort.exists else run)
        append_event(log, {"event": "started", "cohort": cohort.index})
        if not cohort.exists:
            write_initial(folder, {one: EXAMPLE.theta0(one) for one in cohort.replicates}, permit)
        for plan in cohort.rounds:
            if plan.number == plan.part == 0 and stage.rewind.step and not (folder / Layout.REWIND).exists():
                write_rewind(folder, {one: EXAMPLE.rewound(one) for one in cohort.replicates}, {}, permit)
            record = EXAMPLE.record(stage, cohort.replicates, plan.number, plan.part, plan.arms)
            target = write_round(folder, record, permit)
            event = {"event": "round", "cohort": cohort.index, "round": plan.number, "part": plan.part}
            append_event(log, event)
            acknowledge(str(target.relative_to(campaign)))


def contents(campaign: Path) -> dict[str, bytes]:
    """Every file of a campaign's folder but the leases and the logs, which hold the time."""
    files = [path for path in campaign.rglob("*") if path.is_file() and path.name != Layout.LOG]
    files = [path for path in files if not path.name.startswith(Layout.LEASE)]
    return {str(path.relative_to(campaign)): path.read_bytes() for path in files}


def lost_or_torn(found: Mapping[str, bytes], acknowledged: Collection[str], whole: Mapping[str, bytes]) -> str | None:
    """What is wrong with what an interrupted process has left, by its files alone; None if nothing is.

    Parameters
    ----------
    found
        The contents of the campaign's folder.
    acknowledged
        The folders that were said to be committed.
    whole
        The contents of a campaign that was never interrupted.
    """
    for name in acknowledged:
        if not {path for path in whole if path.startswith(f"{name}/")} <= found.keys():
            return f"{name} was acknowledged and is lost"
    for path, data in found.items():
        folder, _, _ = path.rpartition("/")
        if Layout.TEMPORARY in path:
            continue
        if whole.get(path) != data:
            return f"{path} is torn"
        if (
            f"{folder}/{Layout.MANIFEST}" in whole
            and not {other for other in whole if other.rpartition("/")[0] == folder} <= found.keys()
        ):
            return f"{folder} is there in part"
    return None


class Checks:
    """Checks of what interrupted processes have left of a campaign, by its files and by what readers say of it.

    Parameters
    ----------
    whole
        The contents of a campaign that was never interrupted.
    aside
        Calls a function in which threads may start.
    """

    def __init__(
        self, whole: Mapping[str, bytes], aside: Callable[[Callable[[], None]], None] = lambda function: function()
    ) -> None:
        self.whole, self.aside = whole, aside
        self.read: set[object] = set()  # what the readers have read: folders of the same content are read once

    def __call__(self, campaign: Path, acknowledged: Collection[str]) -> bool:
        """Check a folder; whether it is the first of its content."""
        found = contents(campaign)
        assert (wrong := lost_or_torn(found, acknowledged, self.whole)) is None, wrong
        seen = {path for path in found if Layout.TEMPORARY not in path}
        run = campaign / EXAMPLE.run_id
        rounds = [event for event in read_events(run / Layout.LOG) if event["event"] == "round"]
        for event in rounds:
            folder = round_folder(cohort_folder(run, event["cohort"]), event["round"], event["part"])
            manifest = str(folder.relative_to(campaign) / Layout.MANIFEST)
            assert manifest in seen, f"{folder}: has an event, and is not there"
        key = (frozenset(seen), len(rounds))
        if key in self.read:
            return False
        self.read.add(key)
        if f"{run.name}/{Layout.RUN}" in seen:
            self.aside(lambda: read(campaign))
        return True


def read(campaign: Path) -> None:
    """Check that every reader finds an interrupted or whole campaign in order."""
    (one,) = status(campaign)
    assert one.state in ("partial", "waiting", "done"), one
    assert verify(campaign) == []
    if list(campaign.rglob(Layout.ROUNDS)):
        assert len(load(campaign).rounds)
