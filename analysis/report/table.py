"""A table of the report, and tables as CSV."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class Table:
    """A table of the report.

    Parameters
    ----------
    name : str
        The name of its files and links.
    title : str
        Its heading.
    data : DataFrame
        What the page shows: text or numbers.
    note : str
        What the columns are.
    whole : DataFrame
        Every number, as in the CSV file.
    """

    name: str
    title: str
    data: pd.DataFrame
    note: str
    whole: pd.DataFrame

    @property
    def numbers(self) -> pd.DataFrame | None:
        """What a page shows of `whole`: without run, metric and empty columns. None if `data` is all there is."""
        if self.whole is self.data:
            return None
        return self.whole.drop(columns=["run", "metric"], errors="ignore").dropna(axis="columns", how="all")


def cell(value: object) -> str:
    """A cell as text: floats with four digits, "" for NaN and None."""
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.4g}"
    return "" if value is None else str(value)


def to_csv(data: pd.DataFrame) -> str:
    """A table as CSV, with every digit and without the index."""
    return data.to_csv(index=False, lineterminator="\n")
