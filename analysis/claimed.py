"""What a claim compares, as one number per replicate: a difference, a ratio's logarithm, or a rank correlation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from tickets.config.claims import DENSE, DENSITY, ClaimConfig
from tickets.errors import InputError, nearest

from .metrics import METRICS, values_of
from .nearest_round import comes_nearer, nearest_round
from .pairs import TICKET
from .rule import Rule
from .summary import mean_density
from .trends import LEAST_POINTS, rank_correlations

if TYPE_CHECKING:
    from tickets.store import Saved

Floats = npt.NDArray[np.float64]

_KEYS = ["run", "round", "arm", "replicate"]


class UndecidedError(Exception):
    """Why a claim cannot be answered: something is not there."""


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


def is_ratio(claim: ClaimConfig) -> bool:
    """Whether a claim's sides are compared as a ratio: their values are logarithms."""
    return claim.metric in METRICS and METRICS[claim.metric].ratio and claim.trend is None


def concerns(saved: Saved, run: str, claim: ClaimConfig) -> bool:
    """Whether a claim is about a run: it has the settings of `where`, and is not the other run itself.

    A trend over a swept key is about the runs that differ in it alone, and stands with the first of them.
    """
    point = saved.swept(run)
    if any(point.get(key) != value for key, value in (claim.where or {}).items()):
        return False
    if isinstance(claim.against, Mapping) and all(point.get(key) == value for key, value in claim.against.items()):
        return False
    if claim.trend is None or claim.trend == DENSITY:
        return True
    return claim.trend in point and run == _along(saved, run, claim.trend)[0]


