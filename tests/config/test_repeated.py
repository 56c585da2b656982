from __future__ import annotations

import pytest

from tickets.config import RunParser, parse_campaign, parse_run, run_id, run_ids
from tickets.errors import InputError

TABLE = {
    "name": "x",
    "data": "digits",
    "model": {"name": "mlp", "widths": [4]},
    "prune": {"rate": 0.2},
    "train": {"steps": 100},
}
SWEEP = {"train.learning_rate": [1e-2, 1e-3], "prune.rate": [0.2, 0.5], "seed": [3, 0, 2**63 - 1]}


def test_the_runs_of_a_sweep_are_those_that_are_checked_one_by_one():
    runs = parse_campaign({**TABLE, "sweep": SWEEP}).runs
    one_by_one = [
        parse_run({**TABLE, "train": {**TABLE["train"], "learning_rate": rate}, "prune": {"rate": prune}, "seed": seed})
        for rate in SWEEP["train.learning_rate"]
        for prune in SWEEP["prune.rate"]
        for seed in SWEEP["seed"]
    ]
    assert list(runs) == one_by_one
    assert [run.model_dump() for run in runs] == [run.model_dump() for run in one_by_one]
    assert run_ids(runs) == [run_id(run) for run in one_by_one]
    assert len(set(run_ids(runs))) == 12


def test_each_configuration_is_checked_once(monkeypatch):
    calls = []
    monkeypatch.setattr("tickets.config.repeated.parse_run", lambda *given: calls.append(given) or parse_run(*given))
    parse_campaign({**TABLE, "sweep": SWEEP})
    assert len(calls) == 4


@pytest.mark.parametrize("seed", [True, 1.0, -1, 2**63, "1", None, [1]])
def test_a_wrong_seed_is_an_error_after_a_right_one(seed):
    parser = RunParser()
    parser.parse({**TABLE, "seed": 1})
    with pytest.raises(InputError) as alone:
        parse_run({**TABLE, "seed": seed})
    with pytest.raises(InputError) as after:
        parser.parse({**TABLE, "seed": seed})
    assert after.value.problems == alone.value.problems


@pytest.mark.parametrize(("key", "value"), [("replicates", True), ("replicates", 2.0), ("rounds", "3")])
def test_equal_values_of_another_type_are_checked(key, value):
    parser = RunParser()
    parser.parse({**TABLE, "replicates": 1, "rounds": 3, "seed": 1})
    with pytest.raises(InputError):
        parser.parse({**TABLE, "replicates": 1, "rounds": 3, "seed": 1, key: value})


def test_without_a_seed_it_is_the_default():
    parser = RunParser()
    assert parser.parse({**TABLE, "seed": 5}).seed == 5
    assert parser.parse(TABLE) == parse_run(TABLE)


def test_every_error_of_a_sweep_is_that_of_its_first_point():
    with pytest.raises(InputError) as error:
        parse_campaign({**TABLE, "sweep": {"train.steps": [100, 0], "seed": [0, 1, -1]}})
    assert len(error.value.problems) == 2
    assert "seed = 0" in error.value.problems[0] + error.value.problems[1]
