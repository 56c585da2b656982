"""A round that is killed and goes on from its checkpoint: the result is that of one that was never interrupted."""

from __future__ import annotations

import itertools
import random
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from killed_rounds import ALWAYS, NAME, SETTINGS, Round, assert_same, key, killed, made_with, round_of
from small_rounds import setting_of

from tickets.chains import first_chain
from tickets.checkpoint import RoundCheckpoint
from tickets.rounds import train_round

LATER = ("groups", "rewound", "fine-tuned", "narrower", "learned")  # also in round 1


@pytest.mark.parametrize(("name", "number"), [*((name, 0) for name in SETTINGS), *((name, 1) for name in LATER)])
def test_killed_at_random_steps_a_round_gives_the_same_bits(
    name: str, number: int, tmp_path: Path, one_thread: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.fsync", lambda descriptor: None)  # nothing is cut off here
    one = round_of(name, number)
    wanted, draw = one.train(None), random.Random(f"{name} {number}")
    pieces = itertools.chain([5], iter(lambda: draw.randint(3, 8), None))  # 5: the first block of kernels is done
    found = one.killed_again_and_again(tmp_path, lambda: next(pieces))
    assert one.notes == []
    assert len(one.resumed) >= 2
    assert any(one.resumed)
    assert_same(wanted, found)


def test_a_round_that_is_shorter_than_the_interval_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, asked = round_of("looped, probes"), []
    monkeypatch.setattr("tickets.checkpoint.write_checkpoint", lambda *_: pytest.fail("writes"))
    monkeypatch.setattr("tickets.stack.stepwise.Stepwise.state", lambda _: pytest.fail("is asked for its state"))
    monkeypatch.setattr("tickets.groups.digest", lambda _: pytest.fail("is hashed"))

    def not_asked() -> dict[str, Any]:
        asked.append(1)
        return {}

    for minutes in (5.0, 0.0):
        assert one.train(RoundCheckpoint(tmp_path, key(), not_asked, minutes, one.notes.append))
    assert (asked, one.notes, list(tmp_path.iterdir())) == ([], [], [])


def test_what_was_trained_is_counted_and_timed(tmp_path: Path) -> None:
    one = round_of("rewound")
    killed(one, tmp_path)
    taken: list[int] = []
    checkpoint = one.checkpoint(tmp_path)
    arms = [(arm, 0) for arm in one.setting.run.arms]
    train_round(one.setting, "id", one.chains, 0, arms, taken.append, checkpoint=checkpoint)
    assert sum(taken) == 2 * 2 * 12
    assert checkpoint.resumed is not None
    assert checkpoint.resumed["seconds"] > 0
    checkpoint.remove()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"fingerprint": {"packages": {"torch": "3"}}}, "another machine, .*: torch 2, now 3"),
        ({"execution": {"lanes": 2}}, "lanes 1, now 2"),
        ({"sources": {"my_nets": "ab"}}, "my_nets None, now ab"),
        ({"probes": {"units": {"name": "units"}}}, "probes None, now"),
    ],
)
def test_made_in_another_way_it_is_not_used(changes: Any, why: str, tmp_path: Path) -> None:
    one = round_of("rewound")
    killed(one, tmp_path)
    found = RoundCheckpoint(tmp_path, key(), made_with(**changes), ALWAYS, one.notes.append)
    assert found.resumed is None
    (note,) = one.notes
    assert re.search(why, note)
    assert note.startswith("id: round 0: its checkpoint is not used, and what it is of begins anew: ")
    assert_same(one.train(None), one.train(found))


@pytest.mark.parametrize(
    "changes", [{"round": 1}, {"part": 1}, {"run": "other"}, {"replicates": [0]}, {"arms": []}, {"cohort": 1}]
)
def test_that_of_another_round_stays_where_it_is(changes: Any, tmp_path: Path) -> None:
    one = round_of("rewound")
    killed(one, tmp_path)
    found = RoundCheckpoint(tmp_path, {**key(), **changes}, made_with(), 5.0, one.notes.append)
    found.remove()
    assert (found.resumed, one.notes) == (None, [])
    assert (tmp_path / NAME).exists()


def test_networks_that_start_from_other_values_begin_anew(tmp_path: Path) -> None:
    one = round_of("groups")
    killed(one, tmp_path, 20)
    next(iter(one.chains[0].theta0.values()))[0, 0] = 3.0
    assert_same(one.train(None), one.train(one.checkpoint(tmp_path)))
    (note,) = one.notes
    assert "its group 0 is of networks that start from other values, or are trained in another way" in note


def test_what_was_measured_of_networks_that_are_now_trained_in_another_way_is_forgotten(
    tmp_path: Path, one_thread: None
) -> None:
    """Else the table has rows of steps that they no longer take."""

    def of_steps(steps: int) -> Round:
        arms = ["ticket", {"name": "reinit", "train": {"steps": steps}}]
        own = {"arms": arms, "compute": {"strategy": "looped", "threads": 1}}
        setting = setting_of(**{**SETTINGS["looped, probes"], **own, "probes": ["killed_rounds:remembers"]})
        return Round(setting, [first_chain(setting, replicate) for replicate in range(2)], 0)

    before, now = of_steps(9), of_steps(3)
    now.setting = replace(now.setting, plan=before.setting.plan)  # which depends on the memory that is free
    killed(before, tmp_path, 19)  # the second group has begun
    assert_same(now.train(None), now.train(now.checkpoint(tmp_path, 5.0)))
    (note,) = now.notes
    assert "its group 1 is of networks that start from other values, or are trained in another way" in note


def test_a_disk_that_refuses_stops_no_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one_thread: None
) -> None:
    one = round_of("rewound")
    wanted = one.train(None)
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "full")))
    assert_same(wanted, one.train(one.checkpoint(tmp_path)))
    (note,) = one.notes  # for one of many writes
    assert note.startswith(
        "id: round 0: its checkpoint could not be written; the round goes on without: "
        f"no space left in {tmp_path} to write {NAME} ("
    )
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_gone_is_not_made_again(tmp_path: Path, one_thread: None) -> None:
    one = round_of("rewound")
    one.train(one.checkpoint(tmp_path / "gone"))
    assert list(tmp_path.iterdir()) == []
