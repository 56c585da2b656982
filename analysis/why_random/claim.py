"""A claim about initial values, and what a campaign shows of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pandas as pd

from .paired import Side
from .study import Study
from .verdict import UNKNOWN, Verdict

ABSENT = "Not in this campaign: "
"""The beginning of the evidence where there is none."""


@dataclass(frozen=True)
class Finding:
    """What a campaign shows of a claim in one setting.

    Parameters
    ----------
    verdict : {"shown", "shown not to hold", "cannot tell"}
        Whether the claim holds.
    evidence : str
        The numbers, in a sentence.
    case : str
        Which case of the claim this is, such as "widths 100"; "" if the claim has no cases.
    """

    verdict: Verdict
    evidence: str
    case: str = ""


@dataclass(frozen=True)
class Comparison:
    """The trainings that a claim compares.

    Parameters
    ----------
    metric : str
        A name in `METRICS`.
    sides : callable
        sides(study) returns the pairs of sides, first minus second.
    """

    metric: str
    sides: Callable[[Study], list[tuple[Side, Side]]]


@dataclass(frozen=True)
class Claim:
    """A claim, which is judged in each setting of a campaign.

    Parameters
    ----------
    id : str
        Its name in tables.
    sentence : str
        What it says.
    table : str
        The figure or table of the report that has all of its numbers.
    judge : callable
        judge(study, setting, comparisons) returns a Finding for each case. `comparisons` are the rows of
        `why_random.comparisons` of this claim and setting; without rows if the claim compares nothing.
    comparison : Comparison, optional
        What it compares in pairs; None if it rests on counts.
    """

    id: str
    sentence: str
    table: str
    judge: Callable[[Study, str, pd.DataFrame], Iterable[Finding]]
    comparison: Comparison | None = None


def absent(why: str) -> Finding:
    """The finding where a campaign has no runs for a claim. why: what it lacks, in a few words."""
    return Finding(UNKNOWN, f"{ABSENT}{why}.")
