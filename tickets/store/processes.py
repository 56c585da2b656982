"""Which process this is, and whether another one of this machine is still running."""

from __future__ import annotations

import functools
import os
import re
import socket
import sys
import uuid
from pathlib import Path

UNKNOWN = "unknown"  # in place of when a process started, where the system does not say


@functools.cache
def here() -> tuple[str, str | None, str | None]:
    """(host, boot, namespace) of this process. Two processes with the same three see each other's process numbers.

    Two machines may have the same name. Without `boot` nothing tells them apart.
    """
    host = re.sub(r"[^\w.-]", "-", socket.gethostname())[:64] or UNKNOWN
    try:
        boot: str | None = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace: str | None = os.readlink("/proc/self/ns/pid")
    except OSError:
        # macOS and BSD have no containers, and the address of a network card tells their machines apart.
        return host, None if sys.platform == "linux" else f"{uuid.getnode():012x}", None
    return host, boot, namespace


# Of each scheduler: its name, and the variables in which it tells a process its job and which element of that it is.
_SCHEDULERS = (
    ("slurm", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID"),
    ("slurm", "SLURM_JOB_ID", None),
    ("pbs", "PBS_JOBID", None),
    ("lsf", "LSB_JOBID", "LSB_JOBINDEX"),
    ("hyperqueue", "HQ_JOB_ID", "HQ_TASK_ID"),
    ("oar", "OAR_JOB_ID", None),
    ("sge", "JOB_ID", "SGE_TASK_ID"),
)


def job() -> str | None:
    """The scheduler's job that this process belongs to, such as "slurm 123_4"; None if there is none."""
    for scheduler, variable, of_element in _SCHEDULERS:
        number, element = os.environ.get(variable), os.environ.get(of_element or "")
        if number:
            # LSF and Grid Engine set the second variable in any case; arrays of Slurm and HyperQueue begin at 0.
            is_one = not element or element == "undefined" or (element == "0" and scheduler == "lsf")
            return f"{scheduler} " + re.sub(r"[^\w.-]", "-", number if is_one else f"{number}_{element}")[:60]
    return None


def who() -> dict[str, str | int]:
    """Who this process is, as JSON: "host", "process" and, if a scheduler started it, "job"."""
    found: dict[str, str | int] = {"host": here()[0], "process": os.getpid()}
    mine = job()
    return found if mine is None else {**found, "job": mine}


def started_at(process: int) -> str | None:
    """When a process of this machine started, in a unit of the system.

    Parameters
    ----------
    process
        The number of the process.

    Returns
    -------
    str or None
        None if there is no such process, or if it has ended and its parent has not asked how. UNKNOWN if the system
        does not say: too many files are open, or it is another user's.
    """
    if os.path.isdir("/proc/self"):
        return _by_proc(process)
    import psutil

    try:
        found = psutil.Process(process)
        return None if found.status() == psutil.STATUS_ZOMBIE else repr(found.create_time())
    except (psutil.NoSuchProcess, ValueError, OverflowError):
        return None
    except (psutil.Error, OSError):
        return UNKNOWN


def _by_proc(process: int) -> str | None:
    try:
        # The second field is a name in parentheses, which may contain anything.
        fields = Path(f"/proc/{process}/stat").read_bytes().rpartition(b")")[2].split()
        return None if fields[0] in (b"Z", b"X") else fields[19].decode()
    except (OSError, IndexError):
        return UNKNOWN if _exists(process) else None


def _exists(process: int) -> bool:
    """Whether there is a process of this number. With the mount option hidepid, /proc does not show other users'."""
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True
