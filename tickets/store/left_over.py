"""Saved results that a campaign file no longer asks for. They are kept and shown, and the commands report them.

Committed results are never changed or removed. If a campaign file asks for fewer replicates, rounds, arms, draws or
runs than before, the others therefore remain in every table, mean and comparison.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tickets.config import Run, RunParser
from tickets.errors import InputError
from tickets.store.asked import asked_runs
from tickets.store.plan import wanted_arms
from tickets.store.survey import Pair, SavedCohort


class Trained(NamedTuple):
    """One trained network of a saved run."""

    replicate: int
    round: int
    arm: str
    draw: int


def left_over(run: Run, there: Iterable[Trained]) -> list[str]:
    """One line for each kind of saved result that a run no longer asks for: replicates, rounds, arms, draws.

    Parameters
    ----------
    run
        The run, as the campaign file has it.
    there
        The trained networks.
    """
    replicates, rounds, pairs = set(), set(), set()
    for replicate, number, arm, draw in there:
        replicates.add(replicate)
        rounds.add(number)
        pairs.add((arm, draw))
    return _lines(run, replicates, rounds, pairs)


def left_over_saved(run: Run, saved: Sequence[SavedCohort]) -> list[str]:
    """As `left_over`, for all networks of committed cohorts."""
    return _lines(
        run,
        {replicate for cohort in saved if cohort.rounds for replicate in cohort.replicates},
        {number for cohort in saved for number in cohort.rounds},
        {pair for cohort in saved for found in cohort.rounds.values() for pair in found.trained},
    )


def _lines(run: Run, replicates: set[int], rounds: set[int], pairs: set[Pair]) -> list[str]:
    wanted = set(wanted_arms(run))
    arms = {arm for arm, _ in wanted}
    beyond: dict[str, set[int]] = {}
    for arm, draw in pairs - wanted:
        if arm in arms:
            beyond.setdefault(arm, set()).add(draw)
    kinds = [
        numbered("replicate", {replicate for replicate in replicates if replicate >= run.replicates}),
        numbered("round", {number for number in rounds if number > run.rounds}),
        _named("arm", {arm for arm, _ in pairs} - arms),
        *(f"{numbered('draw', numbers)} of {arm}" for arm, numbers in sorted(beyond.items())),
    ]
    return [_said(kind) for kind in kinds if kind]


def networks_of(saved: Sequence[SavedCohort]) -> Iterator[Trained]:
    """Yield every committed network."""
    for cohort in saved:
        for number, found in cohort.rounds.items():
            for arm, draw in found.trained:
                yield from (Trained(replicate, number, arm, draw) for replicate in cohort.replicates)


def runs_left_over(names: Iterable[str], asked: Collection[str]) -> list[str]:
    """A line that names the saved runs that are not asked for; empty if there are none."""
    kind = _named("run", set(names) - set(asked))
    return [_said(kind)] if kind else []


class Asked:
    """What the campaign files of saved runs ask for; each file is read once."""

    def __init__(self) -> None:
        self._parser = RunParser()
        self._files: dict[Path, dict[str, Run] | None] = {}

    def left_over(self, folder: Path, config: Mapping[str, object], there: Iterable[Trained]) -> list[str]:
        """The lines of `left_over` and `runs_left_over` for one saved run.

        Parameters
        ----------
        folder
            The run's folder.
        config
            The configuration in its run.json.
        there
            Its trained networks.
        """
        asked = self._in(folder.parent)
        if asked is None:
            return []  # of another version or damaged, which `tickets status` reports
        try:
            lines = left_over(self._parser.parse(config), there)
        except InputError:
            return []
        return [*(runs_left_over([folder.name], asked) if asked else []), *lines]

    def _in(self, folder: Path) -> dict[str, Run] | None:
        """The runs that a campaign's folder asks for; None if they cannot be read."""
        if folder not in self._files:
            try:
                self._files[folder] = asked_runs(folder)
            except InputError:
                self._files[folder] = None
        return self._files[folder]


def _said(kind: str) -> str:
    several = kind.partition(" ")[0].endswith("s")
    verb, pronoun, then = ("are", "they", "stay and are") if several else ("is", "it", "stays and is")
    return f"{kind} {verb} saved and no longer in the campaign file; {pronoun} {then} shown"


def numbered(noun: str, numbers: Collection[int]) -> str:
    """`replicates 3 and 4`, `rounds 5 to 16`; "" for none."""
    ordered = sorted(numbers)
    if len(ordered) > 2 and ordered == list(range(ordered[0], ordered[-1] + 1)):
        return f"{noun}s {ordered[0]} to {ordered[-1]}"
    return _named(noun, list(map(str, ordered)), in_order=True)


def _named(noun: str, names: Collection[str], in_order: bool = False) -> str:
    listed = list(names) if in_order else sorted(names)
    if not listed:
        return ""
    *others, last = listed
    return f"{noun}s {', '.join(others)} and {last}" if others else f"{noun} {last}"
