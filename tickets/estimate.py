"""How long a campaign's missing trainings will take on this machine, by timing a few steps of stacks like theirs.

Stacks that differ in nothing that costs time are timed once. Of many kinds of stacks a few are timed; the others lie
between them by their multiplications. Probes, scores and files are left out. Roughly counted are masks that are learned
and narrower networks, as dense ones, and steps by an arm's own recipe, by the size of their batches.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from tickets.catalogue import Pruned, kind_of_stack
from tickets.config import Run
from tickets.durations import estimated
from tickets.fitting import Fitted
from tickets.pace import Pace, Point, Trainings, seconds_by_size, seconds_of, strategy_at, trainings_of
from tickets.preparation import Prepared
from tickets.process_state import standard_state
from tickets.store import CohortPlan
from tickets.time_trial import Kind, time_trial
from tickets.transfer import expected_densities

WORTH_SAYING_S = 20.0  # shorter campaigns are not worth a line
FEWEST_KINDS, MOST_KINDS = 2, 12
BUDGET_S, BUDGET_SHARE = 3.0, 0.02  # of time for the trials: so long, or this share of the estimate
# A slow machine, for a bound below which nothing is timed: multiplications a second, and what else a step takes.
SLOW_RATE = 2e9
SLOW_STEP_S, SLOW_CALL_S = 2e-4, 1e-4
WAYS = 3  # a step multiplies by each weight forth, and twice back


@dataclass(frozen=True)
class Estimate:
    """How long runs will take.

    Parameters
    ----------
    seconds
        By run id, for one process.
    spent
        The time that the trial steps took.
    probes
        Whether a run has probes, whose time is left out.
    """

    seconds: Mapping[str, float]
    spent: float
    probes: bool = False

    def sentence(self, processes: int = 1) -> str | None:
        """One line for the user; None for campaigns that are not worth one.

        Parameters
        ----------
        processes
            How many train at once.
        """
        seconds = sum(self.seconds.values()) / processes
        if seconds < WORTH_SAYING_S:
            return None
        by = "" if processes == 1 else f" with {processes} processes"
        return f"about {estimated(seconds)} on this machine{by}, {self.how}"

    @property
    def how(self) -> str:
        """How it is known, as the end of a sentence."""
        spent = f"{self.spent:.0f} s" if self.spent >= 1.5 else f"{max(self.spent, 0.1):.1f} s"
        return f"by {spent} of trial steps{', without its probes' if self.probes else ''}"


@dataclass(frozen=True, eq=False)
class _Part:
    """What a run lacks of stacks of one kind. size: multiplications that a network takes for a step."""

    run: str
    kind: Kind
    trainings: Sequence[Trainings]
    size: float

    @property
    def slowest(self) -> float:
        """More seconds than it is likely to take on any machine."""
        anatomy, batch = self.kind.fitted.anatomy, self.kind.fitted.run.train.batch_size
        one_by_one = self.kind.plan.strategy not in ("layered", "vectorised", "sparse")
        more = SLOW_STEP_S + (SLOW_CALL_S * anatomy.calls * WAYS if one_by_one else 0.0)
        step, example = more + self.size / SLOW_RATE, more / batch + self.size / WAYS / batch / SLOW_RATE
        return sum(one.networks * (one.steps * step + one.examples * example) for one in self.trainings)

    @cached_property
    def key(self) -> str:
        """What two parts have in common whose stacks take the same time."""
        run, examples = self.kind.fitted.run, self.kind.fitted.source.examples
        costless = {"learning_rate", "steps", "evaluate_every"}
        labels = (examples.train_labels, examples.validation_labels, examples.test_labels)
        plan = self.kind.plan
        return repr(
            (
                run.model.name,
                run.model.options,
                run.train.model_dump(exclude=costless),
                (examples.input_shape, examples.classes, examples.augment, [len(one) for one in labels]),
                (run.prune.exclude, run.prune.include),
                (plan.strategy, plan.lanes, plan.networks_at_once, plan.threads, dict(plan.takes_over)),
                (self.kind.pruned, self.kind.networks),
                sorted({one.density for one in self.trainings}),
            )
        )


def estimate(ready: Prepared, todo: Mapping[str, Sequence[CohortPlan]]) -> Estimate | None:
    """The time that runs of a prepared campaign will take.

    Parameters
    ----------
    ready
        The campaign.
    todo
        What is to be trained of each of these runs, by run id.

    Returns
    -------
    Estimate or None
        None for campaigns that are over soon anyway, for other devices than the CPU, for a network that changes more
        than its parameters and buffers as it trains, and if anything fails. Nothing is raised but by Ctrl-C, and
        nothing is changed.
    """
    if ready.device.type != "cpu":
        return None
    try:
        return _estimate(ready, todo)
    except (Exception, SystemExit):  # the campaign trains without it, and says what is wrong with it
        return None


@standard_state()
def _estimate(ready: Prepared, todo: Mapping[str, Sequence[CohortPlan]]) -> Estimate | None:
    began = time.perf_counter()
    dense = [part for name, cohorts in todo.items() for part in _parts(ready, name, cohorts, known=False)]
    if sum(part.slowest for part in dense) < WORTH_SAYING_S or any(part.kind.plan.has_own_modules for part in dense):
        return None
    parts = [part for name, cohorts in todo.items() for part in _parts(ready, name, cohorts)]
    trial = _Trials(parts, began)
    paces = trial.paces()
    seconds = dict.fromkeys(todo, 0.0)
    for part in parts:
        seconds[part.run] += seconds_with(part.key, part.trainings, part.size, paces, trial.sizes)
    if not all(map(math.isfinite, seconds.values())):
        return None
    probes = any(ready.fitted[name].probes for name, cohorts in todo.items() if cohorts)
    return Estimate(seconds, time.perf_counter() - began, probes)


def seconds_with(
    key: str, trainings: Sequence[Trainings], size: float, paces: Mapping[str, Pace], sizes: Mapping[str, float]
) -> float:
    """The time of trainings of a kind: by its own pace, or else by those of the kinds that were timed.

    Parameters
    ----------
    key
        The kind.
    trainings
        What is to be trained.
    size
        The multiplications of a step of one network.
    paces
        Of the kinds that were timed.
    sizes
        The multiplications of a step of one network, of those kinds.
    """
    if key in paces:
        return seconds_of(trainings, paces[key])
    return seconds_by_size(trainings, size, {sizes[one]: pace for one, pace in paces.items()})


def spread(count: int) -> Iterator[int]:
    """The places of `count` things in an order in which the first few lie far apart: last, first, middle, ..."""
    seen = set[int]()
    for place in _halves(count):
        if place not in seen:
            seen.add(place)
            yield place


def _halves(count: int) -> Iterator[int]:
    yield from (count - 1, 0)
    parts = 2
    while parts < 2 * count:
        yield from (round((count - 1) * odd / parts) for odd in range(1, parts, 2))
        parts *= 2
    yield from range(count)


@dataclass
class _Trials:
    """The trials of a campaign's kinds of stacks: the largest, the smallest, then some between while it is worth it."""

    parts: Sequence[_Part]
    began: float
    sizes: dict[str, float] = field(default_factory=dict)

    def paces(self) -> dict[str, Pace]:
        """By key, the pace of each kind that is timed."""
        kinds: dict[str, list[_Part]] = {}
        for part in self.parts:
            kinds.setdefault(part.key, []).append(part)
        keys = sorted(kinds, key=lambda key: kinds[key][0].size)
        chosen = [keys[place] for place in spread(len(keys))][:MOST_KINDS]
        found: dict[str, Pace] = {}
        for key in chosen:
            spent = time.perf_counter() - self.began
            if len(found) >= FEWEST_KINDS:
                roughly = self._roughly(found)
                if roughly < WORTH_SAYING_S or spent > max(BUDGET_S, BUDGET_SHARE * roughly):
                    break
            part = kinds[key][0]
            found[key] = _pace(kinds[key], max(0.0, BUDGET_S - spent) / (len(chosen) - len(found)))
            self.sizes[key] = part.size
        return found

    def _roughly(self, paces: Mapping[str, Pace]) -> float:
        return sum(seconds_with(part.key, part.trainings, part.size, paces, self.sizes) for part in self.parts)


