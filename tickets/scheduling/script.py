"""The script that Slurm runs for each element of a campaign's array."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tickets.checked import MODULES
from tickets.config import SubmitConfig
from tickets.errors import InputError
from tickets.plurals import counted
from tickets.store import Layout

WARNING = 120  # seconds before its time limit in which an element is told to end
_PLAIN = re.compile(r"[A-Za-z0-9_.,:;=%@+/\[\]&|*!<>()-]+")  # of an option, where sbatch takes it without quotes


@dataclass(frozen=True)
class Job:
    """What an array does.

    Parameters
    ----------
    name
        The campaign's.
    cohorts
        How many cohorts are to do.
    elements
        How many elements it has.
    asked
        What each element asks for: [submit], as the command line changed it.
    options
        Further options of sbatch.
    folder
        The campaign's folder. Like all paths here, it is absolute.
    campaign
        The campaign file that the elements train.
    submitted_in
        The folder in which it is submitted.
    modules
        The folder of the user's own modules.
    data
        The data folder, if there is one.
    device
        The device that trains.
    python
        The Python interpreter.
    """

    name: str
    cohorts: int
    elements: int
    asked: SubmitConfig
    options: Sequence[str]
    folder: Path
    campaign: Path
    submitted_in: Path
    modules: Path
    data: Path | None
    device: str
    python: str


def check_paths(folder: Path, others: Mapping[str, Path | str | None]) -> None:
    """Check that a script can name some paths, and that Slurm can write to the campaign's folder.

    Parameters
    ----------
    folder
        The campaign's folder.
    others
        Other paths by what they are.

    Raises
    ------
    InputError
        With every path that has a line break or another character that does not belong on one line.
    """
    wrong = [
        f"{what} = {str(path)!r}: has a line break or another character that cannot stand in a script; use another path"
        for what, path in {"--out": folder, **others}.items()
        if path is not None and not str(path).isprintable()
    ]
    # sbatch makes it the beginning of the path of the output, in which it replaces %A, and reads \\ in its own way.
    real = os.path.realpath(folder)
    if any(letter in real for letter in "%\\"):
        wrong.append(f"--out = {real!r}: Slurm writes no output to a path with % or \\; use another folder")
    if wrong:
        raise InputError(wrong)


def script_of(job: Job) -> str:
    """The script.

    Parameters
    ----------
    job
        What it does. Its paths were checked by `check_paths`.
    """
    return "\n".join([*_head(job), *_directives(job), "", *_commands(job), ""])


def _head(job: Job) -> Iterator[str]:
    yield "#!/bin/bash"
    yield f'# A worker of the campaign "{job.name}", of which {counted(job.cohorts, "cohort")} were to do.'
    yield "# `tickets submit` wrote this, submits it from the campaign's folder, and records the job's number there."
    yield ""


def _directives(job: Job) -> Iterator[str]:
    asked = job.asked
    at_once = "" if asked.at_once is None else f"%{asked.at_once}"
    yield from _directive("Its name in squeue.", "--job-name", job.name)
    limit = "" if asked.at_once is None else f", and at most {asked.at_once} run at once"
    what = f"{counted(job.elements, 'element')}{limit}. Each takes cohorts that nobody else has, until none is left."
    yield from _directive(what, "--array", f"0-{job.elements - 1}{at_once}")
    yield from _directive("After a preemption or the failure of its node an element is queued again.", "--requeue")
    yield from _directive(
        "What an element prints, by the number of the job and its own, from the campaign's folder.",
        "--output",
        f"{Layout.JOBS}/%A_%a.out",
    )
    yield from _directive("An element that is queued again goes on with its output.", "--open-mode", "append")
    yield from _directive(
        f"{WARNING} s before its time limit, or up to a minute earlier, an element is told to save its state and end.",
        "--signal",
        f"B:USR1@{WARNING}",
    )
    kept = [
        ("The time limit of an element, in minutes.", "--time", asked.minutes),
        ("Where it runs.", "--partition", asked.partition),
        ("Who pays for it.", "--account", asked.account),
        ("The quality of service.", "--qos", asked.qos),
        ("The memory of an element.", "--mem", asked.memory),
        ("The processors of an element.", "--cpus-per-task", asked.cpus),
        ("The GPUs of an element.", "--gres", None if asked.gpus is None else f"gpu:{asked.gpus}"),
    ]
    for what, option, value in kept:
        if value is not None:
            yield from _directive(what, option, str(value))
    if asked.options:
        yield from _further("Further options, from [submit].", asked.options)
    if job.options:
        yield from _further("Further options, from the command line.", job.options)


def _directive(what: str, option: str, value: str | None = None) -> Iterator[str]:
    yield f"# {what}"
    yield f"#SBATCH {option}" if value is None else f"#SBATCH {option}={quoted(value)}"


def _further(what: str, words: Sequence[str]) -> Iterator[str]:
    yield f"# {what}"
    lines: list[list[str]] = []
    for word in words:
        if word.startswith("-") or not lines:
            lines.append([])
        lines[-1].append(quoted(word))
    yield from (f"#SBATCH {' '.join(line)}" for line in lines)


def quoted(word: str) -> str:
    """A word as sbatch reads it in a script: in double quotes, if it has other letters than plain ones."""
    if _PLAIN.fullmatch(word):
        return word
    escaped = word.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _commands(job: Job) -> Iterator[str]:
    yield "# Relative paths are those of the folder in which it was submitted."
    yield f"cd -- {shlex.quote(str(job.submitted_in))} || exit 2"
    yield "# One thread for each processor that the element has."
    yield 'export OMP_NUM_THREADS="${SLURM_CPUS_PER_TASK:-1}"'
    yield "# The campaign file below is a copy, which later changes do not reach. Your own modules stay beside yours."
    yield f"export {MODULES}={shlex.quote(str(job.modules))}"
    yield "# exec: the worker takes the place of this shell, so that it gets the signals."
    yield f"exec {shlex.join(_worker(job))}"


def _worker(job: Job) -> list[str]:
    # -P: the current folder does not come before the standard library.
    command = [job.python, "-P", "-m", "tickets", "run", str(job.campaign), "--out", str(job.folder)]
    command += [] if job.data is None else ["--data", str(job.data)]
    command += [] if job.device == "cpu" else ["--device", job.device]
    command += ["--worker", "--requeue"]
    return command + ([] if job.asked.minutes is None else ["--minutes", str(job.asked.minutes)])
