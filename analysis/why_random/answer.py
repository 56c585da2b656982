"""The answer in a few lines: why initial weights are random, as far as the campaign shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from ..text import listed
from .claims_ends import SAME_END
from .claims_symmetry import STAY_EQUAL
from .claims_training import DIFFERING, SLOWER, WITHOUT_CHANCE
from .verdict import REFUTED, SHOWN, UNKNOWN, Verdict

FIRST = (STAY_EQUAL, SLOWER, DIFFERING, WITHOUT_CHANCE, SAME_END)
"""The claims that the answer is made of; the others add detail."""


@dataclass(frozen=True)
class Outcome:
    """A claim and where it has which verdict.

    Parameters
    ----------
    claim : str
        The claim's sentence.
    verdicts : mapping
        {verdict: where}, such as "on digits and mnist1d" or "for widths 257 on digits".
    """

    claim: str
    verdicts: Mapping[Verdict, str]

    @property
    def sentence(self) -> str:
        """The claim and its verdicts in one line."""
        parts = [f"{verdict} {where}" for verdict, where in self.verdicts.items()]
        return f"{self.claim}: {'; '.join(parts)}."


@dataclass(frozen=True)
class Answer:
    """The answer in a few words (`lead`), and the claims behind it (`outcomes`)."""

    lead: str
    outcomes: tuple[Outcome, ...]

    @property
    def sentence(self) -> str:
        """All of it in one line."""
        return " ".join([self.lead, *(one.sentence for one in self.outcomes)])


def answer(claims: pd.DataFrame) -> Answer:
    """The answer that the verdicts on the claims give together.

    The lead follows from `slower` (equal units train to a worse network): shown in all settings, refuted in all, or
    neither.

    Parameters
    ----------
    claims : DataFrame
        As `why_random.claims` returns.
    """
    slower = set(claims.loc[claims["name"] == SLOWER.id, "verdict"])
    lead = "This campaign cannot tell."
    if slower == {SHOWN}:
        lead = "So that hidden units differ."
    elif slower == {REFUTED}:
        lead = "In this campaign they need not be."
    settings = list(claims["setting"].unique())
    rows = [claims[claims["name"] == claim.id] for claim in FIRST]
    return Answer(lead, tuple(_outcome(of_claim, settings) for of_claim in rows if len(of_claim)))


def _outcome(rows: pd.DataFrame, settings: Sequence[str]) -> Outcome:
    verdicts: dict[Verdict, str] = {}
    for verdict in (SHOWN, REFUTED, UNKNOWN):
        chosen = rows[rows["verdict"] == verdict]
        places = [
            _place(str(case), list(group["setting"]), settings) for case, group in chosen.groupby("case", sort=False)
        ]
        if places:
            verdicts[verdict] = listed(places)
    return Outcome(str(rows["claim"].iloc[0]), verdicts)


def _place(case: str, where: Sequence[str], settings: Sequence[str]) -> str:
    if case and len(where) == len(settings):
        return f"for {case}"
    return f"for {case} on {listed(where)}" if case else f"on {listed(where)}"
