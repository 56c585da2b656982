"""The tables behind the answer, as they are shown and with every number."""

from __future__ import annotations

import math

import pandas as pd

from ...why_random import MASKED, Study, reaching, symmetry
from ...why_random.words import difference, span
from ..sheets import Sheet

_FIRST = ["setting", "label"]
_INTERVAL = "95 % t-interval over replicates"


def claims_sheet(claims: pd.DataFrame) -> Sheet:
    """What the campaign shows: a row per claim, case and setting."""
    case = claims["case"].where(claims["case"] == "", " (" + claims["case"] + ")")
    shown = claims.assign(claim=claims["claim"] + case)
    data = shown[["claim", "setting", "verdict", "evidence", "table"]]
    return Sheet(
        "claims",
        "What the campaign shows, claim by claim",
        data.rename(columns={"setting": "on", "table": "numbers"}),
        "From 95 % intervals of differences paired by replicate, and from counts. A comparison shows a claim if its "
        "whole interval lies where the claim holds, and shows that it does not hold if the whole interval lies where "
        "it does not, beyond the margin; all else, and too few data, are “cannot tell”, never “no difference”. A "
        "claim that compares several starts is shown (or shown not to hold) only if each comparison says so. Square "
        "brackets hold intervals.",
        claims,
    )


def sheets_of(study: Study, comparisons: pd.DataFrame) -> list[Sheet]:
    """The tables that claims name, less those that are figures' numbers; tables without a row are left out."""
    made = [_starts(study), _reaching(study), _symmetry(study), _paired(comparisons), _retrained(study)]
    return [sheet for sheet in made if len(sheet.data)]


def _starts(study: Study) -> Sheet:
    dense = study.rounds[(study.rounds["round"] == 0) & (study.rounds["arm"] == "ticket")]
    by_run = dense.groupby("run", sort=False)
    measured = by_run.agg(
        n=("replicate", "nunique"),
        diverged=("diverged", "sum"),
        accuracy=("final_test_accuracy", "mean"),
        accuracy_sd=("final_test_accuracy", "std"),
        loss=("final_train_loss", "mean"),
    ).reset_index()
    whole = study.starts.merge(measured, on="run")
    data = whole[[*_FIRST, "kind", "n"]].assign(
        accuracy=[_mean(100 * row[0], 100 * row[1], ".2f") for row in whole[["accuracy", "accuracy_sd"]].to_numpy()],
        loss=whole["loss"],
        run=whole["run"],
    )
    return Sheet(
        "starts",
        "Every start",
        data.rename(
            columns={"setting": "on", "label": "start", "accuracy": "test accuracy, %", "loss": "training loss"}
        ),
        "Dense networks at the last step, mean ± standard deviation over replicates. In brackets: hidden layers that "
        "are not the usual ones, and dropout. Biases are zeros, but for “+ biases”: those that the model draws itself.",
        whole,
    )


def _reaching(study: Study) -> Sheet:
    dense = study.curves[(study.curves["round"] == 0) & (study.curves["arm"] == "ticket")]
    whole = study.starts[["run", *_FIRST, "kind"]].merge(reaching(dense), on="run")
    texts = whole.assign(
        text=[_steps(*row) for row in whole[["mean", "low", "high", "reached", "n"]].itertuples(index=False, name=None)]
    )
    wide = texts.pivot(index=["run"], columns="level", values="text")
    levels = list(wide.columns)[::-1]
    named = wide[levels].rename(columns={level: f"{level:g}" for level in levels}).reset_index()
    data = study.starts[["run", *_FIRST]].merge(named, on="run").drop(columns="run")
    return Sheet(
        "reaching",
        "Steps to a training loss",
        data.rename(columns={"setting": "on", "label": "start"}),
        f"First evaluated step with at most this training loss: mean and {_INTERVAL} that reached it, and how many "
        "did. An interval of few that reached it says nothing of the others.",
        whole,
    )


