"""The answer in a few lines: why initial weights are random, as far as the campaign shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from ..words import listed
from .held import NOT, SHOWN, UNKNOWN, Held

FIRST = ("equal", "slower", "differing", "without_chance", "same_end")
"""The claims that the answer is made of; the others say more of the same."""


@dataclass(frozen=True)
class Told:
    """A claim and where it came to which verdict: `on digits and mnist1d`, or `for widths 257 on digits`."""

    claim: str
    verdicts: Mapping[Held, str]

    @property
    def sentence(self) -> str:
        """The claim and its verdicts in one line."""
        parts = [f"{verdict} {where}" for verdict, where in self.verdicts.items()]
        return f"{self.claim}: {'; '.join(parts)}."


@dataclass(frozen=True)
class Answer:
    """lead: the answer in a few words. told: the claims behind it."""

    lead: str
    told: tuple[Told, ...]

    @property
    def sentence(self) -> str:
        """All of it as text."""
        return " ".join([self.lead, *(one.sentence for one in self.told)])


def answer(claims: pd.DataFrame) -> Answer:
    """What `claims` come to, taken together.

    The lead is `slower` (equal units end worse) in all settings: shown, shown not to hold, or neither.
    """
    slower = set(claims.loc[claims["name"] == "slower", "verdict"])
    lead = "This campaign cannot tell."
    if slower == {SHOWN}:
        lead = "So that hidden units differ."
    elif slower == {NOT}:
        lead = "In this campaign they need not be."
    settings = list(claims["setting"].unique())
    of = {name: claims[claims["name"] == name] for name in FIRST}
    return Answer(lead, tuple(_told(rows, settings) for rows in of.values() if len(rows)))


def _told(rows: pd.DataFrame, settings: Sequence[str]) -> Told:
    verdicts: dict[Held, str] = {}
    for verdict in (SHOWN, NOT, UNKNOWN):
        chosen = rows[rows["verdict"] == verdict]
        places = [
            _place(str(case), list(part["setting"]), settings) for case, part in chosen.groupby("case", sort=False)
        ]
        if places:
            verdicts[verdict] = listed(places)
    return Told(str(rows["claim"].iloc[0]), verdicts)


def _place(case: str, where: Sequence[str], settings: Sequence[str]) -> str:
    if case and len(where) == len(settings):
        return f"for {case}"
    return f"for {case} on {listed(where)}" if case else f"on {listed(where)}"
