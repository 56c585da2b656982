"""The time of trainings from that of a few steps: arithmetic with given timings, and counts of what a run does."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch

import tickets
from tickets import cohort
from tickets.catalogue import kind_of_stack
from tickets.config import TrainConfig
from tickets.durations import estimated, spoken
from tickets.pace import (
    Pace,
    Point,
    Trainings,
    evaluated_examples,
    evaluations,
    seconds_by_size,
    seconds_of,
    trainings_of,
)
from tickets.preparation import prepare
from tickets.stack import training

DENSE, THIN = Point(1.0, step=4.0, example=0.5, begin=10.0), Point(0.2, step=2.0, example=0.1, begin=6.0)
SPARSE = Pace("sparse", {"sparse": (DENSE, THIN)}, {})


def test_networks_times_steps_and_examples():
    dense = Trainings(networks=3, density=1.0, steps=7, examples=20)
    assert seconds_of([dense], SPARSE) == 3 * (10 + 7 * 4 + 20 * 0.5)
    thin = Trainings(networks=2, density=0.2, steps=1, examples=0)
    assert seconds_of([dense, thin], SPARSE) == 3 * 48 + 2 * (6 + 2)
    assert seconds_of([], SPARSE) == 0


def test_densities_between_are_interpolated_and_those_beyond_are_not():
    half = SPARSE.at(0.6)  # half way between 0.2 and 1
    assert (half.step, half.example, half.begin) == pytest.approx((3.0, 0.3, 8.0))
    assert SPARSE.at(0.4).step == pytest.approx(2.5)
    assert (SPARSE.at(0.01).step, SPARSE.at(0.2).step, SPARSE.at(1.0).step) == (2.0, 2.0, 4.0)


def test_a_strategy_that_takes_over_has_points_of_its_own():
    points = {"looped": (Point(1.0, 5.0, 1.0),), "sparse": (Point(0.4, 3.0, 1.0), Point(0.2, 1.0, 1.0))}
    pace = Pace("looped", points, {"sparse": 0.5})
    assert [pace.at(density).step for density in (1.0, 0.6, 0.5, 0.4, 0.3, 0.1)] == pytest.approx([5, 5, 3, 3, 2, 1])


def test_sizes_between_are_interpolated_and_those_beyond_are_in_proportion():
    small, large = (Pace("layered", {"layered": (Point(1.0, step, 0.0),)}, {}) for step in (1.0, 5.0))
    paces, one = {100.0: small, 300.0: large}, [Trainings(2, 1.0, 10, 0)]
    times = [seconds_by_size(one, size, paces) for size in (100, 150, 300, 600, 50)]
    assert times == pytest.approx([20, 40, 100, 200, 10])


@pytest.mark.parametrize(("first", "every", "steps"), [*itertools.product((0, 3, 4, 8), (1, 4, 5, 100), (8, 9, 12))])
def test_evaluations_are_counted(first: int, every: int, steps: int):
    recipe = TrainConfig(steps=steps, evaluate_every=every)
    assert evaluations(first, recipe) == len(training.evaluated_steps(first, recipe))


CHANGES = {
    "replicates": 3,
    "cohort_size": 2,
    "rewind": {"step": 4},
    "train": {"steps": 10, "evaluate_every": 3},
    "arms": ["ticket", {"name": "reinit", "draws": 2}, "frozen", {"name": "constant", "start": 0}],
}


@pytest.mark.parametrize("few", [None, 20, 10**6])
def test_what_is_counted_is_what_a_run_does(campaign_file, tmp_path: Path, monkeypatch, few: int | None):
    changes = CHANGES if few is None else {**CHANGES, "train": {**CHANGES["train"], "evaluate_on": few}}
    file, seen, whole = campaign_file(tmp_path, **changes), [], training.evaluate
    options = {"out": tmp_path / "out", "data": None, "settings": (), "device": "cpu"}
    ready = prepare(file, **options, workers=1)
    ((name, fitted),) = ready.fitted.items()
    starts, todo = fitted.trial.starts, ready.todo[name]
    found = [one for rule in ("zero", "initial") for one in trainings_of(fitted, todo, (1.0, 0.5, 0.25), rule)]
    assert sum(one.networks * one.steps for one in found) == sum(cohort.steps_missing(one, starts) for one in todo)
    assert {one.density for one in found} == {1.0, 0.5, 0.25}
    frozen = trainings_of(fitted, todo, (), "initial")
    assert (sum(one.networks for one in frozen), {one.density for one in frozen}) == (3 * 3, {1.0})
    assert kind_of_stack("zero_if_shrunk") == "initial"

    def counted(task, logits, examples, chunk):
        row = whole(task, logits, examples, chunk)
        validation = len(examples.validation_labels)
        count = min(validation, len(examples.train_labels)) + validation + len(examples.test_labels)
        seen.append(len(row) * count)
        return row

    monkeypatch.setattr(training, "evaluate", counted)
    tickets.run(file, out=tmp_path / "out")
    counted_on = sum(one.networks * one.examples for one in found)
    # Stacks that stop early at their first or last step are not evaluated once more.
    examples = fitted.source.examples
    whole_once = 2 * len(examples.validation_labels) + len(examples.test_labels)
    spared = sum(one.networks for one in found) * whole_once if few == 20 else 0
    assert counted_on - spared <= sum(seen) <= counted_on


def test_few_training_examples_are_all_evaluated():
    class Made:
        train_labels, validation_labels, test_labels = (torch.zeros(count) for count in (50, 3950, 1000))

    recipe = TrainConfig(steps=10, evaluate_every=5, evaluate_on=40)
    assert evaluated_examples(recipe, 0, Made()) == 3 * (40 + 40 + 40) + 3 * (50 + 3950 + 1000)


def test_durations_are_said_in_few_digits():
    seconds = (3.4, 19.4, 33, 47, 88, 100, 752, 2340, 5300, 5500, 12345, 36001, 360000)
    assert [estimated(one) for one in seconds] == [
        "3 s", "19 s", "35 s", "45 s", "2 min", "2 min", "13 min", "40 min", "1.5 h", "1.5 h", "3.5 h", "10.0 h",
        "100.0 h",
    ]  # fmt: skip
    assert [spoken(one) for one in (33, 5300, 5500)] == ["33 s", "88 min", "1.5 h"]
