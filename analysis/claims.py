"""What a campaign claims, and what its saved runs say to it. Every run has one claim: that it has a winning ticket."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pandas as pd

from .answers import Winning
from .criteria import ACCURACY, NO_WORSE
from .rule import rules_of
from .telling import paragraphs
from .winning import winning

if TYPE_CHECKING:
    from tickets.store import Saved

WINNING = "winning_ticket"

COLUMNS = [
    "run", "id", "says", "answer", "density", "metric", "estimate", "low", "high", "n", "published", "agrees",
    "registered", "why",
]  # fmt: skip


def claims(saved: Saved) -> pd.DataFrame:
    """Each claim and the answer to it: a row per run and claim.

    | column | is |
    | --- | --- |
    | id, says | the claim; `winning_ticket` is there for every run |
    | answer | `yes`, `no` or `cannot tell` |
    | density | where it was decided; None if at none |
    | metric, estimate, low, high, n | what stands for it: here the test accuracy at early stop, ticket minus dense |
    | published, agrees | a number from a paper, and whether it is met; None for `winning_ticket` |
    | registered | `before training`, or after how many rounds the rule that decides was first seen |
    | why | the reason, and every number |

    Parameters
    ----------
    saved : Saved
        As `tickets.load` gives it.

    Raises
    ------
    InputError
        If a run is damaged, unless `load` was told to skip these.
    """
    rounds = saved.rounds
    rows = [_winning_ticket(one, _registered(saved, one.run, rounds)) for one in winning(rounds, rules_of(saved))]
    return pd.DataFrame(rows, columns=COLUMNS)


def records(found: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of `claims` as JSON values; null for what is not there."""
    rows = found.astype(object).to_dict("records")
    return [{str(key): None if _is_nan(value) else value for key, value in row.items()} for row in rows]


def _winning_ticket(one: Winning, registered: str) -> dict[str, Any]:
    estimate = next((criterion.estimate for criterion in one.criteria if criterion.name == NO_WORSE), None)
    where = "" if one.rule.density is None else f" at density {one.rule.density:g}"
    return {
        "run": one.run,
        "id": WINNING,
        "says": f"the ticket is a winning one{where}",
        "answer": one.answer,
        "density": one.density,
        "metric": ACCURACY,
        "estimate": None if estimate is None else estimate.value,
        "low": None if estimate is None else estimate.low,
        "high": None if estimate is None else estimate.high,
        "n": 0 if estimate is None else estimate.n,
        "published": None,
        "agrees": None,
        "registered": registered,
        "why": " ".join(paragraphs(one)),
    }


def _registered(saved: Saved, run: str, rounds: pd.DataFrame) -> str:
    """When the rule that decides was first seen; a run that was saved before rules were recorded had seen all."""
    seen = saved.registered(run)
    number = int(rounds.loc[rounds["run"] == run, "round"].nunique()) if seen is None else seen
    return "before training" if number == 0 else f"after {number} round{'' if number == 1 else 's'}"


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)
