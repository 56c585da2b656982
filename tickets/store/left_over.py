"""Saved results that a campaign file no longer asks for. They are kept and shown, and the commands report them.

Committed results are never changed or removed. If a campaign file asks for fewer replicates, rounds, arms, draws or
runs than before, the others therefore remain in every table, mean and comparison.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tickets.config import Run, parse_run, read_campaign, run_id, same_but_for_validation
from tickets.errors import InputError
from tickets.store.layout import Layout, run_folders
from tickets.store.plan import SavedCohort, wanted_arms
from tickets.store.reading import read_run


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
    networks = set(there)
    draws: dict[str, set[int]] = {}
    for arm, draw in wanted_arms(run):
        draws.setdefault(arm, set()).add(draw)
    beyond: dict[str, set[int]] = {}
    for network in networks:
        if network.arm in draws and network.draw not in draws[network.arm]:
            beyond.setdefault(network.arm, set()).add(network.draw)
    kinds = [
        numbered("replicate", {network.replicate for network in networks if network.replicate >= run.replicates}),
        numbered("round", {network.round for network in networks if network.round > run.rounds}),
        _named("arm", {network.arm for network in networks} - draws.keys()),
        *(f"{numbered('draw', numbers)} of {arm}" for arm, numbers in sorted(beyond.items())),
    ]
    return [_said(kind) for kind in kinds if kind]


def networks_of(saved: Sequence[SavedCohort]) -> Iterator[Trained]:
    """Yield every committed network."""
    for cohort in saved:
        for number, found in cohort.rounds.items():
            for arm, draw in found.trained:
                yield from (Trained(replicate, number, arm, draw) for replicate in cohort.replicates)


def asked_runs(folder: Path) -> dict[str, Run]:
    """The runs of a campaign folder's campaign.toml, by id; empty if there is no such file.

    A number of validation examples that depends on the data set is taken from the saved run.

    Parameters
    ----------
    folder
        The campaign's folder.

    Raises
    ------
    InputError
        If the file is damaged.
    """
    file = folder / Layout.CAMPAIGN
    runs = read_campaign(file).runs if file.is_file() else ()
    saved: list[Run] = []
    if any(run.data.validation is None for run in runs):
        saved = [run for run in map(_saved, run_folders(folder)) if run is not None]
    known = (next((one for one in saved if same_but_for_validation(run, one)), run) for run in runs)
    return {run_id(run): run for run in known}


def runs_left_over(names: Iterable[str], asked: Collection[str]) -> list[str]:
    """A line that names the saved runs that are not asked for; empty if there are none."""
    kind = _named("run", set(names) - set(asked))
    return [_said(kind)] if kind else []


def left_over_of(folder: Path, config: Mapping[str, object], there: Iterable[Trained]) -> list[str]:
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
    try:
        asked = asked_runs(folder.parent)
        lines = left_over(parse_run(config), there)
    except InputError:
        return []  # of another version or damaged, which `tickets status` reports
    return [*(runs_left_over([folder.name], asked) if asked else []), *lines]


def _saved(path: Path) -> Run | None:
    try:
        return parse_run(read_run(path)["config"])
    except InputError:
        return None


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
