"""What each arm came to at each density, over replicates."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from pandas.core.groupby import SeriesGroupBy


def over_replicates(rounds: pd.DataFrame, metric: str = "early_stop_test_accuracy") -> pd.DataFrame:
    """Mean, standard deviation and number of replicates of a metric, by run, round and arm.

    rounds: as `tickets.load(...).rounds`. The draws of an arm are averaged within each replicate first, since
    they are not independent of one another. Trainings that diverged hold NaN and are left out; `n` counts
    what is in. Columns: run, round, arm, density (the mean over replicates), mean, std (of the sample, n - 1; NaN
    for one replicate), n.
    """
    keys = ["run", "round", "arm"]
    each = rounds.groupby([*keys, "replicate"], sort=False)[["density", metric]].mean().reset_index()
    grouped = each.groupby(keys, sort=False)
    columns = {"density": mean_density(grouped["density"]), "mean": grouped[metric].mean()}
    columns |= {"std": grouped[metric].std(), "n": grouped[metric].count()}
    return pd.DataFrame(columns).reset_index()


def mean_density(grouped: SeriesGroupBy[float, Any]) -> pd.Series[float]:
    """The mean density of each group; where all of it is the same number, that very number."""
    return grouped.mean().clip(grouped.min(), grouped.max())


def table(
    rounds: pd.DataFrame, metric: str = "early_stop_test_accuracy", scale: float = 100.0, form: str = ".2f"
) -> pd.DataFrame:
    """One run's metric as text, "mean ± std": density down (falling), arms across in the campaign's order.

    rounds: the rows of one run; ValueError if there are several. scale: accuracies become percent by default. form: of
    numbers.
    """
    runs = rounds["run"].unique()
    if len(runs) != 1:
        raise ValueError(f"rounds: the rows of one run are needed, these are of {len(runs)}; select by rounds['run']")
    summary = over_replicates(rounds, metric)
    means, stds = ([scale * float(value) for value in summary[name]] for name in ("mean", "std"))
    summary["text"] = [_text(mean, std, form) for mean, std in zip(means, stds, strict=True)]
    densities = summary.groupby("round")["density"].mean()
    wide = summary.pivot(index="round", columns="arm", values="text")[list(summary["arm"].unique())]
    wide.index = pd.Index([f"{densities[number]:.4f}" for number in wide.index], name="density")
    return wide.rename_axis(columns=None)


def _text(mean: float, std: float, form: str) -> str:
    if math.isnan(mean):
        return "diverged"
    return f"{mean:{form}}" if math.isnan(std) else f"{mean:{form}} ± {std:{form}}"
