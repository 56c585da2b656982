"""Ask Slurm to run the job of this process again."""

from __future__ import annotations

import os
import re
import subprocess

DEADLINE_S = 20.0  # of a call; a controller that is restarted answers within seconds


def slurm_element() -> str | None:
    """The job that this process is, as Slurm's commands name it: "123" or, of an array, "123_4"; None outside of Slurm.

    An array's job alone ("123") would be all of its elements.
    """
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID", ""), os.environ.get("SLURM_ARRAY_TASK_ID", "")
    name = f"{array}_{task}" if array and task else os.environ.get("SLURM_JOB_ID", "")
    return name if re.fullmatch(r"[0-9]+(_[0-9]+)?", name) else None


def requeue(element: str) -> str | None:
    """Have Slurm run a job again once it has ended; why not, or None. Slurm ends the job soon afterwards.

    A job that Slurm is ending already, as by `scancel`, is left to that: a cancelled job must not come back.

    Parameters
    ----------
    element
        What `slurm_element` gives.
    """
    state, why = _said("squeue", "--noheader", "--format=%T", f"--jobs={element}")
    if why is None and state != "RUNNING":
        why = f"Slurm says that it is {state.lower() or 'no longer there'}"
    return why or _said("scontrol", "requeue", element)[1]


def _said(*command: str) -> tuple[str, str | None]:
    """(what a program printed, why it failed or None)."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=DEADLINE_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        return "", f"{' '.join(command)}: {error}"
    if done.returncode:
        said = " ".join(done.stderr.split())[:200] or f"exit status {done.returncode}"
        return "", f"{' '.join(command)}: {said}"
    return " ".join(done.stdout.split())[:40], None
