"""Arms with keys of [train] of their own: trained by them, saved, forecast, compared, resumed."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fitted_runs import fitted
from wrong_shards import LINEAR, execution, going_wrong

import tickets
from tickets.arm_rules import apply_rules, rules_of
from tickets.arms import Origin, Start
from tickets.config import ArmConfig, TrainConfig, recipe_of
from tickets.errors import InputError, UserCodeError
from tickets.forecast import forecast
from tickets.planning import plan_execution
from tickets.store import verify

SELF = __name__
SGD = {"optimizer": "sgd", "momentum": 0.9, "learning_rate": 0.1, "batch_size": 40}
SLOW = {"name": "reinit", "label": "slow", "train": {"learning_rate": 1e-3, "steps": 12}}
OTHER = {"name": "repeat", "label": "other", "train": {**SGD, "evaluate_every": 5}}
OWN = {"name": "own", "values": f"{SELF}:halved", "train": {"weight_decay": 0.1}}
BASE = {"arms": ["ticket", "reinit", SLOW, OTHER, OWN], "store": {"trained": "all"}, "rounds": 1,
        "train": {"evaluate_every": 10}, "compute": {"strategy": "looped"}}  # fmt: skip


def halved(origin: Origin, mask: Any) -> Start:
    rate = origin.recipe.learning_rate / 2
    return Start(origin.theta0, recipe=origin.recipe.model_copy(update={"learning_rate": rate}))


@pytest.fixture(scope="module")
def out(campaign_file, tmp_path_factory):
    folder = tmp_path_factory.mktemp("own_train")
    tickets.run(campaign_file(folder, **BASE), out=folder / "out")
    return folder / "out"


def same(one: Any, other: Any) -> bool:
    return all(one.trained[name].tobytes() == values.tobytes() for name, values in other.trained.items())


def test_an_arm_trains_as_the_ticket_of_a_run_with_these_settings(campaign_file, out, tmp_path):
    settings = {**BASE, "arms": ["ticket"], "train": {**BASE["train"], **OTHER["train"]}}
    wanted = tickets.run(campaign_file(tmp_path, **settings), out=tmp_path / "wanted").ticket(1, 0)
    saved = tickets.load(out)
    assert same(saved.arm("other", 1, 0), wanted)
    assert not same(saved.arm("ticket", 1, 0), wanted)


def test_its_rows_are_those_of_its_own_steps(out):
    curves = tickets.load(out).curves
    steps = {arm: sorted(rows["step"].unique().tolist()) for arm, rows in curves.groupby("arm")}
    assert steps["ticket"] == steps["reinit"] == steps["own"] == [0, 10, 20]
    assert steps["slow"] == [0, 10, 12]
    assert steps["other"] == [0, 5, 10, 15, 20]


def test_other_arms_are_what_they_are_without_it(campaign_file, out, tmp_path):
    alone = tickets.run(campaign_file(tmp_path, **{**BASE, "arms": ["ticket", "reinit"]}), out=tmp_path / "alone")
    saved = tickets.load(out)
    assert {*alone.rounds["run"]} == {*saved.rounds["run"]}
    for number, arm in ((0, "ticket"), (1, "ticket"), (1, "reinit")):
        assert same(saved.arm(arm, 0, number), alone.arm(arm, 0, number))
    tickets.run(campaign_file(tmp_path, **BASE), out=tmp_path / "alone")
    grown = tickets.load(tmp_path / "alone")
    assert all(same(grown.arm(arm, 1, 1), saved.arm(arm, 1, 1)) for arm in ("slow", "other", "own"))


def test_it_is_said_wherever_it_is_compared(out, command):
    other = "trained in another way than the ticket: "
    lines = [
        f"{other}slow, with learning_rate = 0.001 (the ticket: 0.01), steps = 12 (the ticket: 20)",
        f'{other}other, with optimizer = "sgd" (the ticket: "adam"), learning_rate = 0.1 (the ticket: 0.01), '
        "momentum = 0.9 (the ticket: 0.0), batch_size = 40 (the ticket: 50), evaluate_every = 5 (the ticket: 10)",
        f"{other}own, with weight_decay = 0.1 (the ticket: 0.0)",
        "training steps after round 0: the ticket has had 20 in all; slow: 8 fewer",
    ]
    saved = tickets.load(out)
    assert saved.notes() == lines
    assert saved.roles()["other"] == "control"
    assert all(line in " ".join(command("compare", out).out.split()) for line in lines)
    (arms,) = saved.configs["arms"]
    assert dict(arms[2])["train"] == (("learning_rate", 1e-3), ("steps", 12))
    assert verify(out) == []


def test_a_dry_run_counts_its_steps(campaign_file, out, tmp_path):
    _, (found,) = forecast(
        campaign_file(tmp_path, **BASE), out=tmp_path / "new", data=None, settings=(), device="cpu", workers=1
    )
    assert found.steps == 2 * 2 * (20 * 4 + 12)
    options = json.loads(next(out.glob("*/cohort-000/round-001/manifest.json")).read_bytes())["arm_options"]
    assert options["slow"]["train"] == {"learning_rate": 1e-3, "steps": 12}
    assert "train" not in options["reinit"]


def test_a_committed_arm_keeps_its_settings(campaign_file, out, tmp_path):
    arms = ["ticket", {"name": "reinit", "train": {"steps": 5}}, {"name": "reinit", "label": "slow"}]
    with pytest.raises(InputError) as caught:
        tickets.run(campaign_file(tmp_path, **{**BASE, "arms": arms}), out=out)
    first, second = caught.value.problems
    remedy = "what is committed is never changed: use another folder (--out), or give the arm a label of its own"
    assert first == f"arm 'reinit' was trained here with train = {{}}; the campaign now says {{ steps = 5 }}; {remedy}"
    was = "{ learning_rate = 0.001, steps = 12 }"
    assert second == f"arm 'slow' was trained here with train = {was}; the campaign now says {{}}; {remedy}"


@pytest.mark.parametrize("stop", [(1, 30)])
def test_a_run_that_is_resumed_has_the_same_bits(campaign_file, contents, out, watcher, tmp_path, stop):
    with pytest.raises(KeyboardInterrupt):
        tickets.run(campaign_file(tmp_path, **BASE), out=tmp_path / "out", listener=watcher(stop=stop))
    tickets.run(campaign_file(tmp_path, **BASE), out=tmp_path / "out")
    one, other = contents(out), contents(tmp_path / "out")
    assert one.keys() == other.keys()
    assert [key for key in one if one[key] != other[key]] == []


def test_memory_is_planned_for_the_largest_recipe():
    small, large = (
        plan_execution(
            fitted(arms=["ticket", {"name": "reinit", "train": train}], compute={"memory_gib": 0.05}),
            torch.device("cpu"),
        ).networks_at_once
        for train in ({}, {"batch_size": 24, "optimizer": "sgd", "momentum": 0.5})
    )
    assert small >= large
    one = fitted(arms=["ticket", {"name": "reinit", "train": {"batch_size": 24}}])
    assert [recipe.batch_size for recipe in one.trial.recipes] == [24]


def test_a_batch_is_no_larger_than_the_data():
    reinit, own = {"name": "reinit", "train": {"batch_size": 25}}, {"name": "shuffle", "train": {"batch_size": 24}}
    with pytest.raises(InputError) as caught:
        fitted(arms=["ticket", own, reinit])
    said = "arms[2].train.batch_size = 25: must be at most 24, the number of training examples"
    assert caught.value.problems == (said,)


@pytest.mark.parametrize(("init", "like"), [("constant", ("reinit",)), ("pytorch", ())])
def test_an_arm_like_the_ticket_is_a_control_where_it_is_trained_in_another_way(init, like):
    slow = {"name": "reinit", "label": "slow", "train": {"learning_rate": 0.5}}
    equal = {"name": "reinit", "label": "equal", "train": {"steps": 4}}
    found = fitted(model={"name": "mlp", "widths": [5], "init": init}, arms=["ticket", "reinit", slow, equal]).trial
    assert found.like_ticket == (like and (*like, "equal"))


def test_a_value_rule_may_add_to_the_arms_recipe_and_not_contradict_it():
    own = ArmConfig(name="own", values=f"{SELF}:halved", train={"weight_decay": 0.1})
    run = TrainConfig(steps=20)
    values = {"w": torch.ones(2, 2)}
    origin = Origin({"w": values["w"] > 0}, values, values, frozenset(), lambda seed: values, lambda purpose: 1,
                    parameters=("w",), recipe=recipe_of(run, own))  # fmt: skip
    _, start = apply_rules(rules_of(own), origin, "arm 'own'")
    assert start.recipe == run.model_copy(update={"weight_decay": 0.1, "learning_rate": 5e-4})
    against = ArmConfig(name="own", values=f"{SELF}:halved", train={"learning_rate": 0.1})
    said = "returned a recipe with learning_rate = 0.05, and the campaign gives this arm train.learning_rate = 0.1; "
    with pytest.raises(UserCodeError, match=re.escape(said)):
        apply_rules(rules_of(against), dataclasses.replace(origin, recipe=recipe_of(run, against)), "arm 'own'")


def test_the_strategy_is_compared_by_an_arms_recipe_too(campaign_file, tmp_path: Path, monkeypatch):
    asked = going_wrong(monkeypatch)
    changes = {**LINEAR, "rounds": 0, "arms": ["ticket", OTHER, SLOW]}
    tickets.run(campaign_file(tmp_path, **changes), out=tmp_path / "out")
    assert asked == ["vectorised"] * 3
    assert execution(tmp_path / "out")["compared"]["passed_over"] == []
    assert np.isfinite(execution(tmp_path / "out")["compared"]["largest_difference"])
