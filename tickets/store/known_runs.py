"""Which runs of a folder of many need not be read again, and the table `rounds` of them and of the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tickets.errors import InputError
from tickets.store.gathering import Parts, in_order, parts_of
from tickets.store.index import FEWEST_RUNS, Signature
from tickets.store.known_rounds import Known, KnownRounds, folders_in, signature_of
from tickets.store.manifests import read_run

if TYPE_CHECKING:
    import pandas as pd

Value = TypeVar("Value")


class KnownRuns:
    """The runs of a campaign's folder whose rows of `rounds` are known, and what is needed to know the others later.

    Parameters
    ----------
    folder
        The campaign's folder.

    Attributes
    ----------
    runs
        {run's id: what is known of it}.
    """

    def __init__(self, folder: Path) -> None:
        self.runs: dict[str, Known] = {}
        self._kept = KnownRounds(folder)
        self._folders: dict[str, Path] = {}  # of the runs that are known, by id
        self._new: dict[Path, Signature] = {}  # of the others, from before they are read

    def look(self, folder: Path) -> str | None:
        """Look at a run before it is read: its id if it is known; else None.

        Parameters
        ----------
        folder
            The run's folder.
        """
        known = self._kept.find(folder)
        if known is None:
            if (signature := signature_of(folder)) is not None:
                self._new[folder] = signature
            return None
        if known.run in self.runs:
            return None  # two folders hold one run, which reading them says
        self.runs[known.run], self._folders[known.run] = known, folder
        return known.run

    def parts(self, run: str) -> Parts | InputError:
        """The committed folders of a known run that were there when it was looked at, or why they cannot be listed."""
        folder, known = self._folders[run], self.runs[run]
        try:
            found = parts_of(folder)
        except InputError as error:
            return error
        return Parts(folders_in(found.rounds, folder, known), folders_in(found.probes, folder, known))

    def file(self, run: str) -> dict[str, Any]:
        """The run.json of a known run."""
        return read_run(self._folders[run])

    def rounds(
        self,
        read: Callable[[Sequence[str]], pd.DataFrame],
        arms_of: Callable[[str], Sequence[str]],
        arms: Sequence[str],
        folders: Mapping[str, Path],
    ) -> pd.DataFrame:
        """The table `rounds` of all runs. It is kept for the next time.

        Parameters
        ----------
        read
            Gives the rows of some runs, by id, from their files.
        arms_of
            Gives the labels of a run's arms.
        arms
            The labels of all arms, in the order of the rows.
        folders
            {run's id: its folder}, of all runs.
        """
        import pandas as pd

        others = sorted(set(folders) - set(self.runs))
        if not others:
            return in_order(self._kept.rows(self.runs), arms)
        found = read(others)
        if self.runs:
            found = in_order(pd.concat([self._kept.rows(self.runs), found], ignore_index=True), arms)
        whole = set(found["run"])
        known = {self._folders[run].name: one for run, one in self.runs.items()}
        for run in others:
            if run in whole and folders[run] in self._new:
                known[folders[run].name] = Known(run, tuple(arms_of(run)), self._new[folders[run]])
        of_known = found["run"].isin([one.run for one in known.values()])
        self._kept.write(known, found if of_known.all() else found[of_known])
        return found


def known_runs(folders: Sequence[Path], runs: Sequence[Path]) -> KnownRuns | None:
    """The known runs of a campaign's folder; None for several folders, or a folder of few runs.

    Parameters
    ----------
    folders
        The folders that are loaded.
    runs
        The folders of the runs in them.
    """
    return KnownRuns(folders[0]) if len(folders) == 1 and len(runs) >= FEWEST_RUNS else None


class Lazily(Mapping[str, Value]):
    """A mapping of runs of which some are read when they are first asked for.

    Parameters
    ----------
    values
        Those that were read.
    others
        The keys of the others.
    read
        Reads one of these.
    """

    def __init__(self, values: Mapping[str, Value], others: Sequence[str], read: Callable[[str], Value]) -> None:
        self._values, self._others, self._read = dict(values), dict.fromkeys(others), read

    def __getitem__(self, run: str) -> Value:
        """The value of a run."""
        if run not in self._values and run in self._others:
            self._values[run] = self._read(run)
        return self._values[run]

    def __iter__(self) -> Iterator[str]:
        """The ids of the runs."""
        return iter({**self._values, **self._others})

    def __len__(self) -> int:
        """The number of runs."""
        return len({**self._values, **self._others})
