"""Errors that the user can correct: wrong input, and failures of the user's own code."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

_LONGEST = 200  # characters of a name with a suggestion


class InputError(ValueError):
    """The input is wrong.

    The command line prints each problem on stderr, one a line, and exits with status 2.

    Parameters
    ----------
    problems
        Everything that is wrong; each problem names the key or object, its value, what is allowed, and the fix.
    """

    def __init__(self, problems: Sequence[str] | str) -> None:
        self.problems: tuple[str, ...] = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(self.problems))

    def __reduce__(self) -> tuple[type[InputError], tuple[tuple[str, ...]]]:
        # An exception is pickled by the arguments of its constructor, not by its message.
        return type(self), (self.problems,)


class DiskError(InputError):
    """The system refused a read or a write: a full disk, a missing permission, an error of the disk.

    The input is not wrong: the command line exits with status 1, and the same command goes on once the cause is gone.

    Parameters
    ----------
    problems
        As for InputError.
    needed
        The number of bytes for which there was no space; 0 if space was not the cause, or if it is unknown.
    """

    def __init__(self, problems: Sequence[str] | str, needed: int = 0) -> None:
        super().__init__(problems)
        self.needed = needed

    def __reduce__(self) -> tuple[type[DiskError], tuple[tuple[str, ...], int]]:  # type: ignore[override]
        return type(self), (self.problems, self.needed)


class LeaseLostError(DiskError):
    """Another process has taken over what this one was writing to, or has written it. Nothing of that is lost."""


class ReplacedError(InputError):
    """Another process has given the campaign another content while this one trains it."""


class ExecutorError(InputError):
    """An executor that was given has broken, or takes no more work. What is committed is kept."""


class UserCodeError(InputError):
    """A function of the user's failed. The exception that it raised is the cause (`__cause__`) of this one."""


class Problems:
    """Collects the errors of several checks, so that all of them are reported at once.

    Attributes
    ----------
    failures
        The failures of the user's code, each with the folder of its run.
    """

    def __init__(self) -> None:
        self._found: dict[str, InputError] = {}  # in the order found, each once
        self.failures: list[tuple[Path, UserCodeError]] = []

    @contextmanager
    def collected(self) -> Iterator[None]:
        """A block whose InputError is collected and not raised. What the block was to assign may then be unset."""
        try:
            yield
        except InputError as error:
            for problem in error.problems:
                self._found.setdefault(problem, error)

    def raise_any(self) -> None:
        """Raise one error with everything that was collected, if anything was.

        Raises
        ------
        InputError
            With every problem, each once, in the order found.
        UserCodeError
            The same, if the user's code failed; its cause is the first such failure.
        DiskError
            The same, if nothing is wrong but that the system refused to read or write.
        """
        if self._found:
            failed = next((error for error in self._found.values() if isinstance(error, UserCodeError)), None)
            refused = all(isinstance(error, DiskError) for error in self._found.values())
            kind = UserCodeError if failed is not None else DiskError if refused else InputError
            raise kind(list(self._found)) from failed


def first_of(problems: Sequence[str], most: int) -> list[str]:
    """The first problems, and a line that says how many more there are.

    Parameters
    ----------
    problems
        The problems, one a line.
    most
        How many of them are kept.

    Returns
    -------
    list of str
        At most `most` of them, and the line about the others if there are any.
    """
    more = len(problems) - most
    return [*problems[:most], *([f"and {more:,} more like these"] if more > 0 else [])]


def nearest(name: str, allowed: Iterable[str]) -> str:
    """The end of an error message that suggests the nearest allowed name.

    Parameters
    ----------
    name
        The name that is not allowed.
    allowed
        The names that are.

    Returns
    -------
    str
        "; did you mean 'reinit'?", or "" if no name is near.
    """
    if len(name) > _LONGEST:
        return ""  # no name is so long, and the search takes time with the square of the length
    close = difflib.get_close_matches(name, list(allowed), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""


def system_error(error: OSError) -> str:
    """An error of the system in one line, with the file that it is about and what to do."""
    named = [str(name) for name in (error.filename, error.filename2) if name is not None]
    why = error.strerror or str(error) or type(error).__name__
    about = f"{' -> '.join(named)}: {why}" if named else why
    return f"{about}; check the file, its disk and its permissions, and run the same command again"
