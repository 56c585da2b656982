"""The claims about how well networks train: each rests on rows of `comparisons`."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pandas as pd

from tickets.store.derived import is_dense

from ..labels import capitalised
from . import sides
from .claim import Claim, Comparison, Finding, absent
from .paired import ACCURACY, LOSS
from .reaching import LEVELS, steps_to
from .study import Study
from .text import extremes, percent, span
from .verdict import REFUTED, SHOWN, UNKNOWN, Verdict, better, equivalent, no_worse, together, worse

TABLE = "paired"


def _compared(
    id: str,
    sentence: str,
    verdicts: Callable[[pd.DataFrame], list[Verdict]],
    metric: str,
    pairs: Callable[[Study], sides.Sides],
    measured: str,
    lacking: str,
    more: Callable[[Study, pd.DataFrame], str] = lambda study, rows: "",
) -> Claim:
    """A claim that is shown if each of its comparisons shows it, and refuted if each refutes it.

    Parameters
    ----------
    id, sentence : str
        As in `Claim`.
    verdicts : callable
        The verdict on each comparison.
    metric, pairs
        As in `Comparison`.
    measured : str
        What the numbers of the evidence are.
    lacking : str
        What the campaign lacks if it has no such comparison.
    more : callable, optional
        more(study, comparisons) returns a further sentence of evidence.
    """

    def judge(study: Study, setting: str, rows: pd.DataFrame) -> Iterator[Finding]:
        if rows.empty:
            yield absent(lacking)
            return
        found = verdicts(rows)
        evidence = f"{capitalised(measured)}: {extremes(rows)}{_tally(found)}.{more(study, rows)}"
        yield Finding(together(found), evidence)

    return Claim(id, sentence, TABLE, judge, Comparison(metric, pairs))


def _tally(found: list[Verdict]) -> str:
    """How many comparisons have each verdict; "" if all have the same."""
    if len(set(found)) < 2:
        return ""
    counts = [f"{found.count(verdict)} {verdict}" for verdict in (SHOWN, REFUTED, UNKNOWN) if verdict in found]
    return f"; one by one: {', '.join(counts)}"


def _how_slow(study: Study, rows: pd.DataFrame) -> str:
    """How many networks of equal and of random starts reach a training loss, and when; "" if no loss is suitable.

    The loss is the lowest of `LEVELS` that all networks of the random starts reach.
    """
    curves = study.curves[is_dense(study.curves)]
    equal, random = (curves[curves["run"].isin(rows[column])] for column in ("run", "run_other"))
    for level in sorted(LEVELS):
        steps = steps_to(random, level)
        if steps.notna().all():
            others = steps_to(equal, level)
            reached = others.dropna()
            when = f", after {span(reached, '.0f')} steps" if len(reached) else ""
            return (
                f" A training loss of {level:g} is reached by all {len(steps)} networks from random starts, after "
                f"{span(steps, '.0f')} steps, and by {len(reached)} of {len(others)} from equal ones{when}."
            )
    return ""


def _ignores_input(study: Study, setting: str, rows: pd.DataFrame) -> Iterator[Finding]:
    """Shown if the last hidden layer's outputs are the same for all inputs (effective rank 0) in every network.

    The network then gives every input the same answer. Refuted if such networks are no worse than those of each random
    start.
    """
    if rows.empty:
        yield absent("no two runs with hidden layers, one of zeros and one random, differ in their start alone")
        return
    units, rounds = (table[table["run"].isin(rows["run"]) & is_dense(table)] for table in (study.units, study.rounds))
    last = units.groupby(["run", "replicate"]).tail(1)["effective_rank"]  # rows are sorted by step, then by layer
    verdict: Verdict = UNKNOWN
    if len(last) > 1 and (last == 0).all():
        verdict = SHOWN
    elif together(no_worse(rows)) == SHOWN:
        verdict = REFUTED
    yield Finding(
        verdict,
        f"At the end {(last == 0).sum()} of {len(last)} networks give every input the same hidden values "
        f"(effective rank 0) and so the same answer; test accuracy {percent(rounds['final_test_accuracy'])}, minus "
        f"that of random starts {extremes(rows)}.",
    )


DROPOUT_HELPS = _compared(
    "dropout_helps", "Equal units train to a more accurate network with dropout than without", better,
    ACCURACY, sides.dropout_and_none, "test accuracy with dropout minus without",
    "no two runs with equal units differ in dropout alone",
)  # fmt: skip
MASK_HELPS = _compared(
    "mask_helps", "Equal weights train to a more accurate network under a mask than without", better,
    ACCURACY, sides.masked_and_dense, "test accuracy of all weights equal, under the mask minus dense",
    "no run with a random start has the arm constant in rounds 0 and 1",
)  # fmt: skip
MASK_TICKET = _compared(
    "mask_ticket", "Under a mask, equal weights are as good a start as the ticket's own values", no_worse,
    ACCURACY, sides.masked_and_ticket, "test accuracy of all weights equal minus the ticket, under the same mask",
    "no run with a random start has the arm constant in round 1",
)  # fmt: skip
SLOWER = _compared(
    "slower", "A start of equal units converges far more slowly, or to a worse network", worse,
    LOSS, sides.equal_and_random, "training loss at the last step, equal minus random start",
    "no two runs, one with equal units and one random, differ in their start alone", _how_slow,
)  # fmt: skip
ZEROS_LINEAR = _compared(
    "zeros_linear", "Without hidden layers, zeros are as good a start as random numbers", no_worse,
    LOSS, sides.zeros_and_random_without_layers, "training loss at the last step, zeros minus random start",
    "no two runs without hidden layers, one of zeros and one random, differ in their start alone",
)  # fmt: skip
ZEROS_HIDDEN = Claim(
    "zeros_hidden", "With hidden layers, a network that starts from zeros ignores its input", TABLE,
    _ignores_input, Comparison(ACCURACY, sides.zeros_and_random_with_layers),
)  # fmt: skip
BIASES = _compared(
    "biases", "Biases that start at zero do no harm", no_worse,
    ACCURACY, sides.zero_biases_and_own, "test accuracy, zero biases minus the model's own",
    "no two runs differ in their biases alone",
)  # fmt: skip
OTHER_END_ACCURACY = _compared(
    "other_end_accuracy", "Another data order or another random start gives the same accuracy", equivalent,
    ACCURACY, sides.again_and_ticket, "test accuracy, trained again minus the ticket",
    "no run with a random start has the arm reorder or reinit",
)  # fmt: skip
DIFFERING = _compared(
    "differing",
    "Units must differ, and need not be random: a deterministic start trains where equal units do not", better,
    ACCURACY, sides.deterministic_and_equal, "test accuracy, deterministic start minus equal units",
    "no two runs, one deterministic and one with equal units, differ in their start alone",
)  # fmt: skip
WITHOUT_CHANCE = _compared(
    "without_chance", "A deterministic start is as good as random ones", no_worse,
    ACCURACY, sides.deterministic_and_random, "test accuracy, deterministic minus random start",
    "no two runs, one deterministic and one random, differ in their start alone",
)  # fmt: skip

COMPARED = (
    DROPOUT_HELPS, MASK_HELPS, MASK_TICKET, SLOWER, ZEROS_LINEAR, ZEROS_HIDDEN, BIASES, OTHER_END_ACCURACY, DIFFERING,
    WITHOUT_CHANCE,
)  # fmt: skip
"""The claims that compare trainings, in the order of the table of comparisons."""
