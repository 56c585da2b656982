"""The claims about training a network again: from the same start and in the same data order, or not."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from tickets.plurals import counted
from tickets.store.derived import is_dense

from ..text import listed
from .claim import Claim, Finding, absent
from .study import Study
from .text import span
from .verdict import REFUTED, SHOWN, UNKNOWN, Verdict

TABLE = "retrained"

_FEWEST = 2  # pairs, for a claim about all pairs


def _same_end(study: Study, setting: str, rows: pd.DataFrame) -> Iterator[Finding]:
    """By kind of start: do the ticket and its `repeat` end at the same numbers, bit for bit, in every pair?

    Refuted by one pair that does not: a network at another place of the stack may have its sums computed in another
    order.
    """
    again = _ends(study, setting)
    again = again[again["against"] == "repeat"]
    if again.empty:
        yield absent(_lacking(study, setting, "repeat"))
    for kind, group in again.groupby("kind", sort=False):
        same = group["identical"].astype(bool)
        verdict: Verdict = REFUTED if not same.all() else SHOWN if len(group) >= _FEWEST else UNKNOWN
        evidence = f"Bit for bit the same in {same.sum()} of {counted(len(group), 'pair')}"
        if not same.all():
            apart = group[~same]
            accuracy = 100 * apart["accuracy_difference"].abs()
            evidence += (
                f"; the others ({listed(list(apart['label'].unique()))}) end {span(apart['distance'], '.2g')} of the "
                f"distance travelled apart, and differ by {span(accuracy, '.2f')} points of accuracy"
            )
        yield Finding(verdict, f"{evidence}.", f"{kind} starts")


def _other_end(study: Study, setting: str, rows: pd.DataFrame) -> Iterator[Finding]:
    """Of random starts: do trainings in another order or from another start end at other numbers in every pair?"""
    pairs = _ends(study, setting)
    pairs = pairs[(pairs["kind"] == "random") & ~(pairs["same_start"].astype(bool) & pairs["same_order"].astype(bool))]
    if pairs.empty:
        yield absent(_lacking(study, setting, "reorder or reinit"))
        return
    same = pairs["identical"].astype(bool)
    verdict: Verdict = UNKNOWN
    if len(pairs) >= _FEWEST:
        verdict = SHOWN if not same.any() else REFUTED if same.all() else UNKNOWN
    ways = [
        f"{text} {group['distance'].mean():.2f} [{span(group['distance'], '.2f')}] ({counted(len(group), 'pair')})"
        for text, group in _ways(pairs)
    ]
    tickets = pairs.loc[pairs["against"] == "ticket", ["run", "replicate", "other"]]
    evidence = (
        f"Ends differ in {(~same).sum()} of {len(pairs)} pairs; distance between ends / distance travelled, mean and "
        f"range: {'; '.join(ways)}.{_spread(study, tickets) if len(tickets) else ''}"
    )
    yield Finding(verdict, evidence)


SAME_END = Claim("same_end", "The same start and the same data order end at the same network", TABLE, _same_end)
OTHER_END = Claim("other_end", "Another data order, or another start, ends at another network", TABLE, _other_end)


def _ends(study: Study, setting: str) -> pd.DataFrame:
    """The rows of `ends` of the setting's runs with hidden layers and without noise, with kind and label."""
    starts = study.starts[(study.starts["setting"] == setting) & ~study.starts["noisy"]]
    hidden = starts[starts["run"].isin(study.hidden)]
    return hidden[["run", "kind", "label"]].merge(study.ends, on="run")


def _ways(pairs: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """The pairs by what the two trainings do not share."""
    start, order = pairs["same_start"].astype(bool), pairs["same_order"].astype(bool)
    ways = (("other order", start & ~order), ("other start", ~start & order), ("both other", ~start & ~order))
    for text, chosen in ways:
        if chosen.any():
            yield text, pairs[chosen]


def _spread(study: Study, tickets: pd.DataFrame) -> str:
    dense = study.rounds[is_dense(study.rounds)]
    spread = dense[dense["run"].isin(tickets["run"])].groupby("run")["final_test_accuracy"].std()
    return f" Accuracy over replicates has a standard deviation of {span(100 * spread, '.2f')} points."


def _lacking(study: Study, setting: str, arm: str) -> str:
    runs = study.starts.loc[study.starts["setting"] == setting, "run"]
    why = [study.no_ends[run] for run in runs if run in study.no_ends]
    return why[0] if why else f"no run without noise has the arm {arm}"