def _symmetry(study: Study) -> Sheet:
    units = study.units
    dense = units[(units["round"] == 0) & (units["arm"] == "ticket")]
    masked = units[(units["round"] == MASKED) & (units["arm"] == "constant")]
    found = pd.concat([symmetry(part) for part in (dense, masked) if len(part)], ignore_index=True)
    whole = study.starts[["run", *_FIRST, "kind"]].merge(found, on="run")
    rows = []
    for key, part in whole.groupby([*_FIRST, "round", "arm"], sort=False):
        apart, far = part["apart"].dropna(), part["apart_within"].dropna()
        rows.append(
            (
                *key,
                len(part),
                span(part["distinct_start"], ".0f"),
                span(part["distinct_end"], ".0f"),
                _first(apart, len(part)),
                span(part["within_end"], ".0f"),
                _first(far, len(part)),
                span(part["spread_end"], ".2g"),
            )
        )
    names = [
        "on", "start", "round", "arm", "networks", "distinct at the start", "at the end", "come apart",
        "distinct within the tolerance at the end", "come apart by more", "spread at the end",
    ]  # fmt: skip
    return Sheet(
        "symmetry",
        "Distinct hidden units",
        pd.DataFrame(rows, columns=names),
        "Units of the layer with most distinct ones. A unit is its incoming weights, bias and outgoing weights. "
        "“Come apart”: the first evaluated step with more distinct units than at the start, and in how many "
        "networks. Tolerance: a thousandth of the longest unit's length, which is also the unit of the spread. "
        f"Arm constant in round {MASKED}: all weights the same under the mask of the start beside it.",
        whole,
    )


def _paired(comparisons: pd.DataFrame) -> Sheet:
    texts = [difference(row) for row in comparisons.to_dict("records")]
    sides = [
        comparisons[label] + _which(comparisons[arm], comparisons[number])
        for label, arm, number in (("label", "arm", "round"), ("label_other", "arm_other", "round_other"))
    ]
    data = pd.DataFrame(
        {
            "claim": comparisons["claim"],
            "on": comparisons["setting"],
            "one": sides[0],
            "minus": sides[1],
            "n": comparisons["n"],
            "difference": texts,
            "one is": comparisons["verdict"],
        }
    )
    return Sheet(
        "paired",
        "Every comparison, paired by replicate",
        data,
        "At the last step: test accuracy in points, training loss in nats; mean difference and 95 % t-interval of the "
        "pairs. Runs of one campaign seed show the same examples in the same order in the same replicate. Up to 0.5 "
        "points or 0.01 nats do not matter.",
        comparisons,
    )


def _retrained(study: Study) -> Sheet:
    whole = study.starts[["run", *_FIRST, "kind"]].merge(study.ends, on="run")
    rows = []
    for key, part in whole.groupby([*_FIRST, "against"], sort=False):
        accuracy = 100 * part["accuracy_difference"]
        rows.append(
            (
                *key,
                len(part),
                int(part["same_start"].sum()),
                int(part["same_order"].sum()),
                int(part["identical"].sum()),
                f"{part['distance'].mean():.3g} ({span(part['distance'], '.3g')})",
                _mean(float(accuracy.mean()), float(accuracy.std()), "+.2f"),
            )
        )
    names = [
        "on", "start", "ticket against", "pairs", "same start", "same order", "identical ends",
        "distance / way travelled", "accuracy difference, points",
    ]  # fmt: skip
    return Sheet(
        "retrained",
        "Networks that were trained again",
        pd.DataFrame(rows, columns=names),
        "Pairs of dense networks: the ticket with its repeat, with its reorder (another data order), with its reinit "
        "(drawn anew, which for a start without chance is the same again), and with the tickets of other replicates. "
        "Distance: mean (least to most); accuracy: mean ± standard deviation over pairs. With dropout the noise is "
        "another one in each training.",
        whole,
    )


def _mean(mean: float, deviation: float, form: str) -> str:
    if math.isnan(mean):
        return "no value"
    return f"{mean:{form}}" if math.isnan(deviation) else f"{mean:{form}} ± {deviation:{form.removeprefix('+')}}"


def _steps(mean: float, low: float, high: float, reached: int, n: int) -> str:
    if not reached:
        return f"0 of {n}"
    interval = "" if math.isnan(low) else f" [{low:.0f}, {high:.0f}]"
    return f"{mean:.0f}{interval}, {reached} of {n}"


def _first(steps: pd.Series[float], n: int) -> str:
    return f"0 of {n}" if steps.empty else f"step {span(steps, '.0f')}, {len(steps)} of {n}"


def _which(arms: pd.Series[str], rounds: pd.Series[int]) -> pd.Series[str]:
    """The arm and round of a side, where it is not a dense ticket."""
    plain = (arms == "ticket") & (rounds == 0)
    return (", " + arms + ", round " + rounds.astype(str)).mask(plain, "")
