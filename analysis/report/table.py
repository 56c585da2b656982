"""A table of the report, and tables as CSV."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

from .visible import visible

# A spreadsheet takes a cell that begins with one of these, also in their wide forms, for a formula. One whose separator
# is not the comma sees further cells behind a separator or a line break.
_BEGINS_FORMULA = r"=+\-@\t\r\uff0b\uff0d\uff1d\uff20"
_FORMULA = re.compile(rf"(?:^|(?<=[;|\t\r\n\v\f]))(\"*)(?=[{_BEGINS_FORMULA}])")


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
    """A table as CSV, with every digit and without the index. Text is text: see `csv_text`."""
    safe = data.set_axis([csv_text(name) if isinstance(name, str) else name for name in data.columns], axis="columns")
    for place in range(safe.shape[1]):
        column = safe.iloc[:, place]
        if not (pd.api.types.is_numeric_dtype(column.dtype) or pd.api.types.is_datetime64_any_dtype(column.dtype)):
            texts = np.empty(len(column), dtype=object)
            texts[:] = [csv_text(value) if isinstance(value, str) else value for value in column]
            safe.isetitem(place, texts)
    return safe.to_csv(index=False, lineterminator="\n")


def csv_text(text: str) -> str:
    """Text as a cell of a CSV file: not a formula, and without invisible characters other than line breaks.

    A spreadsheet computes a cell that begins with `=`, `+`, `-`, `@`, a tab or a carriage return, even with commands of
    the system. Such a cell gets a `'` before it, by which spreadsheets mark text. Numbers are not text.
    """
    return visible(_FORMULA.sub(r"\1'", text), keep="\n")
