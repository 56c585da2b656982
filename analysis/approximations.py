"""The approximations of a campaign's networks by random subnetworks, as saved by `tickets approximate`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from tickets.store.layout import Layout

if TYPE_CHECKING:
    from tickets.store import Saved

RANDOM = ("uniform", "normal")
EQUAL = ("constant",)
ACCURACY_MARGIN = 0.001
"""Accuracies are as good as each other within 0.1 points: 10 of MNIST's 10,000 test examples."""

COLUMNS = [
    "run", "replicate", "round", "arm", "values", "construction", "candidates", "tolerance", "target_accuracy",
    "accuracy", "kept_per_weight", "worst_error", "mean_error", "within_tolerance", "width_factor", "seconds", "folder",
]  # fmt: skip


def approximations(saved: Saved, run: str | None = None) -> pd.DataFrame:
    """What was measured of each approximation in the campaign's folder `approximations`: a row for each.

    Parameters
    ----------
    saved : Saved
        The campaign.
    run : str, optional
        The run whose networks were approximated; default: all.

    Returns
    -------
    DataFrame
        Columns run, replicate, round, arm (the target), values, construction, candidates, tolerance (how it was
        searched), target_accuracy, accuracy (on the test set, in [0, 1]), kept_per_weight, worst_error, mean_error,
        within_tolerance (share of weights), width_factor, seconds and folder. Approximations that are not finished are
        left out.

    Raises
    ------
    InputError
        If a file is damaged.
    """
    from tickets.approximation.saved import is_measured, read_approximation

    rows = []
    for folder in _folders(saved):
        if is_measured(folder):
            found = read_approximation(folder)
            target, measured = found.record["target"], {**found.record["settings"], **found.result}
            rows.append({**{name: measured.get(name, target.get(name)) for name in COLUMNS}, "folder": str(folder)})
    table = pd.DataFrame(rows, columns=COLUMNS)
    return table if run is None else table[table["run"] == run].reset_index(drop=True)


def constructed(saved: Saved, run: str) -> dict[str, Any]:
    """Claim: random numbers hold a subnetwork that is as accurate as the trained network, within 0.1 points.

    It is about every approximation of the run's networks by uniform or normal numbers that was saved: `yes` if all of
    them are as accurate as their targets, `no` if one is not.
    """
    table = _dense(saved, run, RANDOM)
    lost = (table["target_accuracy"] - table["accuracy"]).astype(float)
    return _answer(table, bool((lost <= ACCURACY_MARGIN).all()))


def equal_numbers_fail(saved: Saved, run: str) -> dict[str, Any]:
    """Claim: numbers that are all equal hold none.

    It is about every approximation by one constant that was saved: `yes` if each is less accurate than its target by
    more than 0.1 points, `no` if one is not.
    """
    table = _dense(saved, run, EQUAL)
    lost = (table["target_accuracy"] - table["accuracy"]).astype(float)
    return _answer(table, bool((lost > ACCURACY_MARGIN).all()))


def _dense(saved: Saved, run: str, values: Sequence[str]) -> pd.DataFrame:
    table = approximations(saved, run)
    return table[table["values"].isin(values) & table["accuracy"].notna()]


def _answer(table: pd.DataFrame, holds: bool) -> dict[str, Any]:
    if table.empty:
        return {"answer": "cannot tell", "why": "There is no such approximation yet; `tickets approximate` makes one."}
    lines = [
        f"{row['values']}{'' if row['construction'] == 'weight' else ', by ' + row['construction']}, "
        f"{row['candidates']} candidates: accuracy {100 * row['accuracy']:.2f} % of {100 * row['target_accuracy']:.2f} "
        f"%, worst error of a weight {row['worst_error']:.2g}, {row['kept_per_weight']:.2f} kept a weight."
        for row in table.to_dict("records")
    ]
    difference = (table["accuracy"] - table["target_accuracy"]).astype(float)
    return {
        "answer": "yes" if holds else "no",
        "estimate": float(difference.mean()),
        "n": len(table),
        "density": 1.0,
        "why": "\n".join(lines),
    }


def _folders(saved: Saved) -> list[Path]:
    """The folders of approximations of the campaigns, of which a folder that was loaded may be a single run."""
    campaigns = [folder if (folder / Layout.APPROXIMATIONS).is_dir() else folder.parent for folder in saved.folders]
    return [
        one for campaign in dict.fromkeys(campaigns) for one in sorted((campaign / Layout.APPROXIMATIONS).glob("*"))
    ]
