"""Why are initial weights random? Each claim, in each setting, and whether the campaign shows it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace

import pandas as pd

from tickets.store import Saved

from .about_ends import other_end, same_end
from .about_geometry import keeps_distances, one_direction
from .about_symmetry import dropout_breaks, mask_breaks, stay_equal
from .about_training import compared, how_slow, zeros_are_blind
from .claim import Claim
from .comparisons import comparisons
from .study import Study, study_of

COLUMNS = ["name", "claim", "case", "setting", "verdict", "evidence", "table"]


def claims(saved: Saved, confidence: float = 0.95) -> pd.DataFrame:
    """Each claim about initial values: a row per claim, case and setting (mostly: data set), claims in order.

    Columns: name, claim (in words), case, setting, verdict, evidence (the numbers in a sentence or two), table (of the
    report, that holds all of them). Verdicts are `shown`, `shown not to hold` and `cannot tell`; they come from
    intervals and counts alone, and a claim that compares several starts is shown only if each comparison shows it. A
    claim that the campaign has no runs for is there, with why.

    Raises InputError if the campaign has nothing to say of initial values, see `why_no_study`.
    """
    study = study_of(saved)
    return judged(study, comparisons(study, confidence))


def judged(study: Study, compared_pairs: pd.DataFrame) -> pd.DataFrame:
    """As `claims`, of what is read already. compared_pairs: `comparisons` of the same study."""
    found = [claim for setting in study.settings for claim in _claims(study, setting, compared_pairs)]
    # Each claim of one case stands beside itself in the other settings; names and cases keep their order.
    names, cases = (list(dict.fromkeys(keys)) for keys in ((one.name for one in found), (one.case for one in found)))
    rows = sorted(found, key=lambda claim: (names.index(claim.name), cases.index(claim.case)))
    return pd.DataFrame([asdict(claim) for claim in rows], columns=COLUMNS)


def _claims(study: Study, setting: str, pairs: pd.DataFrame) -> Iterator[Claim]:
    yield from stay_equal(study, setting)
    slower = compared("slower", pairs, setting)
    yield replace(slower, evidence=slower.evidence + how_slow(study, setting, pairs))
    yield compared("differing", pairs, setting)
    yield compared("without_chance", pairs, setting)
    yield from keeps_distances(study, setting)
    yield from one_direction(study, setting)
    yield from dropout_breaks(study, setting)
    yield compared("dropout_helps", pairs, setting)
    yield from mask_breaks(study, setting)
    yield compared("mask_helps", pairs, setting)
    yield compared("mask_ticket", pairs, setting)
    yield compared("zeros_linear", pairs, setting)
    yield from zeros_are_blind(study, setting, pairs)
    yield compared("biases", pairs, setting)
    yield from same_end(study, setting)
    yield from other_end(study, setting)
    yield compared("other_end_accuracy", pairs, setting)
