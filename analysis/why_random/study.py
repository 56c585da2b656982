"""Everything that is known of a campaign with many starts, read once and then handed round."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import pandas as pd

from tickets.errors import InputError
from tickets.store import Saved

from ..words import counted
from .ends import COLUMNS, ends, why_no_ends
from .starts import starts

PLAIN = "cross_entropy"


@dataclass(frozen=True)
class Study:
    """The runs of a campaign that have their hidden units counted, and those like them without hidden layers.

    starts: `why_random.starts`. rounds, curves, units: those of `Saved`, of these runs. ends: `why_random.ends` of
    all of them. no_ends: {run: why it is not in `ends`}. damaged: {run: why its ends cannot be read}.
    """

    starts: pd.DataFrame
    rounds: pd.DataFrame
    curves: pd.DataFrame
    units: pd.DataFrame
    ends: pd.DataFrame
    no_ends: Mapping[str, str] = field(default_factory=dict)
    damaged: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def hidden(self) -> list[str]:
        """The runs whose networks have hidden layers."""
        return [str(run) for run in self.units["run"].unique()]

    @property
    def settings(self) -> list[str]:
        """What the runs share but for the model, in order of the runs."""
        return [str(setting) for setting in self.starts["setting"].unique()]


def why_no_study(saved: Saved, without: Collection[str] = ()) -> str | None:
    """Why a campaign, less some runs, says nothing of initial values, or None if it does.

    It takes two starts of the same setting, and their hidden units counted.
    """
    counted_in = _runs(saved, without)
    if not counted_in:
        if saved.probes.get("units"):
            return f"its claims are about classification, by train.loss = {PLAIN!r}"
        return "no run counts its hidden units; set store.units = true"
    table = starts({run: saved.config(run) for run in counted_in})
    most = int(table.groupby("setting")[["start", "biases"]].apply(lambda rows: len(rows.drop_duplicates())).max())
    if most < 2:
        return f"{counted(len(table), 'run')} of one start each; sweep model.init"
    return None


def study_of(saved: Saved, without: Collection[str] = ()) -> Study:
    """A campaign's study, less the runs in `without`. A run whose trained values are damaged has no ends in it.

    Raises InputError if there is nothing to study: see `why_no_study`, and if a table of the campaign is damaged.
    """
    why = why_no_study(saved, without)
    if why is not None:
        raise InputError(f"{saved.folder}: {why}")
    runs = _runs(saved, without)
    configs = {run: saved.config(run) for run in runs}
    rounds, curves, units = (
        table[table["run"].isin(runs)].reset_index(drop=True) for table in (saved.rounds, saved.curves, saved.units)
    )
    no_ends = {run: why for run, config in configs.items() if (why := why_no_ends(config)) is not None}
    damaged: dict[str, str] = {}
    parts = []
    for run in runs:
        if run in no_ends:
            continue
        try:
            parts.append(ends(saved, run))
        except InputError as error:
            damaged[run] = str(error)
    return Study(
        starts=starts(configs),
        rounds=rounds,
        curves=curves,
        units=units,
        ends=pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=COLUMNS),
        no_ends=no_ends,
        damaged=damaged,
    )


def _runs(saved: Saved, without: Collection[str]) -> list[str]:
    """The runs by cross-entropy that have rounds and count their hidden units, if they have any.

    The claims are about classification: about accuracies in points, and losses in nats.
    """
    there = set(saved.rounds["run"]) - set(without)
    return [run for run in saved.probes.get("units", []) if run in there and _loss(saved, run) == PLAIN]


def _loss(saved: Saved, run: str) -> str:
    return str(saved.config(run).get("train", {}).get("loss", PLAIN))
