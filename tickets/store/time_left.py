"""How much training time a campaign still needs, by what each density has cost so far.

A round's cost falls with its density, by how much depends on the model and the machine, so that neither rounds nor
steps foretell the time. The logs say how long the networks of each committed round took and how dense they were. A
round that no run has trained yet is taken to cost what a straight line through the measured ones says.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from tickets.config import Run
from tickets.errors import InputError
from tickets.store.layout import Layout
from tickets.store.log import read_events
from tickets.store.manifests import read_run
from tickets.store.plan import CohortPlan, missing

_MOST_LOGS = 200  # that are read: their costs differ little

Costs = Mapping[int, Sequence[tuple[float, float]]]
"""{round: (density, seconds of one network) of each part of it that was measured}."""


def costs_in(logs: Iterable[Path]) -> dict[int, list[tuple[float, float]]]:
    """What the committed rounds have cost, by the logs of their runs.

    Parameters
    ----------
    logs
        The files. Those that cannot be read are left out; so are events of earlier versions, without a density.
    """
    found: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for log in logs:
        with suppress(InputError):
            for event in read_events(log):
                if event.get("event") == "round" and (point := _point(event)) is not None:
                    found[event["round"]].append(point)
    return dict(found)


def _point(event: Mapping[str, Any]) -> tuple[float, float] | None:
    """(density, seconds of one network) of a committed round; None if its event does not say."""
    try:
        number, density, networks, seconds = (event[key] for key in ("round", "density", "networks", "seconds"))
        right = type(number) is int and type(networks) is int and 0 < density <= 1 and networks > 0 and seconds >= 0
        return (float(density), float(seconds) / networks) if right and number >= 0 else None
    except (LookupError, TypeError, ValueError, OverflowError):
        return None


def seconds_of(run: Run, plans: Sequence[CohortPlan], costs: Costs) -> float | None:
    """The training time that rounds will take, summed over their networks; None if nothing was measured.

    Parameters
    ----------
    run
        The run's configuration.
    plans
        What it lacks.
    costs
        What rounds have cost, of this run or of others like it.
    """
    points = [point for measured in costs.values() for point in measured]
    if not points:
        return None
    mean = {number: float(np.mean([seconds for _, seconds in found])) for number, found in costs.items()}
    densities = {number: float(np.mean([density for density, _ in found])) for number, found in costs.items()}
    line = _Line(points)
    networks: dict[int, int] = defaultdict(int)
    for cohort in plans:
        for plan in cohort.rounds:
            networks[plan.number] += len(cohort.replicates) * len(plan.arms)
    return sum(
        count * (mean[number] if number in mean else line(_density(run, number, densities)))
        for number, count in networks.items()
    )


def seconds_left(folder: Path, runs: Mapping[str, Run], done: Sequence[str]) -> dict[str, float | None]:
    """The training time that each run still needs in one process; None if nothing was measured.

    Parameters
    ----------
    folder
        The campaign's folder.
    runs
        The runs that lack something, by id.
    done
        The ids of runs that lack nothing, whose costs stand in where a run has none of its own.
    """
    own = {name: costs_in([folder / name / Layout.LOG]) for name in list(runs)[:_MOST_LOGS]}
    pooled = costs_in(folder / name / Layout.LOG for name in [*list(done)[:_MOST_LOGS], *own])
    lanes = _lanes(folder, runs)
    found: dict[str, float | None] = {}
    for name, run in runs.items():
        found[name] = None
        with suppress(InputError):
            seconds = seconds_of(run, missing(run, folder / name, gaps=True), own.get(name) or pooled)
            found[name] = None if seconds is None else seconds / lanes
    return found


def _lanes(folder: Path, runs: Iterable[str]) -> int:
    """The number of stacks that train side by side, in which the times of networks overlap: of the first run."""
    for name in runs:
        with suppress(InputError):
            return int(read_run(folder / name)["execution"].get("lanes", 1))
    return 1


class _Line:
    """A straight line through (x, y) by least squares, never below 0; the mean of y if all have one x."""

    def __init__(self, points: Sequence[tuple[float, float]]) -> None:
        x, y = np.array(points, float).T
        spread = float(((x - x.mean()) ** 2).sum())
        self._slope = float(((x - x.mean()) * (y - y.mean())).sum()) / spread if spread > 0 else 0.0
        self._x, self._y = float(x.mean()), float(y.mean())

    def __call__(self, x: float) -> float:
        return max(0.0, self._y + self._slope * (x - self._x))


def _density(run: Run, number: int, measured: Mapping[int, float]) -> float:
    """The density of a round, as far as that is known before it: from the nearest round before it that was measured."""
    if run.prune.densities:
        return float([1.0, *run.prune.densities][min(number, len(run.prune.densities))])
    if run.prune.density is not None:
        return float(run.prune.density) if number else 1.0
    before = max((other for other in measured if other <= number), default=0)
    return float(measured.get(before, 1.0) * (1 - run.prune.rate) ** (number - before))
