"""Failures of the user's code before training: how they become input errors, and how they are logged."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tickets.code_hashes import named_functions
from tickets.config import Run
from tickets.errors import InputError, Problems, UserCodeError
from tickets.store import Layout, append_event
from tickets.users_code import one_line, whole_traceback


@contextmanager
def calling_code_of(run: Run, folder: Path, problems: Problems) -> Iterator[None]:
    """A block that calls the user's functions: an error in them becomes a UserCodeError.

    Parameters
    ----------
    run
        The run that names the functions.
    folder
        Its folder.
    problems
        Keeps the failure, in `failures`.

    Raises
    ------
    UserCodeError
        If the block raises any error but an InputError, and the run names functions outside the catalogue.
    """
    try:
        yield
    except InputError as error:
        if isinstance(error, UserCodeError):
            problems.failures.append((folder, error))
        raise
    except (Exception, SystemExit) as error:
        functions = named_functions(run.model_dump(mode="json"))
        if not functions:
            raise  # a fault of this package: its traceback is needed
        failed = UserCodeError(f"{', '.join(functions)}: failed: {one_line(error)}")
        failed.__cause__ = error
        problems.failures.append((folder, failed))
        raise failed from error


def log_failures(problems: Problems) -> None:
    """Write the tracebacks of the user's code to the logs of the runs that are saved already.

    Parameters
    ----------
    problems
        The failures.
    """
    for folder, error in problems.failures:
        if (folder / Layout.RUN).is_file():
            with suppress(InputError, OSError):  # the failure itself is raised in any case
                why, trace = error.problems[0], whole_traceback(error)
                append_event(folder / Layout.LOG, {"event": "failed", "why": why, "traceback": trace})
