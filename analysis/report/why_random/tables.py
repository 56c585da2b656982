"""The tables of the chapter, as they are shown and with every number."""

from __future__ import annotations

import math

import pandas as pd

from tickets.store.derived import is_dense

from ...why_random import MASKED, Study, reaching, span, symmetry
from ..table import Table

_FIRST = ["setting", "label"]
_INTERVAL = "95 % t-interval over replicates"


def tables_of_study(study: Study) -> list[Table]:
    """The tables beside the figures, less those that are a figure's numbers; tables without a row are left out."""
    made = [_starts(study), _reaching(study), _symmetry(study), _retrained(study)]
    return [table for table in made if len(table.data)]


def _starts(study: Study) -> Table:
    dense = study.rounds[is_dense(study.rounds)]
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
    return Table(
        "starts",
        "Every start",
        data.rename(
            columns={"setting": "on", "label": "start", "accuracy": "test accuracy, %", "loss": "training loss"}
        ),
        "Dense networks at the last step, mean ± standard deviation over replicates. In brackets: unusual hidden "
        "layers, and dropout. Biases start at zero or, with “+ biases”, at what the model itself draws.",
        whole,
    )


def _reaching(study: Study) -> Table:
    dense = study.curves[is_dense(study.curves)]
    whole = study.starts[["run", *_FIRST, "kind"]].merge(reaching(dense), on="run")
    texts = whole.assign(
        text=[_steps(*row) for row in whole[["mean", "low", "high", "reached", "n"]].itertuples(index=False, name=None)]
    )
    wide = texts.pivot(index=["run"], columns="level", values="text")
    levels = list(wide.columns)[::-1]
    named = wide[levels].rename(columns={level: f"{level:g}" for level in levels}).reset_index()
    data = study.starts[["run", *_FIRST]].merge(named, on="run").drop(columns="run")
    return Table(
        "reaching",
        "Steps to a training loss",
        data.rename(columns={"setting": "on", "label": "start"}),
        f"First evaluated step with at most this training loss: mean and {_INTERVAL} that reached it, and how many "
        "did. The interval does not include the replicates that did not reach it.",
        whole,
    )


def _symmetry(study: Study) -> Table:
    units = study.units
    dense = units[is_dense(units)]
    masked = units[(units["round"] == MASKED) & (units["arm"] == "constant")]
    found = pd.concat([symmetry(table) for table in (dense, masked) if len(table)], ignore_index=True)
    whole = study.starts[["run", *_FIRST, "kind"]].merge(found, on="run")
    rows = []
    for key, group in whole.groupby([*_FIRST, "round", "arm"], sort=False):
        apart, far = group["apart"].dropna(), group["apart_within"].dropna()
        rows.append(
            (
                *key,
                len(group),
                span(group["distinct_start"], ".0f"),
                span(group["distinct_end"], ".0f"),
                _first(apart, len(group)),
                span(group["within_end"], ".0f"),
                _first(far, len(group)),
                span(group["spread_end"], ".2g"),
            )
        )
    names = [
        "on", "start", "round", "arm", "networks", "distinct at the start", "distinct at the end", "first differ",
        "distinct within the tolerance at the end", "first differ by more", "spread at the end",
    ]  # fmt: skip
    return Table(
        "symmetry",
        "Distinct hidden units",
        pd.DataFrame(rows, columns=names),
        "Of the layer with the most distinct units. A unit is the vector of its incoming weights, bias and outgoing "
        "weights. “First differ”: the first evaluated step with more distinct units than at the start, and in how many "
        "networks; “by more”: than the tolerance, a thousandth of the longest unit's length, which is also the unit "
        f"of the spread. Arm constant in round {MASKED}: all weights the same under the masks of the named start.",
        whole,
    )


def _retrained(study: Study) -> Table:
    whole = study.starts[["run", *_FIRST, "kind"]].merge(study.ends, on="run")
    rows = []
    for key, group in whole.groupby([*_FIRST, "against"], sort=False):
        accuracy = 100 * group["accuracy_difference"]
        rows.append(
            (
                *key,
                len(group),
                int(group["same_start"].sum()),
                int(group["same_order"].sum()),
                int(group["identical"].sum()),
                f"{group['distance'].mean():.3g} ({span(group['distance'], '.3g')})",
                _mean(float(accuracy.mean()), float(accuracy.std()), "+.2f"),
            )
        )
    names = [
        "on", "start", "ticket against", "pairs", "same start", "same order", "identical ends",
        "distance / distance travelled", "accuracy difference, points",
    ]  # fmt: skip
    return Table(
        "retrained",
        "Networks trained again",
        pd.DataFrame(rows, columns=names),
        "Pairs of dense networks: the ticket with its repeat, its reorder (another data order), its reinit (a fresh "
        "draw, which for a deterministic start is the same start), and the tickets of other replicates. Distance: mean "
        "(minimum to maximum); accuracy: mean ± standard deviation over pairs. With dropout each training has other "
        "noise.",
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
