"""What a claim compares, as one number per replicate: a difference, a ratio's logarithm, or a rank correlation."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from tickets.config.claims import DENSE, DENSITY, OTHER_SIDE, ClaimConfig
from tickets.errors import InputError, nearest
from tickets.store.swept import as_number, hashable

from .concerned import UndecidedError, check_place, in_trend, other_settings, runs_of_trend
from .metrics import METRICS, values_of
from .nearest_round import comes_nearer, nearest_round
from .pairs import TICKET
from .rule import Rule
from .summary import mean_density
from .trends import LEAST_POINTS, rank_correlations

if TYPE_CHECKING:
    from tickets.store import Saved

Floats = npt.NDArray[np.float64]

_KEYS = ["round", "arm", "replicate"]


@dataclass(frozen=True)
class Compared:
    """One comparison of a claim.

    Parameters
    ----------
    values : ndarray, (replicates,)
        A number per replicate; NaN where there is no pair.
    density : float, optional
        Of the round; None for a trend over rounds or over runs.
    points : int
        Of a rank correlation; 0 for a difference.
    """

    values: Floats = field(repr=False)
    density: float | None = None
    points: int = 0


Sides = Mapping[tuple[int, str], "pd.Series[float]"]
"""The values of a run by replicate, for each round and arm."""


class Measured:
    """What the claims of a campaign compare; read once for the claims that share a metric.

    Parameters
    ----------
    saved : Saved
        As `tickets.load` returns.
    """

    def __init__(self, saved: Saved) -> None:
        self._saved = saved
        self._sides: dict[Hashable, Sides] = {}
        self._densities: dict[str, pd.Series[float]] = {}

    def sides(self, run: str, claim: ClaimConfig) -> Sides:
        """The metric of a claim in a run, the mean over an arm's draws and over a probe's rows."""
        key = (run, claim.metric, hashable(claim.select or {}))
        if key not in self._sides:
            rows = _measured(self._saved, run, claim)
            means = rows.groupby(_KEYS, sort=False)["value"].mean().reset_index()
            self._sides[key] = {
                (int(str(number)), str(arm)): side.set_index("replicate")["value"]
                for (number, arm), side in means.groupby(["round", "arm"], sort=False)
            }
        return self._sides[key]

    def densities(self, run: str) -> pd.Series[float]:
        """The mean density of a run's tickets, by round."""
        if run not in self._densities:
            rounds = self._saved.rounds_of(run)
            tickets = rounds[rounds["arm"] == TICKET]
            self._densities[run] = mean_density(tickets.groupby("round")["density"])
        return self._densities[run]


def is_ratio(claim: ClaimConfig) -> bool:
    """Whether a claim's sides are compared as a ratio: their values are logarithms."""
    return claim.metric in METRICS and METRICS[claim.metric].ratio and claim.trend is None


def compared(
    saved: Saved, run: str, claim: ClaimConfig, rule: Rule, measured: Measured | None = None
) -> list[Compared]:
    """The comparisons of a claim in one run, at least one.

    Parameters
    ----------
    saved : Saved
        As `tickets.load` returns.
    run : str
        A run that the claim concerns.
    claim : ClaimConfig
        The claim, without a function.
    rule : Rule
        The run's, which says how many rounds it has.
    measured : Measured, optional
        Shared by the claims of a run, so that nothing is read twice.

    Raises
    ------
    UndecidedError
        If something that it needs is not there.
    """
    check_place(saved, run, claim)
    table = Measured(saved) if measured is None else measured
    if claim.trend == DENSITY:
        found = [_over_density(saved, table, run, claim, rule)]
    elif claim.trend is not None:
        found = [_over_runs(saved, table, run, claim, rule)]
    else:
        found = [
            Compared(_differences(saved, table, run, number, claim, rule), density)
            for number, density in _places(table, run, claim, rule)
        ]
    _check_whole(saved, table, run, claim, rule)
    return found


