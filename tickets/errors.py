"""What goes wrong because of the input, said so that a person can mend it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


class InputError(ValueError):
    """The input is wrong; every problem found is listed, each naming the thing, its value and the mend.

    The command line prints the problems on stderr, one a line, and exits with status 2.
    """

    def __init__(self, problems: Sequence[str] | str) -> None:
        self.problems: tuple[str, ...] = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(self.problems))

    def __reduce__(self) -> tuple[type[InputError], tuple[tuple[str, ...]]]:
        # An exception crosses to another process by its constructor's arguments, not by its message.
        return type(self), (self.problems,)


class UserCodeError(InputError):
    """A function of the user's failed; its own exception is the cause (`__cause__`) of this one."""


class Problems:
    """What several checks find, so that everything wrong is said at once."""

    def __init__(self) -> None:
        self._found: dict[str, InputError] = {}  # in the order found, each once
        self.failures: list[tuple[Path, UserCodeError]] = []  # of a user's code, with the folder of the run

    @contextmanager
    def noted(self) -> Iterator[None]:
        """A block whose InputError is kept and not raised; what the block was to assign is then not there."""
        try:
            yield
        except InputError as error:
            for problem in error.problems:
                self._found.setdefault(problem, error)

    def raise_any(self) -> None:
        """Raise one InputError with everything that was found, if anything was.

        It is a UserCodeError, from the first of those that were found, if there was one.
        """
        if self._found:
            failed = next((error for error in self._found.values() if isinstance(error, UserCodeError)), None)
            kind = InputError if failed is None else UserCodeError
            raise kind(list(self._found)) from failed


def nearest(name: str, allowed: Iterable[str]) -> str:
    """The end of an error message that offers the nearest allowed name, or nothing where none is near."""
    close = difflib.get_close_matches(name, list(allowed), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""
