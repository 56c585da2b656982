"""Whether what a claim expects holds, by an interval and a margin."""

from __future__ import annotations

from .answers import Answer


def judged(expect: str, low: float, high: float, margin: float) -> Answer:
    """Whether a difference is as expected, by its interval.

    | expected | `yes` | `no` |
    | --- | --- | --- |
    | more | low > margin | high <= margin |
    | less | high < -margin | low >= -margin |
    | no less | low >= -margin | high < -margin |
    | no more | high <= margin | low > margin |
    | equal | -margin <= low and high <= margin | low > margin or high < -margin |

    Otherwise `cannot tell`; so it is for NaN limits. Each of `yes` and `no` is wrong at most as often as one end of the
    interval is beyond the true difference.

    Parameters
    ----------
    expect : str
        One of `tickets.config.claims.EXPECTATIONS`.
    low, high : float
        The interval of the difference.
    margin : float
        At least 0, in the unit of the difference.
    """
    yes, no = {
        "more": (low > margin, high <= margin),
        "less": (high < -margin, low >= -margin),
        "no less": (low >= -margin, high < -margin),
        "no more": (high <= margin, low > margin),
        "equal": (-margin <= low and high <= margin, low > margin or high < -margin),
    }[expect]
    return "yes" if yes else "no" if no else "cannot tell"


def all_of(answers: list[Answer]) -> Answer:
    """Whether all hold: each must be shown by itself, with the confidence of one (an intersection-union test)."""
    if "no" in answers:
        return "no"
    return "yes" if answers and all(one == "yes" for one in answers) else "cannot tell"


def any_of(answers: list[Answer]) -> Answer:
    """Whether one of them holds at least."""
    if "yes" in answers:
        return "yes"
    return "no" if answers and all(one == "no" for one in answers) else "cannot tell"
