"""What an interval lets one say about a difference."""

from __future__ import annotations

from typing import Literal

Verdict = Literal["better", "worse", "equivalent", "cannot tell"]


def verdict(low: float, high: float, margin: float, more_is_better: bool = True) -> Verdict:
    """What the interval [low, high] of a difference, ticket minus control, says of the ticket.

    margin: the largest difference that does not matter, >= 0, in the unit of the interval.
    - `equivalent`: the whole interval lies within [-margin, margin]. So also if it leaves out 0: a difference
      that is certain and too small to matter is nothing to act on, and its sign can be read off the interval.
    - `better`, `worse`: the whole interval lies on one side of 0; which, is for `more_is_better` to say.
    - `cannot tell`: all else, and where there is no interval (NaN: fewer than two pairs). That is a statement
      about the data, not about the ticket.
    With 95 % intervals each of the first three is wrong at most once in 20 times; `equivalent` is the two
    one-sided tests of Schuirmann (J. Pharmacokinet. Biopharm. 15, 1987) at 2.5 % each.
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
