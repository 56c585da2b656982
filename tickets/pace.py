"""The time that trainings take, from the time of a few steps: arithmetic alone, nothing is timed here.

A training of n networks at density d takes n * (begin + steps * step(d) + examples * example(d)) seconds. The three are
measured at one density or two (time_trial.py); in between they are taken as linear in the density.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tickets.catalogue import Pruned, kind_of_stack
from tickets.config import TrainConfig
from tickets.data import Examples
from tickets.fitting import Fitted
from tickets.store import CohortPlan


@dataclass(frozen=True)
class Point:
    """What one network of a stack takes at a density, in seconds of the whole machine.

    Parameters
    ----------
    density
        In [0, 1].
    step
        Of a training step.
    example
        Of an evaluation on one example.
    begin
        Before the first step.
    """

    density: float
    step: float
    example: float
    begin: float = 0.0

    def resized(self, share: float) -> Point:
        """That of a network with so many times the multiplications, if they were all that took time."""
        return Point(self.density, share * self.step, share * self.example, share * self.begin)


@dataclass(frozen=True)
class Pace:
    """What one network of a stack takes, by density.

    Parameters
    ----------
    strategy
        The strategy that trains the stacks.
    points
        By strategy, what was measured.
    takes_over
        As `Plan.takes_over`; a random mask has the density as its share of the multiplications.
    """

    strategy: str
    points: Mapping[str, Sequence[Point]]
    takes_over: Mapping[str, float]

    def at(self, density: float) -> Point:
        """What a network takes at a density: linear between the points of its strategy, constant beyond them."""
        points = sorted(self.points[strategy_at(density, self.strategy, self.takes_over)], key=_density)
        below = max((one for one in points if one.density <= density), key=_density, default=points[0])
        above = min((one for one in points if one.density >= density), key=_density, default=points[-1])
        if above.density <= below.density:
            return below if below.density <= density else above
        share = (density - below.density) / (above.density - below.density)

        def between(low: float, high: float) -> float:
            return low + share * (high - low)

        return Point(
            density,
            between(below.step, above.step),
            between(below.example, above.example),
            between(below.begin, above.begin),
        )

    def resized(self, share: float) -> Pace:
        """See `Point.resized`."""
        points = {name: [one.resized(share) for one in each] for name, each in self.points.items()}
        return Pace(self.strategy, points, self.takes_over)


@dataclass(frozen=True)
class Trainings:
    """Networks that train alike.

    Parameters
    ----------
    networks
        Their number.
    density
        Of their masks; 1 for masks that are learned.
    steps
        That each takes, in steps of the run's batch size.
    examples
        On which each is evaluated, over all evaluations.
    """

    networks: int
    density: float
    steps: float
    examples: int


def strategy_at(density: float, strategy: str, takes_over: Mapping[str, float]) -> str:
    """The name of the strategy that trains networks of a density; see `Plan.strategy_for`."""
    return next((name for name, share in takes_over.items() if density <= share), strategy)


def seconds_of(trainings: Iterable[Trainings], pace: Pace) -> float:
    """The time that trainings take, one stack after another."""
    total = 0.0
    for one in trainings:
        each = pace.at(one.density)
        total += one.networks * (each.begin + one.steps * each.step + one.examples * each.example)
    return total


def seconds_by_size(trainings: Sequence[Trainings], size: float, paces: Mapping[float, Pace]) -> float:
    """The time that trainings take of networks that were not timed, from the paces of larger and smaller ones.

    Parameters
    ----------
    trainings
        What is to be trained.
    size
        The multiplications that a network of it takes for a step.
    paces
        By size, what was measured. Between two, the time is linear in the size; beyond them, proportional to it.
    """
    below = max((one for one in paces if one <= size), default=min(paces))
    above = min((one for one in paces if one >= size), default=max(paces))
    if not below <= size <= above:
        return seconds_of(trainings, paces[below].resized(size / below))
    low, high = seconds_of(trainings, paces[below]), seconds_of(trainings, paces[above])
    return low if above == below else low + (size - below) / (above - below) * (high - low)


def trainings_of(
    fitted: Fitted, todo: Sequence[CohortPlan], densities: Sequence[float], pruned: Pruned
) -> list[Trainings]:
    """What a run lacks of the arms with one rule for pruned weights.

    A step by an arm's own recipe counts as its batch size over the run's.

    Parameters
    ----------
    fitted
        The run.
    todo
        What it lacks.
    densities
        Of its rounds, from round 0 on; 1 for rounds that are not given.
    pruned
        "zero" or "initial".
    """
    run, examples, found = fitted.run, fitted.source.examples, Counter[tuple[float, float, int]]()
    arms = {arm.label: arm for arm in run.arms if kind_of_stack(arm.entry.pruned) == pruned}
    for cohort in todo:
        for plan in cohort.rounds:
            density = densities[plan.number] if plan.number < len(densities) else 1.0
            for label in dict.fromkeys(label for label, _ in plan.arms if label in arms):
                tried = fitted.trial.arms[label]
                recipe = next(iter(tried.recipes), run.train)
                steps = tried.start.steps if plan.number else tried.start.dense_steps
                alike = (
                    1.0 if arms[label].entry.learned else density,
                    steps * recipe.batch_size / run.train.batch_size,
                    evaluated_examples(recipe, max(0, recipe.steps - steps), examples),
                )
                found[alike] += len(cohort.replicates) * sum(arm == label for arm, _ in plan.arms)
    return [Trainings(networks, *alike) for alike, networks in found.items()]


def evaluated_examples(recipe: TrainConfig, first: int, examples: Examples) -> int:
    """On how many examples one network is evaluated in its training, each as often as it is; see `training.train`.

    With `recipe.evaluate_on`, as if early stopping were at a step in between, which is known after training alone: the
    network of that step is then evaluated on all examples once more.

    Parameters
    ----------
    recipe
        How it is trained.
    first
        The step that it starts at.
    examples
        The data.
    """
    training, validation, test = (
        len(labels) for labels in (examples.train_labels, examples.validation_labels, examples.test_labels)
    )
    few, times = recipe.evaluate_on, evaluations(first, recipe)
    whole = min(training, validation) + validation + test
    if few is None or (few >= validation and few >= test):
        return times * whole
    some = min(training, few, validation) + min(few, validation) + min(few, test)
    return times * some + 3 * whole  # at both ends, and at the early-stop step


def evaluations(first: int, recipe: TrainConfig) -> int:
    """How often a network is evaluated that trains from step `first`: the number of `training.evaluated_steps`."""
    between = max(0, (recipe.steps - 1) // recipe.evaluate_every - first // recipe.evaluate_every)
    return between + len({first, recipe.steps})


def _density(point: Point) -> float:
    return point.density