def _check_whole(saved: Saved, table: Measured, run: str, claim: ClaimConfig, rule: Rule) -> None:
    """Check that nothing is missing of what a claim is about all of: its answer could still change."""
    if claim.trend not in (None, DENSITY):
        if missing := [one for one in saved.sweep.missing(run, claim.trend) if in_trend(claim, one)]:
            raise UndecidedError(f"the runs with {claim.trend} = {', '.join(map(str, missing))} are not trained yet")
    elif claim.density is None and not claim.densities:
        wanted, last = rule.rounds or 0, max(table.densities(run).index)
        if last < wanted:
            raise UndecidedError(f"round {last + 1} of {wanted} is not trained yet, and the claim is about all")


def _measured(saved: Saved, run: str, claim: ClaimConfig) -> pd.DataFrame:
    """round, arm, replicate and value of a run, a row per network or row of a probe's table."""
    probe, dot, column = claim.metric.partition(".")
    if not dot:
        rounds = saved.rounds_of(run)
        if claim.metric not in rounds:
            raise UndecidedError(f"the rounds have no column {claim.metric}")
        if claim.metric in METRICS:
            values = values_of(rounds, claim.metric)
        else:
            values = rounds[claim.metric].astype(float).mask(rounds["diverged"].astype(bool))
        return rounds[_KEYS].assign(value=values)
    return _of_probe(saved, run, probe, column, claim.select or {})


def _of_probe(saved: Saved, run: str, probe: str, column: str, select: Mapping[str, Any]) -> pd.DataFrame:
    try:
        table = saved.probe(probe, run)
    except InputError as error:
        raise UndecidedError(str(error.problems[0])) from None
    for key in (column, *select):
        if key not in table:
            raise UndecidedError(f"the table {probe} has no column {key}{nearest(key, table.columns)}")
    if table.empty:
        raise UndecidedError(f"the table {probe} has no rows of {run}")
    for key, value in select.items():
        table = table[table[key] == value]
    if table.empty:
        raise UndecidedError(f"no row of the table {probe} is as select says")
    if "step" in table and "step" not in select:  # the networks after training
        last = table.groupby([*_KEYS, "draw"])["step"].transform("max")
        table = table[table["step"] == last]
    if not pd.api.types.is_numeric_dtype(table[column]):
        raise UndecidedError(f"the column {column} of the table {probe} holds no numbers")
    return table[_KEYS].assign(value=table[column].astype(float))


def _places(table: Measured, run: str, claim: ClaimConfig, rule: Rule) -> list[tuple[int, float]]:
    """The rounds in which a claim is decided, each with its density."""
    named = claim.densities if claim.density is None else (claim.density,)
    if not named:
        densities = table.densities(run)
        later = densities[densities.index > 0]
        if later.empty:
            raise UndecidedError("no round after the dense one is saved")
        return [(int(str(number)), float(density)) for number, density in later.items()]
    return list(dict.fromkeys(_nearest(table, run, density, rule) for density in named))


def _nearest(table: Measured, run: str, density: float, rule: Rule) -> tuple[int, float]:
    """The round nearest to a density, with its own density."""
    densities = table.densities(run)
    later = densities[densities.index > 0]
    among = densities if density == 1 else later
    number = nearest_round(among, density)
    unfinished = len(among) == 0 or max(among.index) < (rule.rounds or 0)
    if number is None or (density < 1 and unfinished and comes_nearer(later, density, rule.densities)):
        raise UndecidedError(f"the round nearest to density {density:g} is not trained yet")
    return number, float(densities[number])


def _side(table: Measured, run: str, number: int, arm: str, claim: ClaimConfig) -> pd.Series[float]:
    """The values of one side by replicate."""
    side = table.sides(run, claim).get((number, arm))
    if side is None:
        raise UndecidedError(f"there are no values of {arm} in round {number} of {run}")
    return side


