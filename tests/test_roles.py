"""What arms are to the ticket, from a saved configuration alone."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from tickets.catalogue import ARMS
from tickets.config import parse_run
from tickets.roles import (
    ArmStart,
    arm_starts,
    arms_by_label,
    comparison_notes,
    like_ticket,
    other_steps,
    role,
    small_dense_sentence,
    steps_sentence,
    trained_steps,
)


def config(**changes: Any) -> dict[str, Any]:
    table = {"name": "t", "data": "digits", "model": "mlp", "arms": list(ARMS), "train": {"steps": 100}}
    return parse_run({**table, **changes}).model_dump(mode="json")


def test_an_arm_goes_by_its_label() -> None:
    arms = ["ticket", "repeat", {"name": "repeat", "label": "again"}, {"name": "reinit", "label": "full", "start": 0}]
    found = config(arms=arms)
    assert list(arms_by_label(found)) == ["ticket", "repeat", "again", "full"]
    roles = {arm: role({"config": found}, arm) for arm in arms_by_label(found)}
    assert roles == {"ticket": "ticket", "repeat": "measurement", "again": "measurement", "full": "control"}


def test_arms_that_the_campaign_no_longer_names() -> None:
    file = {"config": config(arms=["ticket"])}
    assert [role(file, arm) for arm in ("reorder", "reinit", "gone")] == ["measurement", "control", "control"]


def test_what_starts_as_the_ticket_is_a_measurement() -> None:
    file = {"config": config(), "like_ticket": ["reinit", "shuffle"]}
    assert [role(file, arm) for arm in ("reinit", "shuffle", "constant")] == ["measurement", "measurement", "control"]


@pytest.mark.parametrize(
    "init", ["constant", "zeros", {"name": "dct", "biases": "model"}, "hadamard", "quasi_normal", "quasi_orthogonal"]
)
def test_runs_saved_before_it_was_recorded_are_judged_by_their_init(init: Any) -> None:
    file = {"config": config(model={"name": "mlp", "init": init})}
    assert like_ticket(file) == ("reinit",)
    assert like_ticket({"config": config(model={"name": "mlp", "init": "glorot_normal"})}) == ()
    line, *others = comparison_notes(file)
    assert [other.split(", with")[0] for other in others] == [
        f"trained in another way than the ticket: {arm}" for arm in ("supermask", "edge_popup")
    ]
    assert line.startswith("reinit: the same initial weights as the ticket's from this start (model.init = ")


def test_without_rewinding_every_arm_has_as_many_steps() -> None:
    assert {trained_steps({"config": config()}, arm) for arm in ARMS} == {100}
    assert other_steps({"config": config()}) == {}
    assert steps_sentence({"config": config()}) is None


def test_arms_that_do_not_go_on_from_the_rewound_values_have_fewer_steps() -> None:
    found = {"config": config(rewind={"step": 30})}
    fewer = {
        "reinit", "shuffle", "constant", "sign_constant", "random_sign_constant", "sign_reinit", "sign_shuffle",
        "random_mask_reinit", "pruned_at_init_reinit", "small_dense",
    }  # fmt: skip
    assert other_steps(found) == dict.fromkeys([arm for arm in ARMS if arm in fewer], -30)
    assert {trained_steps(found, arm, round=0) for arm in ARMS} == {100}


def test_start_gives_the_whole_schedule() -> None:
    starts = [{"name": "reinit", "start": 0}, {"name": "repeat", "start": 0}, {"name": "reinit", "label": "short"}]
    found = {"config": config(arms=["ticket", *starts], rewind={"step": 30})}
    assert [trained_steps(found, arm) for arm in ("ticket", "reinit", "repeat", "short")] == [100, 100, 130, 70]
    assert other_steps(found) == {"repeat": 30, "short": -30}
    assert steps_sentence(found) == (
        "training steps after round 0: the ticket has had 100 in all, 30 of them before the rewind step; "
        "repeat: 30 more; short: 30 fewer; `start = 0` gives an arm the whole schedule"
    )


def test_it_needs_no_torch() -> None:
    code = "import sys, tickets.roles, tickets.coverage; print(sorted({'torch', 'pandas', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


def test_what_run_json_says_of_starts_goes_before_the_catalogue() -> None:
    starts = {"reinit": {"step": 30, "continues": False, "before": 100, "steps": 40, "dense_steps": 50}}
    file = {"config": config(arms=["ticket", "reinit", "repeat"], rewind={"step": 30}), "starts": starts}
    assert arm_starts(file)["reinit"] == ArmStart(30, False, 100, 40, 50)
    assert arm_starts(file)["repeat"] == ArmStart(30, True, 30, 70, 100)
    assert trained_steps(file, "reinit") == 140
    assert trained_steps(file, "reinit", round=0) == 50
    assert other_steps(file) == {"reinit": 40}


def test_an_arm_with_rules_of_ones_own_has_the_role_that_it_says() -> None:
    own = [{"name": "a", "mask": "m:f"}, {"name": "b", "values": "m:f", "role": "measurement"}]
    file = {"config": config(arms=["ticket", *own])}
    assert [role(file, arm) for arm in ("ticket", "a", "b")] == ["ticket", "control", "measurement"]


def test_rules_of_ones_own_under_a_name_that_the_catalogue_has_now() -> None:
    saved = {"name": "frozen", "draws": 1, "mask": "tickets.arms:round_mask", "values": "m:f", "role": "measurement"}
    file = {"config": {**config(), "arms": ["ticket", saved]}}
    assert role(file, "frozen") == "measurement"
    assert role({"config": config()}, "frozen") == "control"
    assert arm_starts(file)["frozen"].before == 0


def test_an_arm_with_other_steps_and_settings_says_so() -> None:
    arms = ["ticket", {"name": "reinit", "train": {"steps": 60}}, {"name": "repeat", "train": {"gamma": 0.5}}]
    file = {"config": config(arms=arms)}
    assert other_steps(file) == {"reinit": -40}
    assert comparison_notes(file) == [
        "trained in another way than the ticket: reinit, with steps = 60 (the ticket: 100)",
        "trained in another way than the ticket: repeat, with gamma = 0.5 (the ticket: 0.1)",
        "training steps after round 0: the ticket has had 100 in all; reinit: 40 fewer",
    ]
    assert role(file, "repeat") == "control"
    late = {"config": config(arms=[*arms, {"name": "reinit", "label": "late"}], rewind={"step": 30})}
    assert steps_sentence(late) == (
        "training steps after round 0: the ticket has had 100 in all, 30 of them before the rewind step; "
        "reinit: 70 fewer; late: 30 fewer; `start = 0` gives an arm the whole schedule"
    )


def test_settings_of_the_catalogue_that_are_the_tickets_own_are_not_said() -> None:
    (said,) = comparison_notes({"config": config(arms=["ticket", "edge_popup"])})
    assert said.startswith("trained in another way than the ticket: edge_popup, with optimizer = ")
    assert "milestones" not in said  # none in both


def test_start_0_is_no_remedy_for_steps_of_an_arms_own() -> None:
    arms = ["ticket", {"name": "reinit", "train": {"steps": 60}, "start": 0}]
    file = {"config": config(arms=arms, rewind={"step": 30})}
    assert steps_sentence(file).endswith("before the rewind step; reinit: 40 fewer")


def test_without_rewinding_the_sentence_names_no_rewind_step() -> None:
    starts = {"tuned": {"step": 0, "continues": False, "before": 100, "steps": 20, "dense_steps": 20}}
    file = {"config": config(arms=["ticket", {"name": "tuned", "values": "m:f"}]), "starts": starts}
    assert steps_sentence(file) == "training steps after round 0: the ticket has had 100 in all; tuned: 20 more"


def test_the_size_of_narrower_networks_is_said_by_the_labels_of_their_arms() -> None:
    rounds = [
        {"round": 0, "left": 100, "widths": [8, 6], "weights": 100},
        {"round": 1, "left": 80, "widths": [6, 4], "weights": 70},
        {"round": 2, "left": 64, "widths": [5, 3], "weights": 60},
    ]
    arms = ["ticket", {"name": "small_dense", "label": "small"}]
    file = {"config": config(arms=arms), "small_dense": {"rounds": rounds}}
    assert small_dense_sentence(file) == (
        "small: dense networks with hidden widths 8-6 in round 0 to 5-3 in round 2, the largest with at most as many "
        "weights as the ticket has left; they have at least 87.5 % as many (round 1: 70 and 80)"
    )
    assert small_dense_sentence(file) in comparison_notes(file)
    assert small_dense_sentence({"config": config(arms=arms)}) is None
    assert small_dense_sentence({**file, "config": config(arms=["ticket"])}) is None
