"""A metric against density: one line per arm with its interval, and the dense network as reference."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy import special

from ...labels import CLASSIFICATION, Label, Labels, capitalised
from ...metrics import find_metric, values_of
from ...pairs import TICKET
from ...summary import over_replicates
from ..annotation import label_ends, short_names
from ..look import drawing, looks_of
from ..panels import one_panel
from ..ticks import density_axis, within

ACCURACY = "early_stop_test_accuracy"

INTERVALS = (
    "Line: mean over replicates, draws averaged first. Band: 95 % t-interval of the mean, of each arm by itself. "
    "Differences between arms are judged in pairs, in the tables."
)
"""What lines and bands are, for captions."""


def by_density(rounds: pd.DataFrame, metric: str = ACCURACY, confidence: float = 0.95) -> pd.DataFrame:
    """Mean of a metric over replicates and its t-interval: a row per round and arm.

    Draws are averaged within each replicate first. Trainings without a value (`values_of`) are left out. The interval
    is Student's, mean -+ t s / sqrt(n), t the (1 + confidence) / 2 quantile with n - 1 degrees of freedom. It is of
    each arm by itself; `compare` compares arms in pairs.

    Parameters
    ----------
    rounds : DataFrame
        The rows of one run.
    metric : str
        A name in `METRICS`.
    confidence : float
        In (0, 1).

    Returns
    -------
    DataFrame
        Columns round, density, arm, n (replicates with a value), mean, low and high; low and high are NaN for n < 2.

    Raises
    ------
    InputError
        If the metric is unknown.
    """
    find_metric(metric)
    summary = over_replicates(rounds.assign(**{metric: values_of(rounds, metric)}), metric)
    n = summary["n"].to_numpy()
    half = special.stdtrit(np.maximum(n - 1, 1), (1 + confidence) / 2) * summary["std"] / np.sqrt(np.maximum(n, 1))
    data = summary.assign(low=summary["mean"] - half, high=summary["mean"] + half)
    return data.sort_values("round", kind="stable", ignore_index=True)[
        ["round", "density", "arm", "n", "mean", "low", "high"]
    ]


@drawing
def draw_by_density(
    data: pd.DataFrame, metric: str = ACCURACY, most: float = math.inf, labels: Labels = CLASSIFICATION
) -> Figure:
    """Draw mean and interval against density, on a log scale that falls to the right.

    Parameters
    ----------
    data : DataFrame
        As `by_density` returns.
    metric : str
        A name in `METRICS`.
    most : float
        The largest possible value, such as the steps of a training. The axis is cut there.
    labels : Labels
        Names and units.
    """
    looks, names, label = looks_of(data["arm"]), short_names(data["arm"]), labels.of(metric)
    figure, axes = one_panel(len(looks) + 1, right=0.72)
    density_axis(axes, list(data["density"]))
    axes.set_ylabel(f"{labels.heading(metric)}{label.axis_unit}")
    shown = data.assign(**{name: data[name] * label.factor for name in ("mean", "low", "high")})
    dense = _dense(shown)
    if dense is not None:
        axes.axhline(dense, linestyle=(0, (4, 3)), linewidth=1, zorder=1, color=looks[TICKET].colour)
    ends = []
    # The ticket is drawn last, over the other arms.
    for arm in sorted(looks, key=lambda arm: arm == TICKET):
        rows = shown[(shown["arm"] == arm) & shown["mean"].notna()]
        if rows.empty:
            continue
        look = looks[arm]
        axes.fill_between(rows["density"], rows["low"], rows["high"], color=look.colour, alpha=0.16, linewidth=0)
        axes.plot(rows["density"], rows["mean"], color=look.colour, marker=look.marker, clip_on=False)
        ends.append((names[arm], float(rows["density"].iloc[-1]), float(rows["mean"].iloc[-1]), look.colour))
    low, high = label.bounds(shown["mean"])
    within(axes, low, min(high, most))
    if dense is not None:
        ends.append(("dense (dashed)", axes.get_xlim()[1], dense, looks[TICKET].colour))
    label_ends(axes, ends)
    return figure


def describe_by_density(data: pd.DataFrame, metric: str = ACCURACY, labels: Labels = CLASSIFICATION) -> str:
    """The text alternative of the figure; parameters as for `draw_by_density`."""
    ranges = f"density {data['density'].max():.4g} to {data['density'].min():.4g}"
    n = sorted({int(n) for n in data["n"]})
    counts = f"{n[0]}" if len(n) == 1 else f"{n[0]} to {n[-1]}"
    intervals = "with 95 % intervals" if n[-1] > 1 else "without intervals, since one value has no spread"
    arms = [f"{arm}: {_course(rows, metric, labels.of(metric))}" for arm, rows in data.groupby("arm", sort=False)]
    return (
        f"{capitalised(labels.heading(metric))} against {ranges}, mean over {counts} "
        f"replicate{'s' if n[-1] != 1 else ''} {intervals}. {'; '.join(arms)}."
    )


def _course(rows: pd.DataFrame, metric: str, label: Label) -> str:
    """An arm's values at the first and the last density and, between them, at the best one."""
    there = rows[rows["mean"].notna()]
    if there.empty:
        steps = find_metric(metric).ratio
        return f"no value, all diverged{' or were best before their first step' if steps else ''}"

    def text(row: pd.Series[float]) -> str:
        return f"{label.interval_text(row['mean'], row['low'], row['high'])} at {row['density']:.4g}"

    first, last = there.iloc[0], there.iloc[-1]
    if len(there) == 1:
        return text(first)
    means, more = there["mean"].to_numpy(), find_metric(metric).more_is_better
    best = there.iloc[int(means.argmax() if more else means.argmin())]
    between = best["round"] not in (first["round"], last["round"])
    middle = f", {'highest' if more else 'lowest'} {text(best)}" if between else ""
    return f"{text(first)}{middle}, {text(last)}"


def _dense(data: pd.DataFrame) -> float | None:
    found = data.loc[(data["arm"] == TICKET) & (data["round"] == 0), "mean"]
    return None if found.empty or math.isnan(found.iloc[0]) else float(found.iloc[0])
