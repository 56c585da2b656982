"""What a winning ticket must be, and at which densities it is shown to be so."""

from __future__ import annotations

import numpy as np
import pandas as pd

from .comparison import TICKET, against_controls, against_dense
from .metrics import METRICS, find_margin
from .summary import mean_density

NO_WORSE = "no worse than dense"
NO_SLOWER = "no slower than dense"
BETTER_THAN = "better than "

ACCURACY = "early_stop_test_accuracy"
STEP = "early_stop_step"

_COLUMNS = ["run", "round", "density", "criterion", "holds", "n", "estimate", "low", "high"]


def criteria(
    rounds: pd.DataFrame,
    margin: float | None = None,
    step_margin: float | None = None,
    confidence: float = 0.95,
    count_diverged: bool = False,
) -> pd.DataFrame:
    """Each criterion of a winning ticket: a row per run, round after 0 and criterion, and whether it `holds`.

    | criterion | estimate, low, high | `yes` | `no` |
    | --- | --- | --- | --- |
    | no worse than dense | accuracy, ticket minus dense | low >= -margin | high < -margin |
    | no slower than dense | early-stop step, ticket / dense | high <= 1 + step_margin | low > 1 + step_margin |
    | better than ARM, for each control | accuracy, ticket minus control | verdict `better` | high <= margin |

    else `cannot tell`. Accuracy is that of the test set at early stop; dense is the ticket's own round 0. The
    intervals, the margins (by default 0.005 and 5 %) and what becomes of diverged trainings are those of
    `compare`. A control that was not trained in a round is there with n = 0, and cannot tell.

    That all hold at one density is claimed with the confidence of a single interval, since each must hold (an
    intersection-union test: Berger, Technometrics 24, 1982). That they do at some density is not corrected for
    the number of densities.
    Source: Frankle and Carbin, "The Lottery Ticket Hypothesis", ICLR 2019, section 1.
    """
    margin, step_margin = find_margin(margin, METRICS[ACCURACY]), find_margin(step_margin, METRICS[STEP])
    accuracy = against_dense(rounds, ACCURACY, margin, confidence, count_diverged)
    steps = against_dense(rounds, STEP, step_margin, confidence, count_diverged)
    control = against_controls(rounds, ACCURACY, margin, confidence, count_diverged)
    longest = 1 + step_margin
    worse = _held(accuracy["low"] >= -margin, accuracy["high"] < -margin)
    slower = _held(steps["ratio_high"] <= longest, steps["ratio_low"] > longest)
    better = _held(control["verdict"] == "better", control["high"] <= margin)
    ratio = {"ratio": "estimate", "ratio_low": "low", "ratio_high": "high"}
    found = [
        accuracy.assign(criterion=NO_WORSE, holds=worse).rename(columns={"difference": "estimate"}),
        steps.drop(columns=["low", "high"]).assign(criterion=NO_SLOWER, holds=slower).rename(columns=ratio),
        control.assign(criterion=BETTER_THAN + control["arm"], holds=better).rename(columns={"difference": "estimate"}),
    ]
    keys = ["run", "round", "criterion"]
    table = _wanted(rounds).merge(pd.concat([part[[*keys, *_MEASURED]] for part in found]), on=keys, how="left")
    return table.fillna({"holds": "cannot tell", "n": 0}).astype({"n": int})[_COLUMNS]


_MEASURED = ["holds", "n", "estimate", "low", "high"]


def _held(yes: pd.Series[bool], no: pd.Series[bool]) -> list[str]:
    # Comparisons with NaN, where there is no interval, are False both ways.
    return [str(held) for held in np.select([yes, no], ["yes", "no"], "cannot tell")]


def _wanted(rounds: pd.DataFrame) -> pd.DataFrame:
    """run, round, density and criterion: everything that is to hold at every round after 0, in order."""
    tickets = rounds[(rounds["arm"] == TICKET) & (rounds["round"] > 0)]
    densities = mean_density(tickets.groupby(["run", "round"])["density"]).reset_index()
    arms = rounds[["run", "arm"]].drop_duplicates()
    controls = arms[arms["arm"] != TICKET]
    runs = pd.DataFrame({"run": rounds["run"].unique()})
    own = [runs.assign(criterion=NO_WORSE), runs.assign(criterion=NO_SLOWER)]
    asked = pd.concat([*own, controls[["run"]].assign(criterion=BETTER_THAN + controls["arm"])])
    return runs.merge(densities, on="run").merge(asked, on="run")
