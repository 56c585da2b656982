"""The claims about how well networks train: each rests on rows of `comparisons`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import pandas as pd

from .claim import Claim, cannot_tell
from .held import NOT, SHOWN, UNKNOWN, Held, better, equivalent, no_worse, together, worse
from .reaching import LEVELS, steps_to
from .study import Study
from .words import extremes, percent, span

TABLE = "paired"


@dataclass(frozen=True)
class Comparison:
    """A claim that is shown if `judge` says so of each of its comparisons.

    sides: what is compared with what, as the evidence begins. lacking: why there may be no such rows.
    """

    claim: str
    judge: Callable[[pd.DataFrame], list[Held]]
    sides: str
    lacking: str


COMPARED: Mapping[str, Comparison] = {
    "dropout_helps": Comparison(
        "Told apart by dropout, equal units make a more accurate network", better,
        "test accuracy with dropout minus without", "no two runs with equal units differ in dropout alone",
    ),
    "mask_helps": Comparison(
        "Told apart by a mask, equal weights make a more accurate network", better,
        "test accuracy of all weights equal, under the mask minus dense",
        "no run with a random start has the arm constant in rounds 0 and 1",
    ),
    "mask_ticket": Comparison(
        "Under a mask, equal weights are as good a start as the ticket's own values", no_worse,
        "test accuracy of all weights equal minus the ticket, under the same mask",
        "no run with a random start has the arm constant in round 1",
    ),
    "slower": Comparison(
        "A start of equal units converges far slower, or to something worse", worse,
        "training loss at the last step, equal minus random start",
        "no two runs, one with equal units and one random, differ in their start alone",
    ),
    "zeros_linear": Comparison(
        "Without hidden layers, zeros are as good a start as random numbers", no_worse,
        "training loss at the last step, zeros minus random start",
        "no two runs without hidden layers, one of zeros and one random, differ in their start alone",
    ),
    "biases": Comparison(
        "Biases that start at zero do no harm", no_worse,
        "test accuracy, zero biases minus the model's own", "no two runs differ in their biases alone",
    ),
    "differing": Comparison(
        "Units must differ, not be random: a start without chance trains where equal units do not", better,
        "test accuracy, start without chance minus equal units",
        "no two runs, one without chance and one with equal units, differ in their start alone",
    ),
    "without_chance": Comparison(
        "A start without chance is as good as random ones", no_worse,
        "test accuracy, start without chance minus random start",
        "no two runs, one without chance and one random, differ in their start alone",
    ),
    "other_end_accuracy": Comparison(
        "Another order or another random start gives the same accuracy", equivalent,
        "test accuracy, trained again minus the ticket",
        "no run with a random start has the arm reorder or reinit",
    ),
}  # fmt: skip

ZEROS = "With hidden layers, a network that starts from zeros never looks at its input"


def compared(name: str, comparisons: pd.DataFrame, setting: str) -> Claim:
    """A claim of COMPARED: shown if each of its comparisons shows it, shown not to hold if each refutes it."""
    about = COMPARED[name]
    rows = comparisons[(comparisons["claim"] == name) & (comparisons["setting"] == setting)]
    if rows.empty:
        return cannot_tell(name, setting, about.claim, about.lacking, TABLE)
    found = about.judge(rows)
    evidence = f"{about.sides}: {extremes(rows)}{_tally(found)}."
    return Claim(name, setting, about.claim, together(found), evidence[0].upper() + evidence[1:], TABLE)


def how_slow(study: Study, setting: str, comparisons: pd.DataFrame) -> str:
    """How many networks of equal and of random starts reach a training loss, and when: a sentence, or nothing.

    Of the starts that `slower` compares; the loss is the lowest of LEVELS that all of the random ones reach.
    """
    rows = comparisons[(comparisons["claim"] == "slower") & (comparisons["setting"] == setting)]
    curves = study.curves[(study.curves["round"] == 0) & (study.curves["arm"] == "ticket")]
    equal, random = (curves[curves["run"].isin(rows[column])] for column in ("run", "run_other"))
    for level in sorted(LEVELS) if len(rows) else []:
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


def zeros_are_blind(study: Study, setting: str, comparisons: pd.DataFrame) -> Iterator[Claim]:
    """Are the last hidden layer's outputs the same for all inputs (effective rank 0) in every network at the end?

    Then its accuracy is that of a constant answer, and the claim is shown. Shown not to hold if such networks are no
    worse than those of each random start.
    """
    rows = comparisons[(comparisons["claim"] == "zeros_hidden") & (comparisons["setting"] == setting)]
    if rows.empty:
        why = "no two runs with hidden layers, one of zeros and one random, differ in their start alone"
        yield cannot_tell("zeros_hidden", setting, ZEROS, why, TABLE)
        return
    units, rounds = (
        table[table["run"].isin(rows["run"]) & (table["round"] == 0) & (table["arm"] == "ticket")]
        for table in (study.units, study.rounds)
    )
    last = units.groupby(["run", "replicate"]).tail(1)["effective_rank"]  # the rows are by step, then by layer
    verdict: Held = UNKNOWN
    if len(last) > 1 and (last == 0).all():
        verdict = SHOWN
    elif together(no_worse(rows)) == SHOWN:
        verdict = NOT
    evidence = (
        f"At the end {(last == 0).sum()} of {len(last)} networks give every input the same hidden values "
        f"(effective rank 0) and so the same answer; test accuracy {percent(rounds['final_test_accuracy'])}, minus "
        f"that of random starts {extremes(rows)}."
    )
    yield Claim("zeros_hidden", setting, ZEROS, verdict, evidence, TABLE)


def _tally(found: list[Held]) -> str:
    """What the comparisons say one by one, where they do not all say the same."""
    if len(set(found)) < 2:
        return ""
    counts = [f"{found.count(held)} {held}" for held in (SHOWN, NOT, UNKNOWN) if held in found]
    return f"; one by one: {', '.join(counts)}"
