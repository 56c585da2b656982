"""A figure of the report: its record, and what is made of it with a run's or a campaign's tables."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import pandas as pd
from matplotlib.figure import Figure

from tickets.errors import InputError

T = TypeVar("T")


@dataclass(frozen=True)
class Drawn:
    """A figure that is drawn, with its texts.

    Parameters
    ----------
    figure : Figure
        The drawing.
    data : DataFrame
        Its numbers.
    description : str
        The text alternative.
    caption : str
        What lines, bands and marks are.
    code : str
        Python lines that compute `data` and draw `figure` again, from the variables that `plots_of` can read.
    title : str, optional
        Its heading, if that is not the record's.
    """

    figure: Figure
    data: pd.DataFrame
    description: str
    caption: str
    code: str
    title: str = ""


class NotMeasured(str):
    """Why there is no figure of a probe that a run does not have. The page is silent about such a figure."""


@dataclass(frozen=True)
class FigureRecord(Generic[T]):
    """The name of a figure and how it is drawn. Each record is defined in the file of its figure.

    Parameters
    ----------
    name : str
        The name of its files and links.
    title : str
        Its heading.
    make : callable
        make(tables) returns the drawn figure or, as a string, why there can be none; `NotMeasured` for a probe that was
        not measured.
    """

    name: str
    title: str
    make: Callable[[T], Drawn | str]


@dataclass(frozen=True)
class Plot:
    """A figure of the report: its record's name and title, and what is drawn. `drawn.code` runs by itself."""

    name: str
    title: str
    drawn: Drawn


@dataclass(frozen=True)
class Missing:
    """A figure that cannot be drawn, and why."""

    title: str
    why: str


def plots_of(
    records: Sequence[FigureRecord[T]], tables: T, head: str, reading: Mapping[str, str]
) -> tuple[list[Plot], list[Missing]]:
    """Draw all figures that can be drawn.

    Parameters
    ----------
    records : sequence of FigureRecord
        The figures, in order.
    tables
        What their `make` takes.
    head : str
        Lines before the code of every figure.
    reading : mapping
        {variable: the line that reads it}; the lines of the variables in a figure's code are put before it.

    Returns
    -------
    plots : list of Plot
    missing : list of Missing
        The figures that cannot be drawn, without those of probes that were not measured.
    """
    plots, missing = [], []
    for record in records:
        made = _made(record, tables)
        if isinstance(made, str):
            if not isinstance(made, NotMeasured):
                missing.append(Missing(record.title, made))
            continue
        lines = [line for name, line in reading.items() if re.search(rf"\b{name}\b", made.code)]
        save = f'Path("{record.name}.pdf").write_bytes(report.to_pdf(figure))'  # whatever the reader's own style is
        code = "\n".join([head, *lines, made.code, save, ""])
        plots.append(Plot(record.name, made.title or record.title, replace(made, code=code)))
    return plots, missing


def _made(record: FigureRecord[T], tables: T) -> Drawn | str:
    """What a record makes; why it cannot be made of numbers that a figure was not written for."""
    try:
        return record.make(tables)
    except InputError:
        raise
    except Exception as error:  # a saved run is anybody's: it must not end the report of all others
        return f"it cannot be drawn of what is saved ({what_failed(error)})"


def what_failed(error: Exception) -> str:
    """An exception in a line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text if len(text) <= 200 else text[:199] + '…'}"


def head_of(campaign: str, imports: str = "report") -> str:
    """The lines that import the package and load a campaign.

    Parameters
    ----------
    campaign : str
        The campaign's name; its folder is taken to be `runs/saved/<name>`.
    imports : str
        What is imported from `tickets.analysis`.
    """
    return (
        f"from pathlib import Path\n\nimport tickets\nfrom tickets.analysis import {imports}\n\n"
        f"saved = tickets.load({quoted(f'runs/saved/{campaign}')})  # the campaign's folder"
    )


def quoted(text: str) -> str:
    """Text as a Python literal, in double quotes unless that needs more escapes."""
    plain = repr(text)
    return plain if set("\"'") & set(plain[1:-1]) else f'"{plain[1:-1]}"'
