"""Claims that a function answers: one of the user's, or one of this package's."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tickets.config.claims import ClaimConfig
from tickets.errors import InputError
from tickets.users_code import one_line

from .answers import ANSWERS, Answer, Estimate

if TYPE_CHECKING:
    from tickets.store import Saved

OWN = (
    *(f"tickets.analysis.why_random:{name}" for name in ("keeps_distances", "one_direction", "other_ends")),
    *(f"tickets.analysis.convergence:{name}" for name in ("as_predicted", "no_slower_than_predicted")),
    *(f"tickets.analysis.approximations:{name}" for name in ("constructed", "equal_numbers_fail")),
)
"""The functions of this package that answer claims. They only read, and are called whatever is trusted; its other
functions are not, since a saved run may be anybody's."""
_KEYS = ("answer", "estimate", "low", "high", "n", "density", "why")


@dataclass(frozen=True)
class OfFunction:
    """What a function says of a claim; see `Declared`."""

    answer: Answer
    why: tuple[str, ...]
    estimate: Estimate | None
    density: float | None


def answered_by_function(saved: Saved, run: str, claim: ClaimConfig) -> OfFunction | str:
    """Call the function of a claim, or say why it is not called.

    It is called as function(saved, run) and returns a mapping with `answer` ("yes", "no" or "cannot tell") and, as it
    likes, `estimate`, `low`, `high`, `n`, `density` (numbers) and `why` (a text, a line for each sentence).

    Parameters
    ----------
    saved : Saved
        As `tickets.load` returns; for a function of the user's it must be loaded with trust_code.
    run : str
        The run's id.
    claim : ClaimConfig
        The claim, with a function.

    Raises
    ------
    InputError
        If the function cannot be imported, fails, or returns anything else.
    """
    name = str(claim.function)
    if name not in OWN and not saved.may_call(name):
        return f"{name} is code that the saved run names, and is called only where it is trusted (--trust-code)"
    from tickets.binding import resolve

    try:
        found = resolve(name)(saved, run)
        wrong = _wrong(found)
        if not wrong:
            return _taken(found)
    except InputError:
        raise
    except (Exception, SystemExit) as error:
        raise InputError(f"claim {claim.id!r}: {name} failed: {one_line(error)}") from error
    raise InputError(f"claim {claim.id!r}: {name} returned {wrong}")


def _taken(found: Mapping[str, Any]) -> OfFunction:
    value, low, high = (_number(found.get(key)) for key in ("estimate", "low", "high"))
    if math.isnan(low) or math.isnan(high):
        low = high = math.nan
    estimate = None if math.isnan(value) else Estimate(value, low, high, int(found.get("n") or 0))
    density = None if found.get("density") is None else float(found["density"])
    return OfFunction(found["answer"], tuple(str(found.get("why") or "").splitlines()), estimate, density)


def _wrong(found: Any) -> str:
    """What is wrong with what a function returned; "" if nothing is."""
    answer = found.get("answer") if isinstance(found, Mapping) else None
    if not isinstance(answer, str) or answer not in ANSWERS:
        return f'{str(found)[:80]!r}; must be a mapping with answer = "yes", "no" or "cannot tell"'
    unknown = [str(key) for key in found if key not in _KEYS]
    if unknown:
        return f"the unknown key {unknown[0]!r} (allowed: {', '.join(_KEYS)})"
    for key in ("estimate", "low", "high", "n", "density"):
        value = found.get(key)
        if value is None:
            continue
        if isinstance(value, bool | str) or not hasattr(value, "__float__") or math.isinf(float(value)):
            return f"{key} = {str(value)[:80]!r}; must be a finite number"
    count = float(found.get("n") or 0)
    if not (count >= 0 and count == math.floor(count)):
        return f"n = {count}; must be a whole number, at least 0"
    density = found.get("density")
    if density is not None and not 0 <= float(density) <= 1:
        return f"density = {float(density)}; must be in [0, 1]"
    return ""


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)
