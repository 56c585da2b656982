"""The tables, masks and initial values of one saved run, each read when it is first used."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from tickets.store import Saved

from ..labels import CLASSIFICATION, Labels
from ..rule import Rule, rule_of
from .figure import head_of, quoted
from .masks import Masks, Values, read_initial, read_masks
from .probed import read_probe


@dataclass(frozen=True)
class RunData:
    """One run of a campaign, as figures and tables use it. Errors as for `Saved`.

    Parameters
    ----------
    saved : Saved
        The campaign.
    run : str
        The run's id.
    """

    saved: Saved
    run: str

    @cached_property
    def file(self) -> dict[str, Any]:
        """The content of run.json."""
        return self.saved.file(self.run)

    @cached_property
    def rule(self) -> Rule:
        """How the run is judged."""
        return rule_of(self.file)

    @property
    def labels(self) -> Labels:
        """The names and units of the run's quantities."""
        return self.rule.labels

    @property
    def labels_argument(self) -> str:
        """The argument of a figure's code that passes `labels`; "" where they are the default."""
        return "" if self.labels == CLASSIFICATION else ", labels=labels"

    @cached_property
    def rounds(self) -> pd.DataFrame:
        """The run's rows of `Saved.rounds`."""
        rounds = self.saved.rounds
        return rounds[rounds["run"] == self.run]

    @cached_property
    def curves(self) -> pd.DataFrame:
        """The run's rows of `Saved.curves`."""
        curves = self.saved.curves
        return curves[curves["run"] == self.run]

    @cached_property
    def masks(self) -> Masks:
        """The ticket's masks, by round, replicate and parameter."""
        return read_masks(self.saved, self.run)

    @cached_property
    def values(self) -> Values:
        """The initial values of the prunable weights, by replicate and parameter."""
        return read_initial(self.saved, self.run)

    def probe(self, table: str, columns: Collection[str]) -> pd.DataFrame | None:
        """The run's rows of a probe's table.

        Parameters
        ----------
        table : str
            The table's name.
        columns : collection of str
            What it must have; a function of the user's may have given its table the same name.

        Returns
        -------
        DataFrame or None
            None if the run has no such table with these columns.
        """
        found = read_probe(self.saved, self.run, table)
        return found if set(columns) <= set(found.columns) else None

    @property
    def head(self) -> str:
        """The first lines of the code of every figure."""
        campaign = str(self.file["config"].get("name", "campaign"))
        return f"{head_of(campaign)}\nrun = {quoted(self.run)}"

    @property
    def reading(self) -> Mapping[str, str]:
        """The lines that read the variables in the code of figures."""
        return {
            "rounds": 'rounds = saved.rounds[saved.rounds["run"] == run]',
            "curves": 'curves = saved.curves[saved.curves["run"] == run]',
            "masks": "masks = report.read_masks(saved, run)",
            "values": "values = report.read_initial(saved, run)",
            "labels": "labels = report.labels_of(saved.file(run))",
            "planted": 'planted = saved.probe("planted")\nplanted = planted[planted["run"] == run]',
        }
