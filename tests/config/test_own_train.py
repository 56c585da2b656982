"""An arm's own keys of [train]: their types, defaults, and what they may not be combined with."""

from __future__ import annotations

import pickle
import tomllib
from dataclasses import replace
from typing import Any

import pytest
from problem_lines import BASE, lines

from tickets.catalogue import ARMS
from tickets.config import TrainConfig, parse_campaign, parse_run, recipe_of, run_id, to_toml
from tickets.config.own_train import FIXED_KEYS, NONE, OWN_KEYS, inline

ALLOWED = f"(allowed: {', '.join(sorted(OWN_KEYS))})"
SGD = {"optimizer": "sgd", "momentum": 0.9}


def arm(label: str = "slow", name: str = "reinit", **train: Any) -> dict[str, Any]:
    return {"name": name, "label": label, "train": train}


def run(*arms: Any, **changes: Any) -> Any:
    return parse_run({**BASE, "arms": ["ticket", *arms], **changes})


def test_every_key_of_train_may_be_an_arms_own_or_says_why_not() -> None:
    assert set(OWN_KEYS) | set(FIXED_KEYS) == set(TrainConfig.model_fields)
    assert not set(OWN_KEYS) & set(FIXED_KEYS)


def test_null_in_json_is_a_key_that_is_not_given() -> None:
    train = {"schedule": "step", "milestones": [20], "steps": 99}
    for key in OWN_KEYS:
        assert run(arm(**{"gamma": 0.5, key: None}), train=train) == run(
            arm(**({} if key == "gamma" else {"gamma": 0.5})), train=train
        )


def test_keys_replace_the_runs_one_by_one() -> None:
    one = run("reinit", arm(steps=50, schedule="step", milestones=[20]), train={"weight_decay": 0.5, "steps": 99})
    ticket, reinit, slow = (recipe_of(one.train, each) for each in one.arms)
    assert ticket is reinit is one.train
    assert slow == TrainConfig(weight_decay=0.5, steps=50, schedule="step", milestones=(20,))


def test_the_catalogues_keys_come_between(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ARMS, "shuffle", replace(ARMS["shuffle"], train={**SGD, "learning_rate": 0.1}))  # type: ignore[misc]
    one = run("shuffle", arm("fast", "shuffle", learning_rate=2), train={"weight_decay": 0.5})
    plain, fast = (recipe_of(one.train, each) for each in one.arms[1:])
    assert plain == TrainConfig(optimizer="sgd", momentum=0.9, learning_rate=0.1, weight_decay=0.5)
    assert fast == plain.model_copy(update={"learning_rate": 2.0})
    assert "train" not in one.arms[1].model_dump()
    (line,) = lines(arms=["ticket", arm("fast", "shuffle", optimizer="adam")])
    assert line == (
        'arms[1].train.optimizer = "adam": only optimizer "sgd" takes a momentum, not "adam"; leave it out or write '
        'optimizer = "sgd" (momentum = 0.9 is that of shuffle itself; the arm\'s train can give another)'
    )
    monkeypatch.setitem(ARMS, "shuffle", replace(ARMS["shuffle"], train={"warmup_steps": 60}))  # type: ignore[misc]
    assert lines(arms=["ticket", "shuffle"], train={"steps": 50}) == [
        'arms[1] = "shuffle": must be at most train.steps = 50 (steps = 50 is that of [train], warmup_steps = 60 is '
        "that of shuffle itself; the arm's train can give another)"
    ]


def test_it_is_no_part_of_the_run_and_is_left_out_where_it_is_empty() -> None:
    with_own = run("reinit", arm(learning_rate=1))
    assert run_id(with_own) == run_id(run("reinit"))
    assert with_own.model_dump(mode="json")["arms"][2]["train"] == {"learning_rate": 1.0}
    empty = run({"name": "reinit", "train": {}})
    assert empty == run("reinit")
    assert empty.arms[1].train == NONE
    assert "train" not in empty.model_dump()["arms"][1]


def test_it_survives_a_file_and_another_process() -> None:
    own = {"name": "mine", "values": "m:f", "train": {"steps": 7, "schedule": "step", "milestones": [2, 3]}}
    campaign = parse_campaign({**BASE, "arms": ["ticket", arm(**SGD), own]})
    assert parse_campaign(tomllib.loads(to_toml(campaign))) == campaign
    assert pickle.loads(pickle.dumps(campaign)) == campaign
    assert len({*campaign.runs[0].arms}) == 3


def test_a_measurement_that_is_trained_in_another_way_is_a_control() -> None:
    found = run("repeat", arm("slow", "repeat", steps=5), {"name": "reorder", "pruned": "initial"}).arms
    assert [one.entry.role for one in found] == ["ticket", "measurement", "control", "control"]
    (line,) = lines(arms=["ticket", "repeat", arm("slow", "repeat", steps=5)], verdict={"controls": ["repeat"]})
    assert line.endswith("the ticket trained again, which measures noise; controls among this campaign's arms: slow")


