"""A claim about initial values, and what a campaign says of it."""

from __future__ import annotations

from dataclasses import dataclass

from .held import UNKNOWN, Held

ABSENT = "Not in this campaign: "
"""How the evidence begins where there is none."""


@dataclass(frozen=True)
class Claim:
    """One claim, of one setting.

    name: the same for all settings. claim: in words. case: which of its cases this is, or nothing. evidence: the
    numbers in a sentence. table: where all of them are.
    """

    name: str
    setting: str
    claim: str
    verdict: Held
    evidence: str
    table: str
    case: str = ""


def cannot_tell(name: str, setting: str, claim: str, why: str, table: str, case: str = "") -> Claim:
    """A claim of which this campaign says nothing, and why."""
    return Claim(name, setting, claim, UNKNOWN, f"{ABSENT}{why}.", table, case)