def _differences(saved: Saved, table: Measured, run: str, number: int, claim: ClaimConfig, rule: Rule) -> Floats:
    """Arm minus against by replicate, or the difference of logarithms."""
    one = _side(table, run, number, claim.arm, claim)
    other = _other(saved, table, run, number, claim, rule)
    if is_ratio(claim):
        one, other = one.map(math.log), other.map(math.log) if isinstance(other, pd.Series) else math.log(other)
    return np.asarray((one - other).to_numpy(), dtype=np.float64)


def _other(
    saved: Saved, table: Measured, run: str, number: int, claim: ClaimConfig, rule: Rule
) -> pd.Series[float] | float:
    against = claim.against
    if against is None:
        return 0.0
    if isinstance(against, str):
        dense = against == DENSE
        return _side(table, run, 0 if dense else number, TICKET if dense else against, claim)
    if not isinstance(against, Mapping):
        return float(against)
    settings = other_settings(against)
    other = saved.sweep.other(run, settings) if settings else run
    if other is None:
        raise UndecidedError(f"no saved run differs from {run} in {_text(settings)} alone")
    arm, named = (against.get(key) for key in OTHER_SIDE)
    there = number if number == 0 or other == run else _like(table, run, number, other)
    if named is not None:
        there, _ = _nearest(table, other, named, rule)
    return _side(table, other, there, arm or claim.arm, claim)


def _like(table: Measured, run: str, number: int, other: str) -> int:
    """The round of another run whose density is nearest to that of a round of a run."""
    density = float(table.densities(run)[number])
    there = nearest_round(table.densities(other), density)
    if there is None:
        raise UndecidedError(f"{other} has no round near density {density:g}")
    return there


def _over_density(saved: Saved, table: Measured, run: str, claim: ClaimConfig, rule: Rule) -> Compared:
    """The rank correlation with the density of the rounds."""
    found: dict[float, pd.Series[float]] = {}
    for number, density in table.densities(run).items():
        try:
            found[float(density)] = _by_replicate(saved, table, run, int(str(number)), claim, rule)
        except UndecidedError:
            continue  # an arm that is not in every round
    return _correlated(found, claim, "densities")


def _over_runs(saved: Saved, table: Measured, run: str, claim: ClaimConfig, rule: Rule) -> Compared:
    """The rank correlation with a swept key, over the runs that differ in it alone."""
    assert claim.trend is not None
    found: dict[float, pd.Series[float]] = {}
    densities = []
    for other in runs_of_trend(saved, run, claim):
        value = as_number(saved.sweep.point(other)[claim.trend])
        if value is None:
            raise UndecidedError(f"the values of {claim.trend} are no numbers, and have no order")
        places = _places(table, other, claim, rule) if claim.density is not None else [(0, 1.0)]
        densities.append(places[0][1])
        if value in found:
            raise UndecidedError(f"two values of {claim.trend} count as {value:g}; name one of them in `where`")
        found[value] = _by_replicate(saved, table, other, places[0][0], claim, rule)
    return _correlated(found, claim, f"runs along {claim.trend}", densities[0])


def _by_replicate(
    saved: Saved, table: Measured, run: str, number: int, claim: ClaimConfig, rule: Rule
) -> pd.Series[float]:
    one, other = _side(table, run, number, claim.arm, claim), _other(saved, table, run, number, claim, rule)
    difference: pd.Series[float] = one - other
    return difference


def _correlated(
    found: Mapping[float, pd.Series[float]], claim: ClaimConfig, what: str, density: float | None = None
) -> Compared:
    if len(found) < LEAST_POINTS:
        raise UndecidedError(f"a trend needs at least {LEAST_POINTS} {what}, and there are {len(found)}")
    wide = pd.DataFrame(dict(found)).T
    correlations = rank_correlations(wide.index.to_numpy(float), wide.to_numpy(float))
    there = wide.notna().sum()
    fewest = there[there >= LEAST_POINTS].min()  # ranks are coarser where trainings diverged
    return Compared(correlations, density, len(found) if math.isnan(fewest) else int(fewest))


def _text(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} = {value}" for key, value in settings.items())
