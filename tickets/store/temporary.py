"""Temporary files and folders: their names, and how those of interrupted processes are removed."""

from __future__ import annotations

import os
import re
import shutil
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

from tickets.store.durable import write_new
from tickets.store.layout import Layout
from tickets.store.refused import explained

Permit = Callable[[], None]
"""Asked immediately before a rename. It raises LeaseLostError if another process has taken over what is written to, and
DiskError if the folder was moved."""

LEASE = "lease"  # of a lease file that is being written
TRIAL = "trial"  # of a file that is written only to see whether a folder can be written to
STOP = "stop"  # of a file that tells other processes to stop training
_LARGEST_TRIAL = 2**26  # bytes

_SWEPT = "swept"  # of what is being removed
_LEFT_OVER = re.compile(re.escape(Layout.TEMPORARY) + r".+-[0-9a-f]{32}")


def temporary(target: Path) -> Path:
    """A new temporary name beside a target."""
    return target.with_name(f"{Layout.TEMPORARY}{target.name}-{uuid.uuid4().hex}")


def check_writable(folder: Path, size: int = 0) -> None:
    """Check that a folder can be written to, by a file that is written, synced and removed again.

    Parameters
    ----------
    folder
        The folder.
    size
        The number of bytes to write.

    Raises
    ------
    DiskError
        If it cannot.
    """
    path = temporary(folder / TRIAL)
    try:
        try:
            write_new(path, b"0" * min(max(size, 4096), _LARGEST_TRIAL))
        finally:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise explained(error, folder / "files", size) or error from error


def sweep(folder: Path, permit: Permit, *names: str, kept: Callable[[str], None] = lambda line: None) -> list[Path]:
    """Remove the temporary files and folders that interrupted processes left in a folder, but not in its folders.

    A process that was stopped in a commit and goes on finds its temporary folder gone and cannot complete the commit.

    Parameters
    ----------
    folder
        The folder; the caller has its lease.
    permit
        Raises LeaseLostError if the caller has the lease no longer: then later temporary files are another process's.
    *names
        The targets that are swept, such as "run.json"; by default all.
    kept
        Is called with a line for each file or folder that cannot be removed. Readers ignore it.

    Returns
    -------
    list
        The paths that were removed.
    """
    left_over = [folder / name for name in names_in(folder) if _is_left_over(name, names)]
    if not left_over:
        return []
    # Asked after the listing: what was listed is older than any lease that is newer than the caller's.
    permit()
    removed = []
    for path in left_over:
        # Moved first: a folder that is removed file by file could be renamed to its target half empty.
        moved = temporary(folder / _SWEPT)
        try:
            os.rename(path, moved)
            if moved.is_dir() and not moved.is_symlink():
                shutil.rmtree(moved)
            else:
                moved.unlink()
        except FileNotFoundError:
            continue  # its process is at work and has removed it
        except OSError as error:
            there = moved if os.path.lexists(moved) else path
            kept(f"{there}: left by an interrupted process, cannot be removed ({error.strerror}); it does no harm")
            continue
        removed.append(path)
    return removed


def names_in(folder: Path) -> list[str]:
    """The names in a folder, sorted.

    Raises
    ------
    DiskError
        If it cannot be read.
    """
    try:
        return sorted(os.listdir(folder))
    except OSError as error:
        raise explained(error, folder / "files") or error from error


def _is_left_over(name: str, targets: Sequence[str]) -> bool:
    if not _LEFT_OVER.fullmatch(name):
        return False
    return not targets or name[len(Layout.TEMPORARY) : -33] in (*targets, _SWEPT)
