"""Ask Slurm to run the job of this process again."""

from __future__ import annotations

import os
import re

from tickets.scheduling.programs import ProgramError, call, printable


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
    try:
        state = " ".join(call("squeue", "--noheader", "--format=%T", f"--jobs={element}").split())
        if state != "RUNNING":
            return f"Slurm says that it is {printable(state[:40]).lower() or 'no longer there'}"
        call("scontrol", "requeue", element)
    except ProgramError as error:
        return str(error)
    return None
