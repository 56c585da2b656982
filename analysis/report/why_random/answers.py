"""The campaign's claims in the chapter: each once, with its answers in all settings side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from tickets.store import Saved

from ...answers import ANSWERS
from ...claims import answers_of_run
from ...declared import label_of
from ...labels import CLASSIFICATION, Label
from ...metrics import METRICS
from ...rule import rule_of
from ...text import listed
from ...why_random import Study, span
from ..chapter import Point, Summary
from ..claims import with_source
from ..table import Table

WHERE_TO_COPY = "Claims to copy are in runs/why_random.toml: tables [[claim]], whose answers this chapter then shows."
_OF_CLAIM = ("says", "source", "metric")
_RATIO = Label("ratio", difference_form=".3f")
_NOTE = (
    "Each was written in the campaign file. Estimate and interval are of the arm minus what it is compared with; of "
    "several starts: the lowest to the highest estimate, and the lowest to the highest end of their intervals. The "
    "chapters of the runs say what each answer rests on. “Cannot tell” does not mean “no difference”."
)


def answers_of_study(study: Study, saved: Saved) -> pd.DataFrame:
    """The answers to a campaign's claims in the runs of a study: the rows of `answers_of_run`, claim by claim.

    Parameters
    ----------
    study : Study
        As `study_of` returns.
    saved : Saved
        The campaign.

    Returns
    -------
    DataFrame
        Its first columns are setting and label, of the run.
    """
    rows: list[dict[str, Any]] = []
    for run, setting, label in zip(*(study.starts[key] for key in ("run", "setting", "label")), strict=True):
        for row in answers_of_run(saved, run, rule_of(saved.file(run))):
            rows.append({"setting": setting, "label": label, **row})
    given = [claim["id"] for run in study.starts["run"] for claim in saved.config(run).get("claim", ())]
    order = {name: place for place, name in enumerate(dict.fromkeys(given))}
    ordered = sorted(rows, key=lambda row: order[row["id"]])
    return pd.DataFrame(ordered)


def answers_table(answers: pd.DataFrame, study: Study) -> Table | None:
    """A row per claim, a column per setting; None if there are no claims."""
    if answers.empty:
        return None
    data = []
    for _, rows in answers.groupby("id", sort=False):
        says, source, metric = (None if pd.isna(rows[key].iloc[0]) else rows[key].iloc[0] for key in _OF_CLAIM)
        measured = "" if metric is None else CLASSIFICATION.heading(metric) if metric in METRICS else metric
        row = {"claim": with_source(str(says), source), "measured": measured}
        data.append(row | {setting: _cell(rows[rows["setting"] == setting]) for setting in study.settings})
    return Table("claims", "The campaign's claims", pd.DataFrame(data), _NOTE, answers)


def summary_of(answers: pd.DataFrame, settings: Sequence[str]) -> Summary:
    """How many claims hold in each setting, and the answers to each."""
    if answers.empty:
        return Summary("This campaign's file has no claims.", [], [WHERE_TO_COPY])
    counts = []
    for setting in settings:
        holds = [(rows["answer"] == "yes").all() for _, rows in answers[answers["setting"] == setting].groupby("id")]
        counts.append(f"{sum(holds)} of {len(holds)} on {setting}")
    points = []
    for _, rows in answers.groupby("id", sort=False):
        places = {answer: _places(rows, answer) for answer in ANSWERS if (rows["answer"] == answer).any()}
        points.append(
            Point(str(rows["says"].iloc[0]), {answer: f"on {listed(where)}" for answer, where in places.items()})
        )
    return Summary(f"Claims that hold: {listed(counts)}.", points)


def _places(rows: pd.DataFrame, answer: str) -> list[str]:
    """The settings in which a claim has an answer, with the starts if others there have another one."""
    texts = []
    for setting, here in rows.groupby("setting", sort=False):
        labels = list(here.loc[here["answer"] == answer, "label"])
        if labels:
            texts.append(str(setting) if len(labels) == len(here) else f"{setting} ({listed(labels)})")
    return texts


def _cell(rows: pd.DataFrame) -> str:
    """The answers to a claim in one setting, as in `yes for constant 0.5 and zeros: +2.3 to +2.4 [+2.2, +2.5] nats`."""
    texts = []
    for answer in ANSWERS:
        group = rows[rows["answer"] == answer]
        if len(group):
            which = "" if len(rows) == 1 else f" for {listed(list(group['label']))}"
            texts.append(f"{answer}{which}: {_measured(group)}")
    return "; ".join(texts)


def _measured(rows: pd.DataFrame) -> str:
    """The estimates of some rows of one claim, with their intervals; of a function's single answer, its own words."""
    metric, whys = rows["metric"].iloc[0], list(rows["why"])
    there = rows[rows["estimate"].notna()]
    if there.empty or (pd.isna(metric) and len(rows) == 1):
        return str(whys[0].partition("\n")[0]).removesuffix(".")
    label = (
        _RATIO
        if metric in METRICS and METRICS[metric].ratio
        else label_of(None if pd.isna(metric) else metric, CLASSIFICATION)
    )
    low, high = float(there["low"].min()), float(there["high"].max())
    least, most = (label.difference_text(float(end)) for end in (there["estimate"].min(), there["estimate"].max()))
    whole = label.difference_text(float(there["estimate"].max()), low, high)
    estimates = whole if least == most else f"{least} to {whole}"
    return f"{estimates} {label.difference}".rstrip() + f", n = {span(there['n'])}"
