"""The verdict on a difference, by its confidence interval."""

from __future__ import annotations

from typing import Literal

Verdict = Literal["better", "worse", "equivalent", "cannot tell"]


def verdict(low: float, high: float, margin: float, more_is_better: bool = True) -> Verdict:
    """The verdict on the ticket, by the confidence interval of a difference "ticket minus control".

    - `equivalent`: the whole interval lies within [-margin, margin], also where it excludes 0. Such a difference is
      known to be too small to matter; its sign can be read from the interval.
    - `better`, `worse`: the whole interval lies on one side of 0; `more_is_better` says which side is which.
    - `cannot tell`: anything else, and NaN limits (fewer than two pairs).

    With 95 % intervals each of the first three is wrong at most once in 20 times.

    Parameters
    ----------
    low, high : float
        The limits of the interval.
    margin : float
        Margin of equivalence: the largest difference that does not matter, >= 0, in the unit of the interval.
    more_is_better : bool
        False for losses and steps.

    Notes
    -----
    `equivalent` is the pair of one-sided tests of Schuirmann (J. Pharmacokinet. Biopharm. 15, 1987), each at 2.5 %.
    """
    if not more_is_better:
        low, high = -high, -low
    if -margin <= low and high <= margin:
        return "equivalent"
    if low > 0:
        return "better"
    if high < 0:
        return "worse"
    return "cannot tell"
