"""Why are initial weights random? All claims in order, and the verdict on each in every setting of a campaign."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from tickets.store import Saved

from .claim import Claim
from .claims_ends import OTHER_END, SAME_END
from .claims_geometry import KEEPS_DISTANCES, ONE_DIRECTION
from .claims_symmetry import DROPOUT_BREAKS, MASK_BREAKS, STAY_EQUAL
from .claims_training import (
    BIASES,
    DIFFERING,
    DROPOUT_HELPS,
    MASK_HELPS,
    MASK_TICKET,
    OTHER_END_ACCURACY,
    SLOWER,
    WITHOUT_CHANCE,
    ZEROS_HIDDEN,
    ZEROS_LINEAR,
)
from .comparisons import comparisons
from .study import Study, study_of

CLAIMS: tuple[Claim, ...] = (
    STAY_EQUAL,
    SLOWER,
    DIFFERING,
    WITHOUT_CHANCE,
    KEEPS_DISTANCES,
    ONE_DIRECTION,
    DROPOUT_BREAKS,
    DROPOUT_HELPS,
    MASK_BREAKS,
    MASK_HELPS,
    MASK_TICKET,
    ZEROS_LINEAR,
    ZEROS_HIDDEN,
    BIASES,
    SAME_END,
    OTHER_END,
    OTHER_END_ACCURACY,
)
"""Every claim, in the order of the report. A new claim is one definition in a `claims_` file and one line here."""

COLUMNS = ["name", "claim", "case", "setting", "verdict", "evidence", "table"]


def claims(saved: Saved, confidence: float = 0.95) -> pd.DataFrame:
    """Judge each claim about initial values: a row per claim, case and setting (mostly: data set).

    Parameters
    ----------
    saved : Saved
        A campaign of several starts, with hidden units counted (`why_not_a_study`).
    confidence : float
        Of the intervals, in (0, 1).

    Returns
    -------
    DataFrame
        Columns name (the claim's id), claim (its sentence), case, setting, verdict, evidence (the numbers in a sentence
        or two) and table (the report's figure or table that has all of them). Verdicts are `shown`,
        `shown not to hold` and `cannot tell`; they follow from intervals and counts alone, and a claim that compares
        several starts is shown only if each comparison shows it. A claim for which the campaign has no runs is
        `cannot tell`, and its evidence says what is missing.

    Raises
    ------
    InputError
        If the campaign has no two starts to compare, or a table is damaged.
    """
    study = study_of(saved)
    return judged(study, comparisons(study, confidence))


def judged(study: Study, compared: pd.DataFrame) -> pd.DataFrame:
    """As `claims`, from a study that is read already.

    Parameters
    ----------
    study : Study
        As `study_of` returns.
    compared : DataFrame
        As `comparisons(study)` returns.
    """
    rows = [row for setting in study.settings for row in _rows(study, setting, compared)]
    # Each claim of one case stands beside itself in the other settings; claims and cases keep their order.
    names, cases = (list(dict.fromkeys(row[key] for row in rows)) for key in ("name", "case"))
    ordered = sorted(rows, key=lambda row: (names.index(row["name"]), cases.index(row["case"])))
    return pd.DataFrame(ordered, columns=COLUMNS)


def to_markdown(claims: pd.DataFrame) -> str:
    """The table of `claims` in Markdown, such as for a README: claim, setting, verdict and evidence."""
    case = claims["case"].where(claims["case"] == "", " (" + claims["case"] + ")")
    shown = claims.assign(claim=claims["claim"] + case)[["claim", "setting", "verdict", "evidence"]]
    lines = ["| claim | on | verdict | measured |", "| --- | --- | --- | --- |"]
    for row in shown.itertuples(index=False, name=None):
        lines.append("| " + " | ".join(str(text).replace("|", "\\|") for text in row) + " |")
    return "\n".join(lines) + "\n"


def _rows(study: Study, setting: str, compared: pd.DataFrame) -> Iterator[dict[str, Any]]:
    here = compared[compared["setting"] == setting]
    for claim in CLAIMS:
        for finding in claim.judge(study, setting, here[here["claim"] == claim.id]):
            yield {
                "name": claim.id,
                "claim": claim.sentence,
                "case": finding.case,
                "setting": setting,
                "verdict": finding.verdict,
                "evidence": finding.evidence,
                "table": claim.table,
            }
