"""The claims of a campaign and the answers of its saved runs. Every run has the claim that it has a winning ticket."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pandas as pd

from tickets.plurals import counted

from .answers import Winning
from .criteria import ACCURACY, NO_WORSE
from .messages import paragraphs
from .rule import rules_of
from .winning import winning

if TYPE_CHECKING:
    from tickets.store import Saved

WINNING = "winning_ticket"

COLUMNS = [
    "run", "id", "says", "answer", "density", "metric", "estimate", "low", "high", "n", "published", "agrees",
    "registered", "why",
]  # fmt: skip


def claims(saved: Saved) -> pd.DataFrame:
    """Answer each claim: a row per run and claim.

    Parameters
    ----------
    saved : Saved
        As `tickets.load` returns.

    Returns
    -------
    DataFrame
        | column | content |
        | --- | --- |
        | run | the run's id |
        | id, says | the claim; every run has `winning_ticket` |
        | answer | `yes`, `no` or `cannot tell` |
        | density | where it was decided; None if at no density |
        | metric, estimate, low, high, n | for `winning_ticket`: accuracy at early stop, ticket minus dense |
        | published, agrees | a paper's number, and whether the result agrees; None for `winning_ticket` |
        | registered | `before training`, or after how many rounds the rule that decides was first seen |
        | why | the reason and every number, one sentence per line |

    Raises
    ------
    InputError
        If a run is damaged, unless `load` was told to skip damaged runs.
    """
    rounds = saved.rounds
    rows = [_winning_ticket(one, _registered(saved, one.run, rounds)) for one in winning(rounds, rules_of(saved))]
    return pd.DataFrame(rows, columns=COLUMNS)


def records(found: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of `claims` as JSON values; None for missing values."""
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
        "why": "\n".join(paragraphs(one)),
    }


def _registered(saved: Saved, run: str, rounds: pd.DataFrame) -> str:
    """When the rule that decides was first seen; after all rounds, for a run saved before rules were recorded."""
    seen = saved.registered(run)
    number = int(rounds.loc[rounds["run"] == run, "round"].nunique()) if seen is None else seen
    return "before training" if number == 0 else f"after {counted(number, 'round')}"


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)
