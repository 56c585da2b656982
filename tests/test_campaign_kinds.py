"""Campaigns whose tickets keep their trained values: saving, verification, growth and notes on steps."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from damaged_runs import change_arrays, told
from tickets.analysis import rules_of, winning
from tickets.analysis.report.run_chapter import what_was_run
from tiny_campaigns import TINY

import tickets
from tickets.roles import arm_starts, other_steps, steps_sentence, trained_steps
from tickets.store import read_end_states, round_folder, run_folders, verify

STEPS, MORE, STEP = 20, 8, 5
ARMS = ["ticket", "shuffle", "random_mask", "repeat", {"name": "reinit", "label": "full", "start": 0}]


def table(kind: str, **changes: Any) -> dict[str, Any]:
    rewind = {"kind": kind, **({} if kind == "none" else {"step": STEP})}
    more = {"fine_tune": {"steps": MORE}} if kind == "none" else {}
    return {**TINY, "arms": ARMS, "rewind": rewind, **more, **changes}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A campaign's folder, by kind."""
    parent = tmp_path_factory.mktemp("kinds")
    for kind in ("none", "learning_rate"):
        tickets.run(table(kind), out=parent / kind)
    return {path.name: path for path in parent.iterdir()}


def file_of(folder: Path) -> dict[str, Any]:
    (run,) = run_folders(folder)
    return json.loads((run / "run.json").read_text())


def cohort_of(folder: Path) -> Path:
    return run_folders(folder)[0] / "cohort-000"


def test_what_is_saved_is_whole_and_read_back(folders: dict[str, Path]) -> None:
    for kind, folder in folders.items():
        assert verify(folder) == []
        saved = tickets.load(folder)
        before, after = (saved.ticket(replicate=1, round=round) for round in (1, 2))
        for name, value in after.values.items():
            mask = after.mask.get(name, np.ones(value.shape, bool))
            assert np.array_equal(value, np.where(mask, before.trained[name], 0))
        after.build()
        states = [read_end_states(round_folder(cohort_of(folder), round)) for round in range(3)]
        assert not (cohort_of(folder) / "rewind").exists()
        if kind == "learning_rate":
            assert states == [{}, {}, {}]
            continue
        for round, by_replicate in enumerate(states):
            assert set(by_replicate) == {0, 1}
            for replicate, state in by_replicate.items():
                mask = saved.ticket(replicate=replicate, round=round).mask
                assert set(state) == {
                    f"{name}/{key}" for name in after.values for key in ("exp_avg", "exp_avg_sq", "step")
                }
                assert state["1.weight/step"] == STEPS + round * MORE
                assert np.array_equal(
                    state["1.weight/exp_avg_sq"] > 0, mask["1.weight"] & (state["1.weight/exp_avg_sq"] > 0)
                )
                assert (state["3.weight/exp_avg"][~mask["3.weight"]] == 0).all()


