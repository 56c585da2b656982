"""The tables of a campaign of several starts, read once for all figures and tables."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from tickets.errors import InputError
from tickets.plurals import counted
from tickets.store import Saved

from .ends import COLUMNS, arm_names, ends, why_no_ends
from .starts import starts

_LOSS = "cross_entropy"

MASKED = 1
"""The round whose masks figures and tables show: the first after the dense one."""


@dataclass(frozen=True)
class Study:
    """The runs of a campaign whose hidden units are counted, and those like them without hidden layers.

    Arms have their name in the catalogue here; of several arms with one name, only the first one is in the tables.

    Parameters
    ----------
    starts : DataFrame
        As `why_random.starts` returns.
    rounds, curves, units : DataFrame
        The tables of `Saved`, of these runs.
    ends : DataFrame
        As `why_random.ends` returns, of all runs.
    no_ends : mapping
        {run: why it is not in `ends`}.
    damaged : mapping
        {run: why its trained values cannot be read}.
    """

    starts: pd.DataFrame
    rounds: pd.DataFrame
    curves: pd.DataFrame
    units: pd.DataFrame
    ends: pd.DataFrame
    no_ends: Mapping[str, str] = field(default_factory=dict)
    damaged: Mapping[str, str] = field(default_factory=dict)

    @property
    def settings(self) -> list[str]:
        """The values of the column `setting` of `starts`, in the order of the runs."""
        return [str(setting) for setting in self.starts["setting"].unique()]


def why_not_a_study(saved: Saved, without: Collection[str] = ()) -> str | None:
    """Why a campaign shows nothing of initial values, or None if it does.

    It needs two starts in the same setting, with their hidden units counted.

    Parameters
    ----------
    saved : Saved
        The campaign.
    without : collection of str
        Runs to leave out.
    """
    runs = _runs(saved, without)
    if not runs:
        if any(_counts_units(saved.config(run)) for run in saved.runs):
            return f"its chapter is about classification, by train.loss = {_LOSS!r}"
        return 'no run counts its hidden units; set probes = ["units"]'
    table = starts({run: saved.config(run) for run in runs})
    most = int(table.groupby("setting")[["start", "biases"]].apply(lambda rows: len(rows.drop_duplicates())).max())
    if most < 2:
        return f"{counted(len(table), 'run')} of one start each; sweep model.init"
    return None


def study_of(saved: Saved, without: Collection[str] = ()) -> Study:
    """Read the tables of a campaign. A run whose trained values are damaged has no `ends`.

    Parameters
    ----------
    saved : Saved
        The campaign.
    without : collection of str
        Runs to leave out.

    Raises
    ------
    InputError
        If `why_not_a_study` gives a reason, or a table of the campaign is damaged.
    """
    why = why_not_a_study(saved, without)
    if why is not None:
        raise InputError(f"{saved.folder}: {why}")
    runs = _runs(saved, without)
    configs = {run: saved.config(run) for run in runs}
    names = {run: arm_names(config) for run, config in configs.items()}
    rounds, curves, units = (
        _by_name(table[table["run"].isin(runs)], names) for table in (saved.rounds, saved.curves, saved.units)
    )
    no_ends = {run: why for run, config in configs.items() if (why := why_no_ends(config)) is not None}
    damaged: dict[str, str] = {}
    found = []
    for run in runs:
        if run in no_ends:
            continue
        try:
            found.append(ends(saved, run))
        except InputError as error:
            damaged[run] = str(error)
    return Study(
        starts=starts(configs),
        rounds=rounds,
        curves=curves,
        units=units,
        ends=pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=COLUMNS),
        no_ends=no_ends,
        damaged=damaged,
    )


def _by_name(table: pd.DataFrame, names: Mapping[str, Mapping[str, str]]) -> pd.DataFrame:
    """A table with arms by their catalogue name; without the rows of a second arm with the same name."""
    pairs = list(zip(table["run"], table["arm"], strict=True))
    by_pair = {pair: names[pair[0]].get(pair[1], pair[1]) for pair in set(pairs)}
    arms = pd.Series([by_pair[pair] for pair in pairs], index=table.index, dtype=table["arm"].dtype)
    return table.assign(arm=arms)[arms != ""].reset_index(drop=True)


def _runs(saved: Saved, without: Collection[str]) -> list[str]:
    """The runs trained by cross-entropy that have rounds and counts of hidden units.

    Figures and tables are of accuracies in points and losses in nats.
    """
    there = set(saved.rounds["run"]) - set(without)
    configs = {run: saved.config(run) for run in saved.runs if run in there}
    return [run for run, config in configs.items() if _counts_units(config) and _loss(config) == _LOSS]


def _loss(config: Mapping[str, Any]) -> str:
    return str(config.get("train", {}).get("loss", _LOSS))


def _counts_units(config: Mapping[str, Any]) -> bool:
    probes = [probe["name"] if isinstance(probe, Mapping) else probe for probe in config.get("probes", ())]
    return bool(config.get("store", {}).get("units")) or "units" in probes
