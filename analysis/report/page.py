"""The report as files: one self-contained page, every figure as SVG and PDF, every table as CSV and LaTeX."""

from __future__ import annotations

from collections.abc import Sequence

from tickets.errors import InputError, nearest
from tickets.store import Saved

from ..text import listed
from .chapter import CampaignChapter, Chapter, told_apart
from .convergence import CONVERGENCE_CHAPTER
from .figure import Plot, what_failed
from .figures import RUN_FIGURES
from .formats import to_pdf, to_svg
from .html import html_of
from .latex import to_latex
from .layers import LAYERS
from .run_chapter import chapter_of_run
from .table import Table, to_csv
from .visible import visible
from .why_random import WHY_RANDOM

PAGE = "index.html"
NO_ROUND = "no round is saved yet"
"""Why a run is left out that has only begun, or waits: no failure."""

CAMPAIGN_CHAPTERS: tuple[CampaignChapter, ...] = (WHY_RANDOM, CONVERGENCE_CHAPTER, LAYERS)
"""The kinds of chapters about a whole campaign, in the order of the page."""


def make_report(saved: Saved) -> tuple[dict[str, bytes], dict[str, str]]:
    """Make the files of the report. The same saved campaign gives the same bytes, wherever it is.

    Parameters
    ----------
    saved : Saved
        The campaign; load it with `skip_damaged` to leave damaged runs out.

    Returns
    -------
    files : dict
        {path in the report's folder: bytes}.
    left_out : dict
        {run: why it is left out}, in whole or in part.

    Raises
    ------
    InputError
        If no run has a round that can be read.
    """
    rounds, _ = saved.rounds, saved.curves  # `damaged` is known once both are read
    left_out = dict(saved.damaged)
    runs = []
    for run in saved.runs:
        if run in left_out:
            continue
        if not (rounds["run"] == run).any():
            left_out[run] = NO_ROUND
            continue
        try:
            runs.append(_run_chapter(saved, run))
        except InputError as error:
            left_out[run] = str(error)
    if not runs:
        raise InputError([f"{run}: {why}" for run, why in sorted(left_out.items())])
    of_campaign = []
    for kind in CAMPAIGN_CHAPTERS:
        try:
            if kind.lacking(saved, left_out) is None:
                of_campaign.append(kind.make(saved, left_out))
        except InputError:
            raise
        except Exception as error:  # as in `_run_chapter`
            left_out[f"the chapter of the figures {listed(kind.figures)}"] = _cannot_be_reported(error)
    for chapter in of_campaign:
        left_out |= chapter.left_out
    named = told_apart([*of_campaign, *runs])
    of_campaign, runs = named[: len(of_campaign)], named[len(of_campaign) :]
    made = {PAGE: html_of(_campaign(saved, runs), of_campaign, runs, left_out).encode()}
    for chapter in named:
        made |= files_of(chapter)
    return made, left_out


def make_figure(saved: Saved, name: str) -> dict[str, bytes]:
    """Make the files of one figure, to show it elsewhere.

    Parameters
    ----------
    saved : Saved
        The campaign.
    name : str
        The figure's name.

    Returns
    -------
    dict
        {path: bytes} of NAME.svg, NAME.csv (its numbers), NAME.txt (its text alternative) and verdict.txt. A figure of
        the campaign is a single one; a figure of a run is made for each run that has it, in a folder each if there are
        several runs.

    Raises
    ------
    InputError
        If there is no figure with this name, no run has it, or a run is damaged.
    """
    lacking = {kind: kind.lacking(saved, ()) for kind in CAMPAIGN_CHAPTERS}
    known = [record.name for record in RUN_FIGURES]
    known += [figure for kind, why in lacking.items() if why is None for figure in kind.figures]
    for kind, why in lacking.items():
        if name in kind.figures and why is None:
            return _alone(kind.make(saved, ()), name, "")
    if name not in known:
        why_not = "".join(f"{why}; " for kind, why in lacking.items() if name in kind.figures)
        raise InputError(f"--only = {name!r}: {why_not}there are {', '.join(known)}{nearest(name, known)}")
    chapters = told_apart([_run_chapter(saved, run) for run in saved.runs])
    having = [chapter for chapter in chapters if any(plot.name == name for plot in chapter.plots)]
    made: dict[str, bytes] = {}
    for chapter in having or chapters[:1]:
        made |= _alone(chapter, name, f"{chapter.name}/" if len(saved.runs) > 1 else "")
    return made


def _run_chapter(saved: Saved, run: str) -> Chapter:
    """As `chapter_of_run`; whatever else a saved run makes fail is an `InputError`, too."""
    try:
        return chapter_of_run(saved, run)
    except InputError:
        raise
    except Exception as error:  # a saved run is anybody's: it must not end the report of all others
        raise InputError(_cannot_be_reported(error)) from error


def _cannot_be_reported(error: Exception) -> str:
    return f"what is saved cannot be reported ({what_failed(error)}); `tickets verify` says if it is damaged"


def files_of(chapter: Chapter) -> dict[str, bytes]:
    """The figures and tables of a chapter, by path."""
    made: dict[str, bytes] = {}
    for plot in chapter.plots:
        path = f"figures/{chapter.name}/{plot.name}"
        made[f"{path}.svg"] = to_svg(plot.drawn.figure).encode()
        made[f"{path}.pdf"] = to_pdf(plot.drawn.figure)
        made[f"{path}.py"] = plot.drawn.code.encode()
    tables = [Table(plot.name, plot.title, plot.drawn.data, "", plot.drawn.data) for plot in chapter.plots]
    for table in (*tables, *chapter.all_tables):
        path = f"tables/{chapter.name}/{table.name}"
        made[f"{path}.csv"] = to_csv(table.whole).encode()
        made[f"{path}.tex"] = to_latex(table.data).encode()
    return made


def _alone(chapter: Chapter, name: str, folder: str) -> dict[str, bytes]:
    """The files of a chapter's figure that is shown by itself."""
    plots: dict[str, Plot] = {plot.name: plot for plot in chapter.plots}
    if name not in plots:
        why = "".join(f"; {lack.title}: {lack.why}" for lack in chapter.missing)
        raise InputError(f"--only = {name!r}: {chapter.title} has {', '.join(plots)}{why}")
    drawn = plots[name].drawn
    return {
        f"{folder}{name}.svg": to_svg(drawn.figure).encode(),
        f"{folder}{name}.csv": to_csv(drawn.data).encode(),
        f"{folder}{name}.txt": visible(f"{drawn.description}\n", keep="\n").encode(),
        f"{folder}verdict.txt": visible(f"{chapter.text}\n", keep="\n").encode(),
    }


def _campaign(saved: Saved, runs: Sequence[Chapter]) -> str:
    names = {str(saved.config(chapter.title).get("name", "campaign")) for chapter in runs}
    return ", ".join(sorted(names))
