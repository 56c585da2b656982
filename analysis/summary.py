"""Means and standard deviations of each arm at each density, over replicates."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from pandas.core.groupby import SeriesGroupBy


def over_replicates(rounds: pd.DataFrame, metric: str = "early_stop_test_accuracy") -> pd.DataFrame:
    """Mean, standard deviation and number of replicates of a metric, by run, round and arm.

    The draws of an arm are averaged within each replicate first, since they are not independent of one another.

    Parameters
    ----------
    rounds : DataFrame
        As `tickets.load(...).rounds`.
    metric : str
        A measured column. Trainings that diverged have NaN there and are left out.

    Returns
    -------
    DataFrame
        Columns run, round, arm, density (mean over replicates), mean, std (n - 1 in the denominator; NaN for one
        replicate) and n (replicates with a value).
    """
    keys = ["run", "round", "arm"]
    each = rounds.groupby([*keys, "replicate"], sort=False)[["density", metric]].mean().reset_index()
    grouped = each.groupby(keys, sort=False)
    columns = {"density": mean_density(grouped["density"]), "mean": grouped[metric].mean()}
    columns |= {"std": grouped[metric].std(), "n": grouped[metric].count()}
    return pd.DataFrame(columns).reset_index()


def mean_density(grouped: SeriesGroupBy[float, Any]) -> pd.Series[float]:
    """The mean density of each group; exactly the common value where all values of a group are equal."""
    return grouped.mean().clip(grouped.min(), grouped.max())


def table(
    rounds: pd.DataFrame, metric: str = "early_stop_test_accuracy", scale: float = 100.0, form: str = ".2f"
) -> pd.DataFrame:
    """One run's metric as text, "mean ± std": a row per round by falling density, a column per arm.

    Parameters
    ----------
    rounds : DataFrame
        The rows of one run.
    metric : str
        A measured column.
    scale : float
        Values are multiplied by it; the default gives accuracies in percent.
    form : str
        Format specification of a number.

    Raises
    ------
    ValueError
        If there are no rows, or rows of several runs.
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