def compared(saved: Saved, run: str, claim: ClaimConfig, rule: Rule) -> list[Compared]:
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

    Raises
    ------
    UndecidedError
        If something that it needs is not there.
    """
    table = _measured(saved, claim)
    if claim.trend == DENSITY:
        return [_over_density(saved, table, run, claim)]
    if claim.trend is not None:
        return [_over_runs(saved, table, run, claim, rule)]
    return [
        Compared(_differences(saved, table, run, number, claim), density)
        for number, density in _places(saved, run, claim, rule)
    ]


def _measured(saved: Saved, claim: ClaimConfig) -> pd.DataFrame:
    """run, round, arm, replicate and value: the metric, the mean over an arm's draws and over a probe's rows."""
    probe, dot, column = claim.metric.partition(".")
    if not dot:
        rounds = saved.rounds
        if claim.metric not in rounds:
            raise UndecidedError(f"the rounds have no column {claim.metric}")
        if claim.metric in METRICS:
            values = values_of(rounds, claim.metric)
        else:
            values = rounds[claim.metric].astype(float).mask(rounds["diverged"].astype(bool))
        rows = rounds[_KEYS].assign(value=values)
    else:
        rows = _of_probe(saved, probe, column, claim.select or {})
    return rows.groupby(_KEYS, sort=False)["value"].mean().reset_index()


def _of_probe(saved: Saved, probe: str, column: str, select: Mapping[str, Any]) -> pd.DataFrame:
    try:
        table = saved.probe(probe)
    except InputError as error:
        raise UndecidedError(str(error.problems[0])) from None
    for key in (column, *select):
        if key not in table:
            raise UndecidedError(f"the table {probe} has no column {key}{nearest(key, table.columns)}")
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


def _places(saved: Saved, run: str, claim: ClaimConfig, rule: Rule) -> list[tuple[int, float]]:
    """The rounds in which a claim is decided, each with its density."""
    densities = _densities(saved, run)
    later = densities[densities.index > 0]
    named = claim.densities if claim.density is None else (claim.density,)
    if not named:
        if later.empty:
            raise UndecidedError("no round after the dense one is saved")
        return [(int(str(number)), float(density)) for number, density in later.items()]
    found = []
    for density in named:
        among = densities if density == 1 else later
        number = nearest_round(among, density)
        unfinished = len(among) == 0 or max(among.index) < (rule.rounds or 0)
        if number is None or (density < 1 and unfinished and comes_nearer(later, density, rule.densities)):
            raise UndecidedError(f"the round nearest to density {density:g} is not trained yet")
        found.append((number, float(densities[number])))
    return list(dict.fromkeys(found))


def _densities(saved: Saved, run: str) -> pd.Series[float]:
    rounds = saved.rounds
    tickets = rounds[(rounds["run"] == run) & (rounds["arm"] == TICKET)]
    return mean_density(tickets.groupby("round")["density"])


def _side(table: pd.DataFrame, run: str, number: int, arm: str) -> pd.Series[float]:
    """The values of one side by replicate."""
    rows = table[(table["run"] == run) & (table["round"] == number) & (table["arm"] == arm)]
    if rows.empty:
        raise UndecidedError(f"there are no values of {arm} in round {number} of {run}")
    return rows.set_index("replicate")["value"]


def _differences(saved: Saved, table: pd.DataFrame, run: str, number: int, claim: ClaimConfig) -> Floats:
    """Arm minus against by replicate, or the difference of logarithms."""
    one = _side(table, run, number, claim.arm)
    other = _other(saved, table, run, number, claim)
    if is_ratio(claim):
        one, other = one.map(math.log), other.map(math.log) if isinstance(other, pd.Series) else math.log(other)
    return np.asarray((one - other).to_numpy(), dtype=np.float64)


def _other(saved: Saved, table: pd.DataFrame, run: str, number: int, claim: ClaimConfig) -> pd.Series[float] | float:
    against = claim.against
    if against is None:
        return 0.0
    if isinstance(against, str):
        dense = against == DENSE
        return _side(table, run, 0 if dense else number, TICKET if dense else against)
    if not isinstance(against, Mapping):
        return float(against)
    other = _other_run(saved, run, against)
    if other is None:
        raise UndecidedError(f"no saved run differs from {run} in {_text(against)} alone")
    density = _densities(saved, run)[number]
    there = nearest_round(_densities(saved, other), float(density)) if number else 0
    if there is None:
        raise UndecidedError(f"{other} has no round near density {density:g}")
    return _side(table, other, there, claim.arm)


def _other_run(saved: Saved, run: str, settings: Mapping[str, Any]) -> str | None:
    wanted = {**saved.swept(run), **settings}
    return next((other for other in saved.runs if saved.swept(other) == wanted), None)


def _over_density(saved: Saved, table: pd.DataFrame, run: str, claim: ClaimConfig) -> Compared:
    """The rank correlation with the density of the rounds."""
    found: dict[float, pd.Series[float]] = {}
    for number, density in _densities(saved, run).items():
        try:
            found[float(density)] = _by_replicate(saved, table, run, int(str(number)), claim)
        except UndecidedError:
            continue  # an arm that is not in every round
    return _correlated(found, claim, "densities")


def _over_runs(saved: Saved, table: pd.DataFrame, run: str, claim: ClaimConfig, rule: Rule) -> Compared:
    """The rank correlation with a swept key, over the runs that differ in it alone."""
    assert claim.trend is not None
    found: dict[float, pd.Series[float]] = {}
    densities = []
    for other in _along(saved, run, claim.trend):
        value = saved.swept(other)[claim.trend]
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise UndecidedError(f"the values of {claim.trend} are no numbers, and have no order")
        places = _places(saved, other, claim, rule) if claim.density is not None else [(0, 1.0)]
        densities.append(places[0][1])
        found[float(value)] = _by_replicate(saved, table, other, places[0][0], claim)
    return _correlated(found, claim, f"runs along {claim.trend}", densities[0])


def _by_replicate(saved: Saved, table: pd.DataFrame, run: str, number: int, claim: ClaimConfig) -> pd.Series[float]:
    one, other = _side(table, run, number, claim.arm), _other(saved, table, run, number, claim)
    difference: pd.Series[float] = one - other
    return difference


def _along(saved: Saved, run: str, key: str) -> list[str]:
    """The saved runs that differ from one in a swept key alone, itself too, by rising value."""
    point = {name: value for name, value in saved.swept(run).items() if name != key}
    there = [
        (value[key], other)
        for other in saved.runs
        if key in (value := saved.swept(other)) and {name: part for name, part in value.items() if name != key} == point
    ]
    return [other for _, other in sorted(there, key=lambda pair: (str(type(pair[0])), pair[0], pair[1]))]


def _correlated(
    found: Mapping[float, pd.Series[float]], claim: ClaimConfig, what: str, density: float | None = None
) -> Compared:
    if len(found) < LEAST_POINTS:
        raise UndecidedError(f"a trend needs at least {LEAST_POINTS} {what}, and there are {len(found)}")
    wide = pd.DataFrame(dict(found)).T
    correlations = rank_correlations(wide.index.to_numpy(float), wide.to_numpy(float))
    return Compared(correlations, density, len(found))


def _text(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} = {value}" for key, value in settings.items())
