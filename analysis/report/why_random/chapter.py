"""The chapter about a whole campaign: why are initial weights random?"""

from __future__ import annotations

from collections.abc import Collection

from tickets.plurals import counted
from tickets.store import Saved

from ...labels import capitalised
from ...text import listed
from ...why_random import Study, study_of, why_not_a_study
from ..chapter import CampaignChapter, Chapter
from ..figure import FigureRecord, head_of, plots_of
from . import distances, distinct_units, ends, training_losses
from .answers import answers_of_study, answers_table, summary_of
from .tables import tables_of_study

WHY_FIGURES: tuple[FigureRecord[Study], ...] = (
    distinct_units.FIGURE,
    training_losses.FIGURE,
    distances.FIGURE,
    ends.FIGURE,
)
"""The figures of the chapter, in the order of the page."""

QUESTION = "why are initial weights random?"


def chapter_of(saved: Saved, without: Collection[str] = ()) -> Chapter:
    """The chapter of a campaign of several starts.

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
    study = study_of(saved, without)
    return chapter_of_study(study, saved)


def chapter_of_study(study: Study, saved: Saved) -> Chapter:
    """As `chapter_of`, from tables that are read already."""
    answers = answers_of_study(study, saved)
    head = head_of(str(saved.config(study.starts["run"].iloc[0]).get("name", "campaign")), "report, why_random")
    plots, missing = plots_of(WHY_FIGURES, study, head, {"study": "study = why_random.study_of(saved)"})
    return Chapter(
        name="why-random",
        title=capitalised(QUESTION),
        question=QUESTION,
        about="",
        summary=summary_of(answers, study.settings),
        what=_what(study, saved),
        certainty=_certainty(study),
        plots=plots,
        missing=missing,
        tables=tables_of_study(study),
        answers=answers_table(answers, study),
        left_out=study.damaged,
    )


WHY_RANDOM = CampaignChapter(tuple(record.name for record in WHY_FIGURES), why_not_a_study, chapter_of)


def _what(study: Study, saved: Saved) -> str:
    """The campaign in a sentence."""
    starts, rounds = study.starts, study.rounds
    trains = [saved.config(run)["train"] for run in starts["run"]]
    steps = sorted({int(train["steps"]) for train in trains})
    optimizers = sorted({f"{train['optimizer']}, learning rate {train['learning_rate']:g}" for train in trains})
    kinds = [
        f"{counted(len(starts.loc[starts['kind'] == kind, ['start', 'biases']].drop_duplicates()), noun)}{units}"
        for kind, noun, units in (
            ("random", "random start", ""),
            ("deterministic", "deterministic start", ""),
            ("equal", "start", " of equal units"),
        )
        if (starts["kind"] == kind).any()
    ]
    return (
        f"{listed(kinds)} on {listed(study.settings)}: {counted(len(starts), 'run')}, "
        f"{counted(rounds['replicate'].nunique(), 'replicate')} each, {counted(len(rounds), 'training')} of "
        f"{' or '.join(f'{step:,}' for step in steps)} steps ({'; '.join(optimizers)})."
    )


def _certainty(study: Study) -> str:
    """The number of replicates, the kind of intervals, and the trainings that diverged."""
    tickets = study.rounds[study.rounds["arm"] == "ticket"]
    n = sorted(tickets.groupby("run")["replicate"].nunique().unique())
    counts = str(n[0]) if len(n) == 1 else f"{n[0]} to {n[-1]}"
    lost = int(study.rounds["diverged"].sum())
    pairs = (
        f"n = {counts} replicates, compared in pairs that share their data order; 95 % t-intervals, simultaneous over "
        "the claims of a run (Bonferroni)."
        if n[-1] > 1
        else "One replicate: no interval, since one difference has no spread."
    )
    return f"{pairs} {lost or 'None'} of {counted(len(study.rounds), 'training')} diverged."