def _pace(parts: Sequence[_Part], seconds: float) -> Pace:
    """The pace of stacks of one kind; after so many seconds nothing is repeated."""
    kind = parts[0].kind
    plan = kind.plan
    densities = sorted({one.density for part in parts for one in part.trainings})
    by_strategy: dict[str, list[float]] = {}
    for density in densities:
        by_strategy.setdefault(strategy_at(density, plan.strategy, plan.takes_over), []).append(density)
    wanted = [
        (strategy, density)
        for strategy, each in by_strategy.items()
        for density in (dict.fromkeys((each[-1], each[0])) if strategy == "sparse" else each[-1:])
    ]
    points: dict[str, list[Point]] = {}
    for strategy, density in wanted:
        found = time_trial(kind, strategy, density, seconds / len(wanted))
        points.setdefault(strategy, []).append(found)
    return Pace(plan.strategy, points, plan.takes_over)


def _parts(ready: Prepared, name: str, cohorts: Sequence[CohortPlan], known: bool = True) -> Iterator[_Part]:
    """What a run lacks, by the rule for pruned weights. known: whether the densities of its rounds are wanted."""
    if not cohorts:
        return
    fitted, plan = ready.fitted[name], ready.plans[name]
    densities = expected_densities(fitted) if known else ()
    rules: tuple[Pruned, ...] = ("zero", "initial")
    for pruned in rules:
        if trainings := trainings_of(fitted, cohorts, densities, pruned):
            networks = _networks(fitted.run, cohorts, pruned)
            yield _Part(name, Kind(fitted, plan.for_pruned(pruned), pruned, networks), trainings, size_of(fitted))


def _networks(run: Run, cohorts: Sequence[CohortPlan], pruned: Pruned) -> int:
    """The most networks of a round with this rule for pruned weights."""
    arms = {arm.label for arm in run.arms if kind_of_stack(arm.entry.pruned) == pruned}
    return max(
        len(cohort.replicates) * sum(label in arms for label, _ in plan.arms)
        for cohort in cohorts
        for plan in cohort.rounds
    )


def size_of(fitted: Fitted) -> float:
    """About how many multiplications a training step of one network of a run takes."""
    anatomy = fitted.anatomy
    # Of weights of which nothing is known: once for each place of the input.
    uses = max(1, math.prod(anatomy.input_shape[1:])) if anatomy.chain is None else 1
    weights = sum(one.numel() * anatomy.pixels.get(name, uses) for name, one in anatomy.module.named_parameters())
    return float(WAYS * fitted.run.train.batch_size * weights)