def test_a_damaged_end_is_found(folders: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(folders["none"], tmp_path / "out")
    cohort = cohort_of(tmp_path / "out")

    def shorten(arrays: dict[str, Any]) -> None:
        arrays["0/1.weight/exp_avg"] = arrays["0/1.weight/exp_avg"][1:]
        arrays["0/9.weight/exp_avg"] = arrays["0/1.bias/exp_avg"]
        for key in [key for key in arrays if key.startswith("1/")]:
            del arrays[key]

    def move(arrays: dict[str, Any]) -> None:
        arrays["1/ticket/3.bias"] += 1

    change_arrays(cohort / "round-000", "optimizer.safetensors", shorten)
    change_arrays(cohort / "round-001", "trained.safetensors", move)
    (cohort / "round-002" / "optimizer.safetensors").unlink()
    assert told(tmp_path / "out") == [
        ("round-000/optimizer.safetensors", "has states of replicates [0], must have those of [0, 1]"),
        ("round-000/optimizer.safetensors", "replicate 0: 1.weight/exp_avg is (511,), but must be (512,)"),
        ("round-000/optimizer.safetensors", "replicate 0: 9.weight/exp_avg is of no parameter"),
        ("round-002/optimizer.safetensors", "missing"),
    ]
    shutil.copy(cohort_of(folders["none"]) / "round-002" / "optimizer.safetensors", cohort / "round-002")
    assert told(tmp_path / "out")[3:] == [
        (
            "round-002/weights.safetensors",
            "replicate 1: the ticket's 3.bias is not what it starts from, where its mask keeps",
        )
    ]


@pytest.mark.parametrize("kind", ["none", "learning_rate"])
def test_interrupted_in_the_middle_of_a_round_it_goes_on_to_the_same_bits(
    kind: str, folders: dict[str, Path], watcher: Any, contents: Any, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        tickets.run(table(kind), out=out, listener=watcher(stop=(2, 3)))
    listener = watcher()
    tickets.run(table(kind), out=out, listener=listener)
    assert listener.trained == ["cohort-000/round-002"]
    assert contents(out) == contents(folders[kind])


def test_rounds_and_arms_that_are_added_start_where_they_must(folders: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(folders["none"], out)
    tickets.run(table("none", rounds=3, arms=[*ARMS, "sign_constant"]), out=out)
    rounds = tickets.load(out).rounds
    last = {arm: rows["last_step"].tolist() for arm, rows in rounds[rounds["replicate"] == 1].groupby("arm")}
    assert last["ticket"] == last["sign_constant"] == [STEPS + round * MORE for round in range(4)]
    assert last["full"] == [STEPS] * 4
    assert verify(out) == []


def test_the_steps_of_every_arm_are_known_and_said(folders: dict[str, Path]) -> None:
    file = file_of(folders["none"])
    in_all = {arm: [trained_steps(file, arm, round) for round in range(3)] for arm in arm_starts(file)}
    assert in_all == {
        "ticket": [20, 28, 36],
        "shuffle": [20, 8, 8],
        "random_mask": [20, 8, 8],
        "repeat": [20, 28, 36],
        "full": [20, 20, 20],
    }
    assert other_steps(file) == {"shuffle": -20, "random_mask": -20, "full": -8}
    assert steps_sentence(file) == (
        'training steps (rewind.kind = "none": tickets keep their trained values): after round 1 the ticket has had 28 '
        "in all, and 8 more after each further round; shuffle, random_mask: 8 in every round; full: 20 in every round; "
        "random_mask: from the initial values, since the trained values of pruned weights are gone; `start = 0` gives "
        "an arm the whole schedule"
    )
    file = file_of(folders["learning_rate"])
    in_all = {arm: [trained_steps(file, arm, round) for round in range(3)] for arm in ("ticket", "shuffle", "full")}
    assert in_all == {"ticket": [20, 35, 50], "shuffle": [20, 15, 15], "full": [20, 20, 20]}
    for folder in folders.values():  # what run.json says is what the configuration alone means
        file = file_of(folder)
        assert arm_starts(file) == arm_starts({"config": file["config"]})


def test_speed_is_not_judged_and_there_is_no_verdict(folders: dict[str, Path]) -> None:
    for kind, folder in folders.items():
        saved = tickets.load(folder)
        rounds = saved.rounds
        assert rounds.loc[rounds["round"] > 0, "steps_to_dense_loss"].isna().all()
        assert rounds.loc[rounds["round"] == 0, "steps_to_dense_loss"].notna().all()
        last = rounds[rounds["arm"] == "ticket"].groupby("round")["last_step"].first().tolist()
        assert last == ([20, 28, 36] if kind == "none" else [20, 20, 20])
        (answer,) = winning(rounds, rules_of(saved))
        assert answer.answer == answer.answer_diverged == "cannot tell"
        assert answer.why.startswith(
            f'the tickets keep their trained values (rewind.kind = "{kind}"), so none is trained in isolation from an '
            "early state"
        )
        assert list(answer.holding) == ["no worse than dense", "better than reinit"]  # of speed nothing is counted
        text = what_was_run(rounds, file_of(folder))
        assert text.endswith(
            "not rewound: each round fine-tunes the trained values for 8 further steps at the last learning rate."
            if kind == "none"
            else "the schedule is rewound to step 5, and the trained values stay."
        )


def test_start_0_is_another_arm_where_no_other_starts_there(folders: dict[str, Path]) -> None:
    arms = [{"name": "reinit", "label": "full"} if isinstance(arm, dict) else arm for arm in ARMS]
    said = "arm 'full' was trained here with start = 0; the campaign now says none"
    with pytest.raises(tickets.InputError, match=said):
        tickets.run(table("none", arms=arms), out=folders["none"])
