"""Which trainings of a study are compared with which, for each claim about training."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from .ends import AGAINST
from .paired import Side
from .starts import BUT_FOR_BIASES, BUT_FOR_DROPOUT, BUT_FOR_START, NO_HIDDEN_LAYER, pairs_but_for
from .study import MASKED, Study

Sides = list[tuple[Side, Side]]


def dropout_and_none(study: Study) -> Sides:
    """Equal starts that train with dropout, and the same without."""
    starts = study.starts
    with_dropout = starts[(starts["dropout"] > 0) & (starts["kind"] == "equal")]
    return _dense(starts, BUT_FOR_DROPOUT, _runs(with_dropout), _runs(_quiet(study)))


def masked_and_dense(study: Study) -> Sides:
    """Arm `constant` under the first mask of a random start, and `constant` in round 0."""
    return [(side, Side(side.run, 0, side.arm)) for side in _masked(study)]


def masked_and_ticket(study: Study) -> Sides:
    """Arm `constant` under the first mask of a random start, and the ticket of that mask."""
    return [(side, Side(side.run, MASKED)) for side in _masked(study)]


def equal_and_random(study: Study) -> Sides:
    """Starts of equal units, and random starts."""
    return _kinds(study, "equal", "random")


def deterministic_and_equal(study: Study) -> Sides:
    """Deterministic starts, and starts of equal units."""
    return _kinds(study, "deterministic", "equal")


def deterministic_and_random(study: Study) -> Sides:
    """Deterministic starts, and random starts."""
    return _kinds(study, "deterministic", "random")


def zeros_and_random_without_layers(study: Study) -> Sides:
    """Without hidden layers: starts from zeros, and random starts."""
    quiet = _quiet(study)
    linear = quiet[quiet["widths"] == NO_HIDDEN_LAYER]
    return _dense(linear, BUT_FOR_START, _zeros(linear), _runs(linear[linear["kind"] == "random"]))


def zeros_and_random_with_layers(study: Study) -> Sides:
    """With hidden layers: starts from zeros, and random starts."""
    hidden = _hidden(study)
    return _dense(hidden, BUT_FOR_START, _zeros(hidden), _runs(hidden[hidden["kind"] == "random"]))


def zero_biases_and_own(study: Study) -> Sides:
    """Random starts whose biases are zeros, and those whose biases the model draws."""
    quiet = _quiet(study)
    random = quiet[quiet["kind"] == "random"]
    zeros, own = (sorted(_runs(random[random["biases"] == biases])) for biases in ("zeros", "model"))
    return _dense(quiet, BUT_FOR_BIASES, zeros, own)


def again_and_ticket(study: Study) -> Sides:
    """Random starts trained again in another data order or from another draw, and their tickets."""
    hidden = _hidden(study)
    arms = [arm for arm in AGAINST if arm != "repeat"]
    return [(Side(run, 0, arm), Side(run)) for run in _runs(hidden[hidden["kind"] == "random"]) for arm in arms]


def _quiet(study: Study) -> pd.DataFrame:
    """The starts whose trainings have no noise of their own."""
    return study.starts[~study.starts["noisy"]]


def _hidden(study: Study) -> pd.DataFrame:
    quiet = _quiet(study)
    return quiet[quiet["run"].isin(study.hidden)]


def _masked(study: Study) -> list[Side]:
    hidden = _hidden(study)
    return [Side(run, MASKED, "constant") for run in _runs(hidden[hidden["kind"] == "random"])]


def _kinds(study: Study, first: str, second: str) -> Sides:
    hidden = _hidden(study)
    first_runs, second_runs = (_runs(hidden[hidden["kind"] == kind]) for kind in (first, second))
    return _dense(hidden, BUT_FOR_START, first_runs, second_runs)


def _zeros(table: pd.DataFrame) -> list[str]:
    return _runs(table[(table["kind"] == "equal") & table["start"].isin(["zeros", "constant 0"])])


def _dense(table: pd.DataFrame, shared: Sequence[str], runs: Sequence[str], others: Sequence[str]) -> Sides:
    """The dense tickets of `runs` beside those of `others`, where two runs share these columns of `starts`."""
    pairs = pairs_but_for(table, shared)
    wanted = pairs[pairs["run"].isin(runs) & pairs["run_other"].isin(others)]
    return [(Side(run), Side(other)) for run, other in zip(wanted["run"], wanted["run_other"], strict=True)]


def _runs(table: pd.DataFrame) -> list[str]:
    return [str(run) for run in table["run"]]
