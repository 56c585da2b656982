"""A chapter of the report: the answer to a question with its figures and tables, for a run or a whole campaign."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tickets.store import Saved

from .figure import Missing, Plot
from .table import Table


@dataclass(frozen=True)
class Point:
    """A line of evidence below an answer.

    Parameters
    ----------
    text : str
        The line.
    verdicts : mapping
        {verdict: where}; shown behind the text, each verdict as a badge.
    """

    text: str
    verdicts: Mapping[str, str] = field(default_factory=dict)

    @property
    def sentence(self) -> str:
        """The line with its verdicts, as text."""
        where = "; ".join(f"{verdict} {where}" for verdict, where in self.verdicts.items())
        return f"{self.text}: {where}." if where else self.text


@dataclass(frozen=True)
class Summary:
    """The answer of a chapter.

    Parameters
    ----------
    headline : str
        The answer in a sentence or two.
    points : sequence of Point
        The evidence.
    notes : sequence of str
        Further lines, which do not affect the answer.
    verdict : str, optional
        One word, such as "yes", shown as a badge before the headline.
    """

    headline: str
    points: Sequence[Point]
    notes: Sequence[str] = ()
    verdict: str | None = None

    @property
    def sentence(self) -> str:
        """All of it in one line."""
        return " ".join([self.headline, *(point.sentence for point in self.points), *self.notes])


@dataclass(frozen=True)
class Chapter:
    """A chapter of the report.

    Parameters
    ----------
    name : str
        The folder of its files, and the beginning of its links: letters, digits, `-`, `_` and `.`, a letter first.
    title : str
        Its heading.
    question : str
        The question that it answers, in lower case.
    about : str
        A few words beside the heading where the chapter is folded.
    summary : Summary
        The answer.
    what : str
        What was run, in a sentence or two.
    certainty : str
        The number of replicates, the kind of intervals, what they can detect, and what is left out.
    plots, missing : list
        The figures, and those that cannot be drawn.
    tables : list of Table
        Shown after the figures.
    claims : Table, optional
        Claims with their verdicts, shown before the figures.
    answers : Table, optional
        Claims with their answers in several settings, a column each, shown at the end.
    configuration : Table, optional
        Shown folded at the end.
    left_out : mapping
        {run: why it is left out}, in whole or in part.
    """

    name: str
    title: str
    question: str
    about: str
    summary: Summary
    what: str
    certainty: str
    plots: list[Plot]
    missing: list[Missing]
    tables: list[Table]
    claims: Table | None = None
    answers: Table | None = None
    configuration: Table | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def all_tables(self) -> list[Table]:
        """Every table, in the order of the page."""
        return [table for table in (self.claims, *self.tables, self.answers, self.configuration) if table is not None]

    @property
    def text(self) -> str:
        """The answer and every claim as lines of text."""
        rows = [] if self.claims is None else self.claims.data.to_dict("records")
        lines = [f"[{row['verdict']}] {row['claim']} ({row['on']}): {row['evidence']}" for row in rows]
        if self.answers is None:
            return "\n".join([self.summary.sentence, *lines])
        for row in self.answers.data.to_dict("records"):
            lines += [f"{row['claim']} ({name}): {text}." for name, text in list(row.items())[2:] if text]
        return "\n".join([self.summary.headline, *lines])


@dataclass(frozen=True)
class CampaignChapter:
    """A kind of chapter about a whole campaign.

    Parameters
    ----------
    figures : sequence of str
        The names of its figures.
    lacking : callable
        lacking(saved, without) returns why a campaign, without some runs, cannot have this chapter, or None.
    make : callable
        make(saved, without) returns the chapter of a campaign that can have it.
    """

    figures: Sequence[str]
    lacking: Callable[[Saved, Collection[str]], str | None]
    make: Callable[[Saved, Collection[str]], Chapter]


_LONGEST = 100  # letters of a chapter's name; file systems allow 255 bytes
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?=\.|$)", re.IGNORECASE)
"""Names that are devices under Windows, whatever their ending is."""


def name_of(text: str) -> str:
    """Text as the name of a chapter: at most 100 letters, digits, `-`, `_` and `.`, a letter first, not reserved."""
    safe = re.sub(r"[^A-Za-z0-9_.-]+", "-", text)[:_LONGEST].strip("-.") or "run"
    # The page's other ids are a chapter's name and one of these.
    safe = re.sub(r"-(?=(?:svg|figure|table|settings)(?:-|$))", "_", safe)
    return safe if safe[0].isalpha() and not _RESERVED.match(safe) and safe != "runs" else f"run-{safe}"


def told_apart(chapters: Sequence[Chapter]) -> list[Chapter]:
    """Chapters with different names, also where a file system takes `A` for `a`: later ones are numbered."""
    taken: set[str] = set()
    made = []
    for chapter in chapters:
        name, number = chapter.name, 1
        while name.lower() in taken:
            number += 1
            name = f"{chapter.name}.{number}"
        taken.add(name.lower())
        made.append(chapter if name == chapter.name else replace(chapter, name=name))
    return made
