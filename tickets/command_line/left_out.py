"""Runs that a command leaves out of its output, such as damaged ones."""

from __future__ import annotations

from collections.abc import Mapping

from tickets.command_line.printing import print_line


def print_left_out(left_out: Mapping[str, str]) -> bool:
    """Print the runs that were left out on stderr, one per line.

    Parameters
    ----------
    left_out
        {run id: why it was left out}.

    Returns
    -------
    bool
        Whether there are any; the command then exits with status 1.
    """
    for run_id, why in left_out.items():
        print_line(f"{run_id}: left out: {why}", error=True)
    return bool(left_out)
