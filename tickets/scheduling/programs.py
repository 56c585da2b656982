"""Call the programs of a scheduler: without a shell, for a limited time, and reading a limited output."""

from __future__ import annotations

import os
import selectors
import shlex
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from tickets.errors import InputError

DEADLINE = 20.0  # seconds in which a program must have ended
LARGEST = 2**26  # bytes of its output
_LINES = 3  # of what it printed, in an error
_LONGEST = 300  # characters of a command and of a line, in an error

# Variables that change which jobs squeue, sacct and scancel look at and what sbatch submits, and those of the job in
# which `tickets submit` may run itself, which the new one would inherit.
_DROPPED = ("SQUEUE_", "SACCT_", "SCANCEL_", "SLURM_JOB", "SLURM_ARRAY", "SLURM_CPUS", "SLURM_MEM", "SLURM_STEP")
_DROPPED_NAMES = frozenset(
    f"SBATCH_{name}"
    for name in ("ARRAY_INX", "JOB_NAME", "NO_REQUEUE", "OPEN_MODE", "OUTPUT", "ERROR", "SIGNAL", "TIMELIMIT", "WAIT")
)


class ProgramError(InputError):
    """A program of the scheduler is missing, has failed, or did not end in time."""


class UnansweredError(ProgramError):
    """A program did not end in time, and may have done what it was to do."""


class MissingProgramError(ProgramError):
    """There is no such program here."""


def find(program: str) -> str:
    """The path of a program.

    Raises
    ------
    MissingProgramError
        If there is none of this name on PATH.
    """
    path = shutil.which(program)
    if path is None:
        raise MissingProgramError(f"{program}: there is no such program on PATH; run this on a machine with Slurm")
    return path


def call(program: str, *arguments: str, folder: Path | None = None) -> str:
    """Run a program and return what it prints on standard output.

    Parameters
    ----------
    program
        Its name, which is looked for on PATH.
    *arguments
        Its arguments.
    folder
        The folder in which it runs; by default the current one.

    Raises
    ------
    MissingProgramError
        If there is no such program.
    UnansweredError
        If it has not ended after `DEADLINE` seconds.
    ProgramError
        If it ends with another status than 0, or prints too much.
    """
    path = find(program)
    named = _cut(shlex.join([program, *arguments]))
    try:
        process = subprocess.Popen(
            [path, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=folder,
            env=_environment(),
            start_new_session=True,
        )
    except OSError as error:
        raise ProgramError(f"{named}: cannot be run ({error.strerror})") from error
    try:
        output, errors = _read(process, named)
        status = process.wait()
    finally:
        _end(process)
    if status:
        printed = said(errors) or said(output) or "it printed nothing"
        how = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
        raise ProgramError(f"{named}: {how}: {printed}")
    return output.decode("utf-8", "backslashreplace")


def said(printed: bytes) -> str:
    """The first lines that a program printed, in one line without control characters."""
    text = printed[: 4 * _LINES * _LONGEST].decode("utf-8", "backslashreplace")
    lines = [_cut(printable(line.strip())) for line in text.splitlines() if line.strip()]
    return " / ".join(lines[:_LINES])


def printable(line: str) -> str:
    """A line with control characters as Python writes them."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in line)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _environment() -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_DROPPED) and name not in _DROPPED_NAMES
    }
    # Messages in English, times as ISO 8601, and lists of array elements at any length.
    return {**kept, "LC_ALL": "C", "SLURM_TIME_FORMAT": "standard", "SLURM_BITSTR_LEN": "0"}


def _read(process: subprocess.Popen[bytes], named: str) -> tuple[bytes, bytes]:
    """(output, errors) of a process, once it has closed both."""
    assert process.stdout is not None
    assert process.stderr is not None
    found: dict[int, bytearray] = {process.stdout.fileno(): bytearray(), process.stderr.fileno(): bytearray()}
    until = time.monotonic() + DEADLINE
    with selectors.DefaultSelector() as selector:
        for descriptor in found:
            selector.register(descriptor, selectors.EVENT_READ)
        while selector.get_map():
            left = until - time.monotonic()
            if left <= 0:
                raise UnansweredError(f"{named}: did not end within {DEADLINE:g} s; is the scheduler up?")
            for key, _ in selector.select(left):
                chunk = os.read(key.fd, 2**16)
                found[key.fd] += chunk
                if not chunk:
                    selector.unregister(key.fd)
                if len(found[key.fd]) > LARGEST:
                    raise ProgramError(f"{named}: printed more than {LARGEST:,} bytes")
    output, errors = found.values()
    return bytes(output), bytes(errors)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process that may still run, and whatever it started."""
    if process.poll() is None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()
    process.wait()
