"""The claims about training a network again: from the same start and in the same order, or not."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from ..words import counted, listed
from .claim import Claim, cannot_tell
from .held import NOT, SHOWN, UNKNOWN, Held
from .study import Study
from .words import span

TABLE = "retrained"

SAME = "The same start and the same order end at the same network"
OTHER = "Another order, or another start, ends at another network"

_FEWEST = 2  # pairs from which a claim about all pairs is made


def same_end(study: Study, setting: str) -> Iterator[Claim]:
    """By kind of start: do the ticket and its `repeat` end at the same numbers, bit for bit, in every pair?

    One pair that does not is enough for `shown not to hold`; a network at another place of the stack may have its
    sums taken in another order.
    """
    again = _ends(study, setting)
    again = again[again["against"] == "repeat"]
    if again.empty:
        yield cannot_tell("same_end", setting, SAME, _lacking(study, setting, "repeat"), TABLE)
    for kind, rows in again.groupby("kind", sort=False):
        same = rows["identical"].astype(bool)
        verdict: Held = NOT if not same.all() else SHOWN if len(rows) >= _FEWEST else UNKNOWN
        evidence = f"Bit for bit the same in {same.sum()} of {counted(len(rows), 'pair')}"
        if not same.all():
            apart = rows[~same]
            accuracy = 100 * apart["accuracy_difference"].abs()
            evidence += (
                f"; the others ({listed(list(apart['label'].unique()))}) end {span(apart['distance'], '.2g')} of their "
                f"way apart and {span(accuracy, '.2f')} points of accuracy"
            )
        yield Claim("same_end", setting, SAME, verdict, f"{evidence}.", TABLE, f"{kind} starts")


def other_end(study: Study, setting: str) -> Iterator[Claim]:
    """Of random starts: do trainings in another order or from another start end at other numbers in every pair?"""
    rows = _ends(study, setting)
    rows = rows[(rows["kind"] == "random") & ~(rows["same_start"].astype(bool) & rows["same_order"].astype(bool))]
    if rows.empty:
        yield cannot_tell("other_end", setting, OTHER, _lacking(study, setting, "reorder or reinit"), TABLE)
        return
    same = rows["identical"].astype(bool)
    verdict: Held = UNKNOWN
    if len(rows) >= _FEWEST:
        verdict = SHOWN if not same.any() else NOT if same.all() else UNKNOWN
    told = []
    for text, part in _ways(rows):
        told.append(
            f"{text} {part['distance'].mean():.2f} [{span(part['distance'], '.2f')}] ({counted(len(part), 'pair')})"
        )
    spread = rows.loc[rows["against"] == "ticket", ["run", "replicate", "other"]]
    evidence = f"Ends differ in {(~same).sum()} of {len(rows)} pairs; apart by, mean and range over the way travelled: "
    evidence += "; ".join(told) + "." + (_spread(study, spread) if len(spread) else "")
    yield Claim("other_end", setting, OTHER, verdict, evidence, TABLE)


def _ends(study: Study, setting: str) -> pd.DataFrame:
    """The rows of `ends` of the setting's runs with hidden layers and without noise, with kind and label."""
    starts = study.starts[(study.starts["setting"] == setting) & ~study.starts["noisy"]]
    hidden = starts[starts["run"].isin(study.hidden)]
    return hidden[["run", "kind", "label"]].merge(study.ends, on="run")


def _ways(rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """The pairs by what they do not share."""
    start, order = rows["same_start"].astype(bool), rows["same_order"].astype(bool)
    ways = (("other order", start & ~order), ("other start", ~start & order), ("both other", ~start & ~order))
    for text, chosen in ways:
        if chosen.any():
            yield text, rows[chosen]


def _spread(study: Study, tickets: pd.DataFrame) -> str:
    dense = study.rounds[(study.rounds["round"] == 0) & (study.rounds["arm"] == "ticket")]
    spread = dense[dense["run"].isin(tickets["run"])].groupby("run")["final_test_accuracy"].std()
    return f" Accuracy over replicates has a standard deviation of {span(100 * spread, '.2f')} points."


def _lacking(study: Study, setting: str, arm: str) -> str:
    runs = study.starts.loc[study.starts["setting"] == setting, "run"]
    why = [study.no_ends[run] for run in runs if run in study.no_ends]
    return why[0] if why else f"no run without noise has the arm {arm}"
