"""The part of the page that answers why initial weights are random: the answer, the claims, figures and tables."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import pandas as pd

from tickets.store import Saved

from ...metrics import METRICS
from ...why_random import Answer, Study, answer, comparisons, judged, study_of, why_no_study
from ...words import counted, listed
from ..plots import Missing, Plot, quoted, saved_as
from ..sheets import Sheet
from .distances import draw_kept_distances, kept_distances, tell_kept_distances
from .distinct import distinct_units, draw_distinct_units, tell_distinct_units
from .losses import draw_training_losses, tell_training_losses, training_losses
from .retrained import distances_between_ends, draw_distances_between_ends, tell_distances_between_ends
from .sheets import claims_sheet, sheets_of

FIGURES = ("distinct", "losses", "distances", "ends")
SLUG = "why-random"


@dataclass(frozen=True)
class WhyPart:
    """What the report says of initial values. what, sure: sentences. claims: the first sheet, shown as a list."""

    answer: Answer
    what: str
    sure: str
    claims: Sheet
    plots: list[Plot]
    missing: list[Missing]
    sheets: list[Sheet]
    damaged: Mapping[str, str]


def why_part(saved: Saved, without: Collection[str] = ()) -> WhyPart | None:
    """The part of a campaign that has it: hidden units counted, and at least two starts; else None.

    without: runs to leave out.
    """
    if why_no_study(saved, without) is not None:
        return None
    study = study_of(saved, without)
    pairs = comparisons(study)
    claims = judged(study, pairs)
    plots, missing = _plots(study, str(saved.config(study.starts["run"].iloc[0]).get("name", "campaign")))
    return WhyPart(
        answer=answer(claims),
        what=_what(study, saved),
        sure=_sure(study),
        claims=claims_sheet(claims),
        plots=plots,
        missing=missing,
        sheets=sheets_of(study, pairs),
        damaged=study.damaged,
    )


def _plots(study: Study, campaign: str) -> tuple[list[Plot], list[Missing]]:
    made = [_distinct(study), _losses(study), _distances(study), _ends(study)]
    head = (
        "from pathlib import Path\n\nimport tickets\nfrom tickets.analysis import report, why_random\n\n"
        f"saved = tickets.load({quoted(f'runs/saved/{campaign}')})  # the campaign's folder\n"
        "study = why_random.study_of(saved)\n"
    )
    plots = [replace(plot, code=f"{head}{plot.code}\n{saved_as(plot.name)}") for plot in made if isinstance(plot, Plot)]
    return plots, [one for one in made if isinstance(one, Missing)]


def _distinct(study: Study) -> Plot | Missing:
    data = distinct_units(study)
    if data.empty:
        return Missing("Distinct hidden units", "no run has a hidden layer")
    return Plot(
        "distinct", "Distinct hidden units", draw_distinct_units(data), data, tell_distinct_units(data),
        "Line: mean over replicates and layers, solid within the tolerance (a thousandth of the longest unit's "
        "length), dashed bit for bit; band: least to most, within the tolerance. Random starts together; masked: all "
        "weights the same, under the first masks of the random starts. In brackets: unusual hidden layers, dropout.",
        "data = report.distinct_units(study)\nfigure = report.draw_distinct_units(data)",
    )  # fmt: skip


def _losses(study: Study) -> Plot | Missing:
    data = training_losses(study)
    if data["mean"].isna().all():
        return Missing("Training loss", "every training diverged")
    return Plot(
        "losses", "Training loss", draw_training_losses(data), data, tell_training_losses(data),
        "Dense networks. Line: mean over replicates; band: 95 % t-interval of it. Blue: random starts, green: without "
        "chance but units differ, orange: equal units.",
        "data = report.training_losses(study)\nfigure = report.draw_training_losses(data)",
    )  # fmt: skip


def _distances(study: Study) -> Plot | Missing:
    data = kept_distances(study)
    if data.empty:
        return Missing("What layers do to distances", "no run has a hidden layer")
    return Plot(
        "distances", "What layers do to distances", draw_kept_distances(data), data, tell_kept_distances(data),
        "Before any training: the distance of two inputs after a layer over that before it. Bar: from 5 % to 95 % of "
        "the pairs (to the edge: down to 0), mark: median. A short bar keeps distinct inputs distinct; a layer of "
        "effective rank 1 passes on a single number, whose distances the next such layer only stretches.",
        "data = report.kept_distances(study)\nfigure = report.draw_kept_distances(data)",
    )  # fmt: skip


def _ends(study: Study) -> Plot | Missing:
    title = "Where trainings end"
    if study.ends.empty:
        why = [*study.no_ends.values(), *study.damaged.values(), "no dense network was trained twice"]
        return Missing(title, why[0])
    data = distances_between_ends(study)
    return Plot(
        "ends", title, draw_distances_between_ends(data), data, tell_distances_between_ends(data),
        "Distance between the ends of two dense trainings over the way from start to end; mark: mean over pairs, bar: "
        "least to most. 0 is the same network. With dropout the noise differs, all else being the same.",
        "data = report.distances_between_ends(study)\nfigure = report.draw_distances_between_ends(data)",
    )  # fmt: skip


def _what(study: Study, saved: Saved) -> str:
    """The campaign in a sentence."""
    starts, rounds = study.starts, study.rounds
    trains = [saved.config(run)["train"] for run in starts["run"]]
    steps = sorted({int(train["steps"]) for train in trains})
    optimizers = sorted({f"{train['optimizer']}, learning rate {train['learning_rate']:g}" for train in trains})
    kinds = [
        f"{counted(len(starts.loc[starts['kind'] == kind, ['start', 'biases']].drop_duplicates()), noun)} {which}"
        for kind, noun, which in (
            ("random", "random start", ""),
            ("deterministic", "start", "without chance"),
            ("equal", "start", "of equal units"),
        )
        if (starts["kind"] == kind).any()
    ]
    return (
        f"{listed([' '.join(kind.split()) for kind in kinds])} on {listed(study.settings)}: "
        f"{counted(len(starts), 'run')}, {counted(rounds['replicate'].nunique(), 'replicate')} each, "
        f"{counted(len(rounds), 'training')} of {' or '.join(f'{step:,}' for step in steps)} steps "
        f"({'; '.join(optimizers)})."
    )


def _sure(study: Study) -> str:
    """n, the intervals, the margins, and the trainings that are not in them."""
    dense = study.rounds[study.rounds["arm"] == "ticket"]
    n = sorted(dense.groupby("run")["replicate"].nunique().unique())
    counts = str(n[0]) if len(n) == 1 else f"{n[0]} to {n[-1]}"
    points = 100 * METRICS["final_test_accuracy"].margin
    lost = int(study.rounds["diverged"].sum())
    nats = METRICS["final_train_loss"].margin
    pairs = (
        f"n = {counts} replicates, compared in pairs that share their data order; 95 % t-intervals; differences of up "
        f"to {points:g} points of accuracy or {nats:g} nats of loss do not matter."
        if n[-1] > 1
        else "One replicate: no interval, since one difference has no spread."
    )
    return f"{pairs} {lost or 'None'} of {counted(len(study.rounds), 'training')} diverged."


def to_text(part: WhyPart) -> str:
    """The answer and every claim as lines of text."""
    rows: pd.DataFrame = part.claims.data
    lines = [f"[{row['verdict']}] {row['claim']} ({row['on']}): {row['evidence']}" for row in rows.to_dict("records")]
    return "\n".join([part.answer.sentence, *lines])
