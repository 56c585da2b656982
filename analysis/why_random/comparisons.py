"""Every comparison that a claim rests on, with its paired interval."""

from __future__ import annotations

import pandas as pd

from .claims_training import COMPARED
from .paired import COLUMNS, paired
from .study import Study

_FIRST = ["claim", "setting", "label", "label_other"]


def comparisons(study: Study, confidence: float = 0.95) -> pd.DataFrame:
    """Compare the trainings that the claims are about: a row per claim and pair of sides.

    Two runs are compared if they share everything but what the claim is about. Trainings with noise of their own
    (dropout, augmented data) are left out, except in `dropout_helps`.

    Parameters
    ----------
    study : Study
        As `study_of` returns.
    confidence : float
        Of the intervals, in (0, 1).

    Returns
    -------
    DataFrame
        Columns claim (its id), setting, label, label_other, then those of `paired`.
    """
    parts = [
        paired(study.rounds, claim.comparison.sides(study), claim.comparison.metric, confidence).assign(claim=claim.id)
        for claim in COMPARED
        if claim.comparison is not None
    ]
    there = [part for part in parts if len(part)]
    table = pd.concat(there, ignore_index=True) if there else pd.DataFrame(columns=["claim", *COLUMNS])
    by_run = study.starts.set_index("run")
    texts = {"setting": ("run", "setting"), "label": ("run", "label"), "label_other": ("run_other", "label")}
    table = table.assign(**{name: table[run].map(by_run[column]) for name, (run, column) in texts.items()})
    return table[[*_FIRST, *COLUMNS]]
