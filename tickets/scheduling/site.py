"""What the site allows: the largest array and the most jobs, as Slurm's configuration says."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tickets.scheduling.programs import ProgramError, call

_NUMBERS = ("MaxArraySize", "MaxJobCount")


def limits() -> Mapping[str, int]:
    """The most elements by each setting that limits them; those that are not known are left out.

    MaxArraySize is one more than the highest number of an element, and elements are numbered from 0. MaxJobCount is the
    most jobs of all users together; how many of them are taken is not known.
    """
    try:
        printed = call("scontrol", "show", "config")
    except ProgramError:
        return {}  # sbatch says what it does not allow
    found = {}
    for name in _NUMBERS:
        match = re.search(rf"^{name}\s*=\s*(\d{{1,10}})\s*$", printed, flags=re.MULTILINE)
        if match is not None:
            found[name] = int(match[1])
    return found
