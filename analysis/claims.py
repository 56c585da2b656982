"""The claims of a campaign and the answers of its saved runs. Every run has the claim that it has a winning ticket."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pandas as pd

from tickets.config.claims import WINNING, ClaimConfig
from tickets.plurals import counted

from .answers import Winning
from .criteria import ACCURACY, NO_WORSE
from .declared import Declared, declared, metric_of
from .messages import paragraphs
from .rule import Rule, rules_of
from .winning import winning

if TYPE_CHECKING:
    from tickets.store import Saved

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
        | metric, estimate, low, high, n | what was compared, with the interval that decides; for `winning_ticket`: |
        |                                | accuracy at early stop, ticket minus dense |
        | published, agrees | a paper's number in the estimate's unit, and whether the result agrees: `agrees`, |
        |                   | `differs` or `cannot tell`; None without one |
        | registered | `before training`, or after how many rounds the claim, as it is now, was first seen |
        | why | the reason and every number, one sentence per line |

    Raises
    ------
    InputError
        If a run is damaged, unless `load` was told to skip damaged runs.
    """
    rules = rules_of(saved)
    rows = []
    for one in winning(saved.rounds, rules):
        rows.append(_winning_ticket(one, _registered(saved, one.run)))
        rows += answers_of_run(saved, one.run, rules[one.run])
    return pd.DataFrame(rows, columns=COLUMNS)


def answers_of_run(saved: Saved, run: str, rule: Rule) -> list[dict[str, Any]]:
    """The rows of `claims` of the campaign file's claims that concern a run, with their `source`.

    Parameters
    ----------
    saved : Saved
        As `tickets.load` returns.
    run : str
        The run's id.
    rule : Rule
        How the run is judged.
    """
    return [
        _declared(run, claim, found, _registered(saved, run, claim.id)) for claim, found in declared(saved, run, rule)
    ]


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


def _declared(run: str, claim: ClaimConfig, found: Declared, registered: str) -> dict[str, Any]:
    estimate = found.estimate
    return {
        "run": run,
        "id": claim.id,
        "says": claim.says,
        "answer": found.answer,
        "density": found.density,
        "metric": None if claim.function is not None else metric_of(claim),
        "estimate": None if estimate is None else estimate.value,
        "low": None if estimate is None else estimate.low,
        "high": None if estimate is None else estimate.high,
        "n": 0 if estimate is None else estimate.n,
        "published": found.published,
        "agrees": found.agrees,
        "registered": registered,
        "why": "\n".join(found.why),
        "source": claim.source,
        "expect": claim.expect,
        "margin": found.margin,
    }


def _registered(saved: Saved, run: str, claim: str | None = None) -> str:
    """When a claim, or the rule that decides, was first seen; after all rounds, where that is not recorded."""
    seen = saved.registered(run, claim)
    number = int(saved.rounds_of(run)["round"].nunique()) if seen is None else seen
    return "before training" if number == 0 else f"after {counted(number, 'round')}"


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)
