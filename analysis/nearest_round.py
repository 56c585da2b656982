"""Which round of a run is nearest to a named density."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd


def nearest_round(densities: pd.Series[float], named: float) -> int | None:
    """The round whose density is nearest on a log scale; the earlier one of two that are equally near.

    Parameters
    ----------
    densities : Series
        Densities by round.
    named : float
        Greater than 0.

    Returns
    -------
    int or None
        None if no round has a density greater than 0.
    """
    apart = np.log(densities[densities > 0]) - np.log(named)
    return None if apart.empty else int(apart.abs().idxmin())


def comes_nearer(densities: pd.Series[float], named: float, planned: Sequence[float] = ()) -> bool:
    """Whether one more pruning, at the rate of the last one or as planned, would come nearer to a named density.

    Parameters
    ----------
    densities : Series
        Densities by round, of the rounds after the dense one.
    named : float
        Greater than 0.
    planned : sequence of float
        What is to remain after each round; empty where the rates say it.
    """
    before, last = ([1.0, *densities.sort_index()])[-2:] if len(densities) else (1.0, 1.0)
    done = max(densities.index) if len(densities) else 0
    following = tuple(planned[done:]) or ((last * last / before,) if done else (named,))
    apart = np.abs(np.log(np.array([last, *following]) / named))
    return last > 0 and bool((apart[1:] < apart[0]).any())
