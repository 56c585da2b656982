"""Which trainings each claim compares, and what came of it: every paired interval behind the claims."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from .ends import AGAINST
from .paired import ACCURACY, COLUMNS, LOSS, Side, paired
from .starts import BUT_FOR_BIASES, BUT_FOR_DROPOUT, BUT_FOR_START, NO_HIDDEN_LAYER, pairs_but_for
from .study import Study

MASKED = 1
"""The round whose mask the claims look at: the first after the dense one."""

_FIRST = ["claim", "setting", "label", "label_other"]


def comparisons(study: Study, confidence: float = 0.95) -> pd.DataFrame:
    """Every comparison that a claim rests on: columns claim, setting, label, label_other, then those of `paired`.

    | claim | first side | second side |
    | --- | --- | --- |
    | dropout_helps | equal start, dropout | the same without dropout |
    | mask_helps | arm `constant` under the first mask of a random start | arm `constant`, dense |
    | mask_ticket | the same | the ticket of that mask |
    | slower | equal start (training loss) | random start |
    | zeros_linear | zeros, no hidden layer (training loss) | random start |
    | zeros_hidden | zeros, hidden layers | random start |
    | biases | zero biases | the model's own |
    | other_end_accuracy | another order, or another start | the ticket of a random start |
    | differing | deterministic start | equal start |
    | without_chance | deterministic start | random start |

    Two runs are compared if they share everything but what the claim is about. Trainings with noise of their own
    (dropout, augmented data) are left out everywhere but in `dropout_helps`.
    """
    parts = [paired(study.rounds, sides, metric, confidence).assign(claim=name) for name, metric, sides in _all(study)]
    there = [part for part in parts if len(part)]
    table = pd.concat(there, ignore_index=True) if there else pd.DataFrame(columns=["claim", *COLUMNS])
    by_run = study.starts.set_index("run")
    texts = {"setting": ("run", "setting"), "label": ("run", "label"), "label_other": ("run_other", "label")}
    table = table.assign(**{name: table[run].map(by_run[column]) for name, (run, column) in texts.items()})
    return table[[*_FIRST, *COLUMNS]]


def _all(study: Study) -> Iterator[tuple[str, str, list[tuple[Side, Side]]]]:
    """(claim, metric, pairs of sides)."""
    starts = study.starts
    quiet = starts[~starts["noisy"]]
    hidden = quiet[quiet["run"].isin(study.hidden)]
    linear = quiet[quiet["widths"] == NO_HIDDEN_LAYER]
    noisy = starts["dropout"] > 0
    with_dropout = _runs(starts[noisy & (starts["kind"] == "equal")])
    yield "dropout_helps", ACCURACY, _sides(starts, BUT_FOR_DROPOUT, with_dropout, _runs(quiet))
    random = _runs(hidden[hidden["kind"] == "random"])
    masked = [Side(run, MASKED, "constant") for run in random]
    yield "mask_helps", ACCURACY, [(side, Side(side.run, 0, "constant")) for side in masked]
    yield "mask_ticket", ACCURACY, [(side, Side(side.run, MASKED)) for side in masked]
    yield "slower", LOSS, _sides(hidden, BUT_FOR_START, _runs(hidden[hidden["kind"] == "equal"]), random)
    drawn = _runs(linear[linear["kind"] == "random"])
    yield "zeros_linear", LOSS, _sides(linear, BUT_FOR_START, _zeros(linear), drawn)
    yield "zeros_hidden", ACCURACY, _sides(hidden, BUT_FOR_START, _zeros(hidden), random)
    drawn = _runs(quiet[quiet["kind"] == "random"])
    zero_biases = _runs(quiet[quiet["biases"] == "zeros"])
    own_biases = _runs(quiet[quiet["biases"] == "model"])
    both = [set(drawn) & set(runs) for runs in (zero_biases, own_biases)]
    yield "biases", ACCURACY, _sides(quiet, BUT_FOR_BIASES, *map(sorted, both))
    again = [(Side(run, 0, arm), Side(run)) for run in random for arm in AGAINST if arm != "repeat"]
    yield "other_end_accuracy", ACCURACY, again
    without_chance = _runs(hidden[hidden["kind"] == "deterministic"])
    yield "differing", ACCURACY, _sides(hidden, BUT_FOR_START, without_chance, _runs(hidden[hidden["kind"] == "equal"]))
    yield "without_chance", ACCURACY, _sides(hidden, BUT_FOR_START, without_chance, random)


def _sides(
    table: pd.DataFrame, shared: Sequence[str], runs: Sequence[str], others: Sequence[str]
) -> list[tuple[Side, Side]]:
    """The dense tickets of each of `runs` beside those of each of `others` that shares these columns with it."""
    pairs = pairs_but_for(table, shared)
    wanted = pairs[pairs["run"].isin(runs) & pairs["run_other"].isin(others)]
    return [(Side(run), Side(other)) for run, other in zip(wanted["run"], wanted["run_other"], strict=True)]


def _zeros(table: pd.DataFrame) -> list[str]:
    return _runs(table[(table["kind"] == "equal") & table["start"].isin(["zeros", "constant 0"])])


def _runs(table: pd.DataFrame) -> list[str]:
    return [str(run) for run in table["run"]]