@pytest.mark.parametrize(
    ("train", "line"),
    [
        ({"learning_rat": 1}, f".learning_rat: unknown key; did you mean 'learning_rate'? {ALLOWED}"),
        (
            {"precision": "bf16"},
            ".precision: must be the run's, in [train]: every network of a run is computed in the same precision "
            + ALLOWED,
        ),
        ({"steps": 0}, ".steps = 0: must be at least 1"),
        ({"steps": "many"}, '.steps = "many": must be a whole number, not a string'),
        ({"learning_rate": -1}, ".learning_rate = -1: must be greater than 0"),
        ({"optimizer": "sgdd"},
         ".optimizer = 'sgdd': unknown optimizer; did you mean 'sgd'? (allowed: adam, adamw, sgd)"),
        (5, " = 5: must be a table, not a whole number"),
        ({"milestones": [3, 2], "schedule": "step"}, ".milestones = [3, 2]: must increase from each step to the next"),
        (
            {"momentum": 0.5},
            '.momentum = 0.5: only optimizer "sgd" takes a momentum, not "adam"; leave it out or write optimizer = '
            "\"sgd\" (optimizer = \"adam\" is that of [train]; the arm's train can give another)",
        ),
        (
            {"optimizer": "adamw", "momentum": 0.5},
            '.momentum = 0.5: only optimizer "sgd" takes a momentum, not "adamw"; leave it out or write optimizer = '
            '"sgd"',
        ),
        (
            {"warmup_steps": 2000},
            ".warmup_steps = 2000: must be at most train.steps = 1000 (steps = 1000 is that of [train]; the arm's "
            "train can give another)",
        ),
    ],
)  # fmt: skip
def test_one_wrong_key_gives_one_line(train: Any, line: str) -> None:
    assert lines(arms=["ticket", {"name": "reinit", "train": train}]) == [f"arms[1].train{line}"]


def test_all_that_is_wrong_is_said_at_once() -> None:
    found = lines(
        train={"schedule": "step", "milestones": [500]},
        arms=[arm("ticket", "ticket", steps=5), arm("a", steps=100, gamma=7), arm("b", schedule="cosine", bogus=1)],
    )
    starts = (
        "arms[1].train.gamma = 7: ",
        "arms[2].train.bogus: ",
        'arms[0].train = {"steps": 5}: ',
        "arms[1].train.steps = 100: ",
        'arms[2].train.schedule = "cosine": ',
    )
    assert len(found) == len(starts)
    assert all(line.startswith(start) for line, start in zip(found, starts, strict=True))
    assert "the ticket trains by the run's [train]; leave train out here" in found[2]


def test_what_depends_on_an_illegal_value_is_not_judged() -> None:
    assert [line.split(" = ")[0] for line in lines(arms=["ticket", arm(optimizer="sgdd", momentum=0.9)])] == [
        "arms[1].train.optimizer"
    ]


REWIND = "the arm goes on from the values of step 50 with the optimizer state of that step, which is one of "
REMEDY = "; start = 0 gives it a fresh optimizer and the whole schedule"


@pytest.mark.parametrize(
    ("run_train", "own", "said"),
    [
        ({}, arm(steps=50), ".steps = 50: must be more than rewind.step = 50, where the arm's training starts; give it "
         "more steps, or start = 0 for the whole schedule"),
        ({}, arm(name="random_mask", **SGD), f'.optimizer = "sgd": {REWIND}adam{REMEDY}'),
        ({}, arm(name="repeat", optimizer="adamw"), f'.optimizer = "adamw": {REWIND}adam{REMEDY}'),
        (SGD, arm(name="repeat", momentum=0), f".momentum = 0: {REWIND}sgd with momentum{REMEDY}"),
        ({"optimizer": "sgd"}, arm(name="repeat", momentum=0.5),
         f".momentum = 0.5: {REWIND}sgd without momentum{REMEDY}"),
        ({}, {"name": "mine", "mask": "m:f", "train": SGD}, f'.optimizer = "sgd": {REWIND}adam{REMEDY}'),
    ],
)  # fmt: skip
def test_an_arm_that_cannot_go_on_at_the_rewind_step(run_train: Any, own: Any, said: str) -> None:
    changes = {"train": run_train, "rewind": {"step": 50}}
    assert lines(arms=["ticket", own], **changes) == [f"arms[1].train{said}"]
    if "mask" not in own:
        run({**own, "start": 0}, **changes)
    run(own, train=run_train)


def test_an_arm_that_can() -> None:
    run(arm(**SGD), arm("more", "repeat", steps=51), arm("same", "repeat", optimizer="adam"), rewind={"step": 50})
    run(arm("other", "repeat", momentum=0.5), train=SGD, rewind={"step": 50})


FINE_TUNING = {"rewind": {"kind": "none"}, "fine_tune": {"steps": 5}}
GOES_ON = "the arm goes on from the values that the round before ended with, and with the optimizer state there"


@pytest.mark.parametrize("name", ["repeat", "reorder", "frozen"])
def test_fine_tuning_goes_on_with_the_optimizer_of_the_round_before(name: str) -> None:
    said = f'arms[1].train.optimizer = "sgd": {GOES_ON}, which is one of adam{REMEDY}'
    assert lines(arms=["ticket", arm(name=name, **SGD)], **FINE_TUNING) == [said]
    run({**arm(name=name, **SGD), "start": 0}, arm("same", name, learning_rate=0.5), **FINE_TUNING)


def test_an_arm_with_a_fresh_optimizer_may_have_another_one() -> None:
    run(arm(**SGD), arm("other", "random_mask", **SGD), {"name": "mine", "mask": "m:f", "train": SGD}, **FINE_TUNING)
    run(arm(name="repeat", **SGD), rewind={"kind": "learning_rate", "step": 50})
    assert len(lines(arms=["ticket", arm(steps=50)], rewind={"kind": "learning_rate", "step": 50})) == 1


def test_inline() -> None:
    assert inline({}) == "{}"
    assert inline({"steps": 5, "optimizer": "sgd", "milestones": (2, 3)}) == (
        '{ steps = 5, optimizer = "sgd", milestones = [2, 3] }'
    )
