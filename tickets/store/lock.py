"""The lock of a campaign folder: one process at a time writes its campaign.toml and its runs' run.json files.

The lock is the lease of the campaign's folder. A process has it while it writes what it is going to train, and lets it
go before it trains: several processes train one campaign side by side, each cohort under a lease of its own.

Before, the lock was an flock for as long as the campaign ran. Network file systems are without flock or fake it, and a
process that was stopped would have kept all the others waiting.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tickets.errors import DiskError
from tickets.store.durable import make_folder
from tickets.store.holder import Holder
from tickets.store.layout import Layout, cohort_folders, run_folders
from tickets.store.lease import HeldError, Lease, take
from tickets.store.refused import explained
from tickets.store.temporary import LEASE, STOP, TRIAL, Permit, names_in, sweep
from tickets.store.watch import Watch, look_again_after, seconds_of

_LONG = 20  # looks at the lock of another process before this one says that it waits: some seconds


@contextmanager
def lock(folder: Path, tell: Callable[[str], None] = lambda text: None) -> Iterator[Lease]:
    """Have a campaign's folder; waits for another process that has it, until that lets it go, ends or expires.

    A missing folder is created.

    Parameters
    ----------
    folder
        The campaign's folder.
    tell
        Called with who has the lock, if this process waits for long.

    Raises
    ------
    InputError
    DiskError
        If the folder cannot be created, or the lease file not written.
    """
    try:
        make_folder(folder)
    except OSError as error:
        raise explained(error, folder / Layout.CAMPAIGN) or error from error
    lease = _waited_for(folder, tell)
    try:
        yield lease
    finally:
        lease.release()


def sweep_temporary(folder: Path, permit: Permit, kept: Callable[[str], None] = lambda line: None) -> list[Path]:
    """Remove the temporary files of interrupted processes from a campaign's folder, its runs and their cohorts.

    Left alone are cohorts that another process has, since it may be writing them, and what other commands write into
    the folder, such as a report.

    Parameters
    ----------
    folder
        The campaign's folder, which is locked.
    permit
        The `check` of the lock's lease.
    kept
        Is called with a line for each file or folder that cannot be removed. Readers ignore it.

    Returns
    -------
    list
        The paths that were removed.
    """
    removed = sweep(folder, permit, Layout.CAMPAIGN, Layout.RUNS, LEASE, TRIAL, STOP, kept=kept)
    for run in [path for path in map(folder.joinpath, names_in(folder)) if path.is_dir() and not path.is_symlink()]:
        removed += sweep(run, permit, Layout.RUN, Layout.LOG, TRIAL, kept=kept)  # a repair replaces the log
        for _, cohort in cohort_folders(run):
            if any(name.startswith(Layout.TEMPORARY) for name in names_in(cohort)):
                removed += _sweep_cohort(cohort, kept)
    return removed


def at_work(folder: Path, tell: Callable[[str], None] = lambda text: None) -> HeldError | None:
    """A process that trains a cohort of a campaign, if there is one.

    A lease of another machine is watched, for up to the time in which it would expire, to see whether it is renewed.
    There is no waiting for a process of this machine.

    Parameters
    ----------
    folder
        The campaign's folder.
    tell
        Called once with who is waited for, and for how long at most, before this process waits.
    """
    watch, first, looks = Watch(), dict[Path, str](), 0
    held = [cohort for run in run_folders(folder) for _, cohort in cohort_folders(run)]
    while held:
        still: dict[Path, Holder] = {}
        for cohort in held:
            state, holder = watch.look(cohort)
            if state == "held" and holder is not None:
                if holder.is_at_work_here or first.setdefault(cohort, holder.mark) != holder.mark:
                    return HeldError(cohort, holder)
                still[cohort] = holder
        if still:
            if looks == 0:
                tell(_waits_for(still))
            looks += 1
            time.sleep(look_again_after(looks))
        held = list(still)
    return None


def _waits_for(held: Mapping[Path, Holder]) -> str:
    cohort, holder = next(iter(held.items()))
    more = f" and {len(held) - 1} more" if len(held) > 1 else ""
    seconds = max(map(seconds_of, held.values()))
    return (
        f"{cohort}: {holder}{more} may be at work; waits until the lease is renewed, for {seconds:g} s at most "
        "(this process cannot see whether that one has ended)"
    )


def _waited_for(folder: Path, tell: Callable[[str], None]) -> Lease:
    watch, expired, looks = Watch(), None, 0
    while True:
        try:
            return take(folder, expired)
        except HeldError as held:
            looks += 1
            if looks == _LONG:
                tell(
                    f"waits for {held.holder}, which writes {Layout.CAMPAIGN} and {Layout.RUN} in {folder}; takes over "
                    f"if it does not renew its lease for {seconds_of(held.holder):g} s"
                )
            time.sleep(look_again_after(looks))
            state, holder = watch.look(folder)
            expired = holder.mark if holder is not None and state == "expired" else None


def _sweep_cohort(cohort: Path, kept: Callable[[str], None]) -> list[Path]:
    try:
        lease = take(cohort)
    except HeldError:
        return []
    except DiskError as error:  # no reason to stop the other runs
        kept(f"{cohort}: what an interrupted process left there is not removed, and does no harm: {error}")
        return []
    try:
        return sweep(cohort, lease.check, kept=kept)
    finally:
        lease.release()
