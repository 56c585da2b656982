"""A metric against density, one line an arm, with its interval; the dense network as reference."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy import special

from ..comparison import TICKET
from ..metrics import find_metric, values_of
from ..summary import over_replicates
from .labels import label_ends, short_names
from .layout import one_panel
from .look import drawing, looks_of
from .ticks import density_axis, within
from .words import in_unit, named_unit, with_interval

ACCURACY = "early_stop_test_accuracy"


def by_density(rounds: pd.DataFrame, metric: str = ACCURACY, confidence: float = 0.95) -> pd.DataFrame:
    """Mean of a metric over replicates and its interval: a row per round and arm of one run.

    rounds: the rows of one run. Columns: round, density, arm, n, mean, low, high. Draws are averaged within each
    replicate first; trainings without a value (`values_of`) are left out, n counts the replicates that are in.
    The interval is Student's, mean -+ t s / sqrt(n), t the (1 + confidence) / 2 quantile with n - 1 degrees of
    freedom; NaN for n < 2. It is of each arm by itself: arms are compared in pairs, by `compare`.
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
def draw_by_density(data: pd.DataFrame, metric: str = ACCURACY, most: float = math.inf) -> Figure:
    """What `by_density` made, drawn: mean and interval against density, log scale, falling to the right.

    most: the largest value that there can be, in the metric's unit, such as the steps of a training. The axis shows
    no more than there can be, of intervals too; what the data hold stays.
    """
    looks, names = looks_of(data["arm"]), short_names(data["arm"])
    figure, axes = one_panel(len(looks) + 1, right=0.72)
    density_axis(axes, list(data["density"]))
    axes.set_ylabel(f"{find_metric(metric).heading}{named_unit(metric)}")
    shown = data.assign(**{name: in_unit(data[name], metric) for name in ("mean", "low", "high")})
    dense = _dense(shown)
    if dense is not None:
        axes.axhline(dense, linestyle=(0, (4, 3)), linewidth=1, zorder=1, color=looks[TICKET].colour)
    ends = []
    # The ticket is drawn last, over the others.
    for arm in sorted(looks, key=lambda arm: arm == TICKET):
        rows = shown[(shown["arm"] == arm) & shown["mean"].notna()]
        if rows.empty:
            continue
        look = looks[arm]
        axes.fill_between(rows["density"], rows["low"], rows["high"], color=look.colour, alpha=0.16, linewidth=0)
        axes.plot(rows["density"], rows["mean"], color=look.colour, marker=look.marker, clip_on=False)
        ends.append((names[arm], float(rows["density"].iloc[-1]), float(rows["mean"].iloc[-1]), look.colour))
    within(axes, *_bounds(shown["mean"], metric, most))
    if dense is not None:
        low = axes.get_xlim()[1]
        ends.append(("dense (dashed)", low, dense, looks[TICKET].colour))
    label_ends(axes, ends)
    return figure


def tell_by_density(data: pd.DataFrame, metric: str = ACCURACY) -> str:
    """What the figure shows, in words."""
    heading = find_metric(metric).heading
    ranges = f"density {data['density'].max():.4g} to {data['density'].min():.4g}"
    n = sorted({int(n) for n in data["n"]})
    counted = f"{n[0]}" if len(n) == 1 else f"{n[0]} to {n[-1]}"
    intervals = "with 95 % intervals" if n[-1] > 1 else "without intervals, for one value has no spread"
    parts = [f"{arm}: {_course(rows, metric)}" for arm, rows in data.groupby("arm", sort=False)]
    return (
        f"{heading.capitalize()} against {ranges}, mean over {counted} replicate{'s' if n[-1] != 1 else ''} "
        f"{intervals}. {'; '.join(parts)}."
    )


def _course(rows: pd.DataFrame, metric: str) -> str:
    there = rows[rows["mean"].notna()]
    if there.empty:
        steps = find_metric(metric).ratio
        return f"no value, all diverged{' or were best before their first step' if steps else ''}"
    first, last = there.iloc[0], there.iloc[-1]
    if len(there) == 1:
        return f"{with_interval(first, metric)} at {first['density']:.4g}"
    means = there["mean"].to_numpy()
    best = there.iloc[int(means.argmax() if find_metric(metric).more_is_better else means.argmin())]
    text = f"{with_interval(first, metric)} at {first['density']:.4g}"
    if best["round"] not in (first["round"], last["round"]):
        most = "highest" if find_metric(metric).more_is_better else "lowest"
        text += f", {most} {with_interval(best, metric)} at {best['density']:.4g}"
    return f"{text}, {with_interval(last, metric)} at {last['density']:.4g}"


def _bounds(means: pd.Series[float], metric: str, most: float) -> tuple[float, float]:
    """The least and the most that a metric can be, as it is shown."""
    if metric.endswith("accuracy"):
        return 0.0, 100.0
    if metric.endswith("R2"):
        return -math.inf, 1.0
    return (-math.inf if (means < 0).any() else 0.0), most  # a loss of the user's own may fall below 0


def _dense(data: pd.DataFrame) -> float | None:
    found = data.loc[(data["arm"] == TICKET) & (data["round"] == 0), "mean"]
    return None if found.empty or math.isnan(found.iloc[0]) else float(found.iloc[0])
