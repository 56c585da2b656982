"""The claims of a campaign file in a run's chapter."""

from __future__ import annotations

import pandas as pd

from tickets.store import Saved

from ..claims import answers_of_run
from ..rule import Rule
from .table import Table

NOTE = (
    "Each was written in the campaign file, and is answered from the saved runs by the interval of its differences, "
    "paired by replicate; intervals are simultaneous over the claims of a run (Bonferroni). “Cannot tell” does not "
    "mean “no difference”."
)


def claims_of_run(saved: Saved, run: str, rule: Rule) -> Table | None:
    """The claims that concern a run, with their answers; None if there are none."""
    whole = pd.DataFrame(answers_of_run(saved, run, rule))
    if whole.empty:
        return None
    data = pd.DataFrame(
        {
            "claim": [with_source(one, source) for one, source in zip(whole["says"], whole["source"], strict=True)],
            "on": whole["id"],
            "verdict": whole["answer"],
            "evidence": [
                f"{' '.join(why.splitlines())} Written {registered}."
                for why, registered in zip(whole["why"], whole["registered"], strict=True)
            ],
            "numbers": "claim_estimates",
        }
    )
    return Table("claims", "The campaign's claims", data, NOTE, whole)


def with_source(says: str, source: str | None) -> str:
    """What a claim says, with its source in brackets."""
    return f"{says} ({source})" if source else says
