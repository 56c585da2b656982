"""The table [submit]: what the jobs of a campaign ask a scheduler for. No run depends on it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from tickets.config import bounds
from tickets.config.train import Section
from tickets.config.types import FROM_ONE, ILLEGAL, LIST, CountFromOne, at_most, legal

# Minutes. A job is told to end 120 s before its time limit, or up to a minute earlier; until then it must have begun.
SOONEST = 5
LATEST = 525_600  # minutes: a year

# Options of sbatch that would break what a job is: those that `tickets submit` sets, and what to give instead.
FIXED_OPTIONS = {
    "--array": "give --array to `tickets submit`, or submit.array",
    "--time": "give --minutes, or submit.minutes",
    "--output": "the output is in the campaign's folder, jobs/",
    "--error": "the output is in the campaign's folder, jobs/",
    "--open-mode": "a job that is queued again goes on with its output",
    "--signal": "a job is told to end 120 s before its time limit",
    "--requeue": "jobs are always queued again",
    "--no-requeue": "jobs are always queued again",
    "--job-name": "it is the campaign's name, by which squeue shows it",
    "--chdir": "jobs run where they were submitted",
    "--wrap": "the script is jobs/slurm.sh",
    "--parsable": "`tickets submit` gives it",
    "--wait": "`tickets submit` does not wait; see `tickets status`",
    "--test-only": "give --dry-run to `tickets submit`",
    "--help": "see `man sbatch`",
    "--usage": "see `man sbatch`",
    "--version": "see `sbatch --version`",
}
_SHORT = {
    "-a": "--array", "-t": "--time", "-o": "--output", "-e": "--error", "-J": "--job-name", "-D": "--chdir",
    "-W": "--wait", "-h": "--help", "-V": "--version",
}  # fmt: skip


def wrong_option(words: Sequence[str]) -> str:
    """What is wrong with further options of sbatch; "" if nothing is.

    Parameters
    ----------
    words
        The words of a command line, such as "--constraint=a100", or "-C" and "a100".
    """
    for place, word in enumerate(words):
        if not _is_line(word):
            return f"{word[:60]!r} must be 1 to {bounds.LINE:,} letters, without line breaks and control characters"
        if word in ("-", "--") or (place == 0 and not word.startswith("-")):
            return f"{word[:60]!r} must be an option of sbatch, such as '--constraint=a100'"
        if word.startswith("-") and (fixed := _fixed(word)):
            return f"{word[:60]!r} cannot be given: {FIXED_OPTIONS[fixed]}"
    return ""


def _fixed(word: str) -> str | None:
    """The one of FIXED_OPTIONS that a word gives. sbatch takes the beginning of a long name for the name."""
    name = word.partition("=")[0] if word.startswith("--") else _SHORT.get(word[:2], "")
    return next((option for option in FIXED_OPTIONS if len(name) > 3 and option.startswith(name)), None)


def _is_line(text: str) -> bool:
    return 0 < len(text) <= bounds.LINE and text.isprintable()


def _checked(words: tuple[str, ...]) -> tuple[str, ...]:
    if why := wrong_option(words):
        raise PydanticCustomError(ILLEGAL, "{sentence}", {"sentence": why})
    return words


_Line = Annotated[
    str,
    legal(
        f"must be 1 to {bounds.LINE:,} letters, without line breaks and control characters",
        _is_line,
        short="a text of one line",
    ),
]
_Memory = Annotated[
    str,
    legal(
        'must be a number with K, M, G or T as Slurm\'s --mem has it, such as "4G"',
        lambda text: re.fullmatch(r"[0-9]{1,9}[KMGT]?", text) is not None,
    ),
]
_Options = Annotated[tuple[str, ...], LIST, AfterValidator(_checked)]


class SubmitConfig(Section):
    """What `tickets submit` asks Slurm for, for each element of the array; keys that are not given are the site's."""

    partition: _Line | None = None  # one or several, "a,b"
    account: _Line | None = None
    qos: _Line | None = None
    memory: _Memory | None = None  # of a node: Slurm's --mem, such as "4G"
    cpus: Annotated[int, FROM_ONE, at_most(bounds.THREADS)] | None = None  # processors of an element, >= 1
    gpus: Annotated[int, FROM_ONE, at_most(bounds.GPUS)] | None = None  # of an element, >= 1
    # The time limit of an element, >= 5; it is queued again if work is left.
    minutes: (
        Annotated[
            int,
            legal(
                f"must be at least {SOONEST}: Slurm tells a job to end 2 to 3 minutes before its time limit",
                lambda minutes: minutes >= SOONEST,
            ),
            at_most(LATEST),
        ]
        | None
    ) = None
    array: CountFromOne | None = None  # the most elements, >= 1; none: one for each cohort
    at_once: CountFromOne | None = None  # the most elements that run at once, >= 1
    options: _Options = ()  # further options of sbatch, as they are

    @property
    def given(self) -> dict[str, Any]:
        """The keys that are given, as TOML has them."""
        return {key: value for key, value in self.model_dump(mode="json", exclude_none=True).items() if value != []}
