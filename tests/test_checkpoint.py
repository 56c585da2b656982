"""A round that is killed and goes on from its checkpoint: the result is that of one that was never interrupted."""

from __future__ import annotations

import itertools
import json
import random
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from small_rounds import setting_of
from torch import Tensor

from tickets.chains import Chain, first_chain
from tickets.checkpoint import RoundCheckpoint
from tickets.probes import at_steps
from tickets.ready import ReadyRun
from tickets.rounds import RoundResult, train_round

ALWAYS = 1e-12  # minutes
NAME = "checkpoint.safetensors"


@at_steps
def remembers(networks: Any) -> list[dict[str, Any]]:
    """How many steps it has seen, from a tensor that it writes to in place and from a view that is transposed."""
    seen = networks.carry.setdefault("seen", torch.zeros(3, 2).t())
    seen += 1
    first = networks.carry.setdefault("first", networks.values["0.weight"].flatten(1)[:, :2].clone())
    moved = (networks.values["0.weight"].flatten(1)[:, :2] - first).abs().sum(1)
    return [
        {"network": place, "seen": float(seen.sum()), "moved": float(moved[place]), "says": f"at {networks.step}"}
        for place in range(len(networks))
    ]


NORM = "small_rounds:norm_net"
LEARNED = [{"name": "supermask", "label": "sampled", "samples": 2}, {"name": "edge_popup"}]
PRUNED = ["ticket", {"name": "frozen"}, {"name": "reorder"}, {"name": "reinit", "train": {"steps": 9}}]
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "sparse": {"arms": ["ticket", "reinit"]},
    "layered": {"arms": ["ticket", "reinit"], "compute": {"strategy": "layered"}},
    "vectorised": {"model": NORM, "arms": ["ticket", "reinit"], "compute": {"strategy": "vectorised"}},
    "looped, probes": {
        "model": NORM, "arms": ["ticket", "reinit"], "compute": {"strategy": "looped"},
        "probes": [f"{__name__}:remembers", "early_bird", "overlap"],
    },
    "plain, few": {
        "model": NORM, "arms": ["ticket", "reinit"],
        "train": {"evaluate_on": 5, "optimizer": "adamw", "weight_decay": 0.1},
    },
    "learned": {"arms": ["ticket", *LEARNED], "model": NORM},
    "groups": {"arms": PRUNED, "train": {"optimizer": "sgd", "momentum": 0.9, "learning_rate": 0.1}},
    "rewound": {"rewind": {"step": 5}, "arms": ["ticket", "reorder"]},
    "fine-tuned": {"rewind": {"kind": "none"}, "fine_tune": {"steps": 20}, "arms": ["ticket"]},
    "narrower": {"rounds": 2, "arms": ["ticket", {"name": "small_dense"}]},
}  # fmt: skip
LATER = ("groups", "rewound", "fine-tuned", "narrower", "learned")  # also in round 1


class KilledError(Exception):
    pass


def key(number: int = 0, **changes: Any) -> dict[str, Any]:
    return {
        "run": "id",
        "cohort": 0,
        "round": number,
        "part": 0,
        "replicates": [0, 1],
        "arms": [["ticket", 0]],
        **changes,
    }


def made_with(**changes: Any) -> Callable[[], dict[str, Any]]:
    return lambda: {"fingerprint": {"packages": {"torch": "2"}}, "execution": {"lanes": 1}, "sources": {}, **changes}


class Round:
    """One round of two replicates, as often as a test wants it."""

    def __init__(self, setting: ReadyRun, chains: list[Chain], number: int) -> None:
        self.setting, self.chains, self.number = setting, chains, number
        self.notes, self.resumed = list[str](), list[Any]()

    def train(self, checkpoint: RoundCheckpoint | None, kill_after: float = float("inf")) -> RoundResult:
        left = [kill_after]

        def tick(networks: int) -> None:
            left[0] -= 1
            if left[0] < 0:
                raise KilledError

        arms = [(arm, 0) for arm in self.setting.run.arms]
        return train_round(self.setting, "id", self.chains, self.number, arms, tick, checkpoint=checkpoint)

    def checkpoint(self, folder: Path, minutes: float = ALWAYS, **changes: Any) -> RoundCheckpoint:
        found = RoundCheckpoint(folder, key(self.number, **changes), made_with(), minutes, self.notes.append)
        self.resumed.append(found.resumed)
        return found

    def killed_again_and_again(self, folder: Path, pieces: Callable[[], int]) -> RoundResult:
        for _ in itertools.count():
            try:
                return self.train(self.checkpoint(folder), pieces())
            except KilledError:
                continue
        raise AssertionError


def round_of(name: str, number: int = 0) -> Round:
    setting = setting_of(**{**SETTINGS[name], "compute": {"threads": 1, **SETTINGS[name].get("compute", {})}})
    if name.startswith("plain"):  # the guard chooses it, for models that no other strategy trains
        setting = replace(setting, plan=replace(setting.plan, strategy="plain", takes_over={}))
    chains = [first_chain(setting, replicate) for replicate in range(2)]
    one = Round(setting, chains, 0)
    return one if number == 0 else Round(setting, list(one.train(None).chains), 1)


def flat(tensors: Mapping[str, Any], name: str = "") -> dict[str, bytes]:
    found = {}
    for part, value in tensors.items():
        if isinstance(value, Tensor):
            assert value.device.type == "cpu"
            found[f"{name}/{part}"] = value.contiguous().reshape(-1).numpy().tobytes() + str(value.dtype).encode()
        else:
            found |= flat(value, f"{name}/{part}")
    return found


def assert_same(one: RoundResult, other: RoundResult) -> None:
    for mine, its in zip(one.networks, other.networks, strict=True):
        assert (mine.label, mine.model) == (its.label, its.model)
        for name in ("mask", "initial", "trained"):
            assert list(flat(getattr(mine, name)).items()) == list(flat(getattr(its, name)).items())
    for mine, its in zip(one.chains, other.chains, strict=True):
        for name in ("rewound", "optimizer", "masks"):
            assert list(flat(getattr(mine, name)).items()) == list(flat(getattr(its, name)).items())
        assert mine.diverged == its.diverged
    pd.testing.assert_frame_equal(one.curves, other.curves, check_exact=True)
    pd.testing.assert_frame_equal(
        one.rounds.drop(columns="seconds"), other.rounds.drop(columns="seconds"), check_exact=True
    )
    assert one.tables.keys() == other.tables.keys()
    for name, table in one.tables.items():
        pd.testing.assert_frame_equal(table, other.tables[name], check_exact=True)


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


def killed(one: Round, folder: Path, after: int = 9) -> None:
    with pytest.raises(KilledError):
        one.train(one.checkpoint(folder), after)
    assert (folder / NAME).exists()
    one.notes.clear()


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


def rewritten(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Forge a checkpoint: its JSON changed, its digest right."""
    from tickets.store.checkpoint import read_checkpoint, write_checkpoint

    saved = read_checkpoint(path)
    assert saved is not None
    about = json.loads(json.dumps(saved.about))
    change(about)
    write_checkpoint(path, about, saved.buffers)


def content(about: dict[str, Any], group: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = about["groups"][group]["content"]
    return found


FORGED: dict[str, Callable[[dict[str, Any]], Any]] = {
    "no groups": lambda about: about.pop("groups"),
    "a group that is none": lambda about: about.update(groups=[3]),
    "no content": lambda about: about["groups"][0].pop("content"),
    "other content": lambda about: content(about).clear(),
    "no seconds": lambda about: content(about).update({".seconds": None}),
    "negative seconds": lambda about: content(about).update({".seconds": -1.0}),
    "a result that is none": lambda about: content(about).update({".finished": {".a": 1}}),
    "values of no network": lambda about: content(about)[".finished"].update({".values": []}),
    "masks that nobody learned": lambda about: content(about)[".finished"].update({".masks": []}),
    "lost that is a text": lambda about: content(about)[".finished"].update({".lost": "no"}),
    "curves of no step": lambda about: content(about)[".finished"][".curves"].update({".steps": None}),
    "nothing carried": lambda about: content(about)[".finished"].update({".carried": {}}),
    "shards that are none": lambda about: content(about, 1).update({".shards": {".0-2": 1}}),
    "a shard without a course": lambda about: content(about, 1).update({".shards": {".0-2": {}}}),
    "nothing measured": lambda about: about.pop("measured"),
    "a list measured": lambda about: about.update(measured=[]),
    "a table measured twice": lambda about: about["measured"].update({".other": []}),
    "a text measured": lambda about: about["measured"].update({".early_bird": "x"}),
    "of no network": lambda about: about["measured"].update({".early_bird": [
        {".first": 0, ".step": 0, ".columns": {".network": [], ".x": ["a"]}}]}),
    "a step that is a text": lambda about: about.update(step="x", seconds=[]),
    "made with a list": lambda about: about.update(made_with=[]),
}  # fmt: skip


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RoundResult, Round]:
    setting = setting_of(
        arms=["ticket", "reinit", {"name": "frozen"}], probes=["early_bird"], rewind={"step": 5},
        model="small_rounds:norm_net", compute={"strategy": "looped", "threads": 1},
    )  # fmt: skip
    one = Round(setting, [first_chain(setting, replicate) for replicate in range(2)], 0)
    folder = tmp_path_factory.mktemp("interrupted")
    killed(one, folder, 19)  # the second group has begun
    return folder, one.train(None), one


@pytest.mark.parametrize("kind", FORGED)
def test_a_forged_one_costs_a_round_from_its_start_at_most(
    kind: str, interrupted: tuple[Path, RoundResult, Round], tmp_path: Path, one_thread: None
) -> None:
    folder, wanted, one = interrupted
    (tmp_path / NAME).write_bytes((folder / NAME).read_bytes())
    rewritten(tmp_path, FORGED[kind])
    one.notes.clear()
    found = one.train(one.checkpoint(tmp_path, 5.0))
    assert_same(wanted, found)
    assert len(one.notes) == (0 if kind == "a step that is a text" else 1)


def test_a_damaged_one_is_not_used(
    interrupted: tuple[Path, RoundResult, Round], tmp_path: Path, one_thread: None
) -> None:
    folder, wanted, one = interrupted
    data = bytearray((folder / NAME).read_bytes())
    data[-40] ^= 1
    (tmp_path / NAME).write_bytes(data)
    one.notes.clear()
    assert_same(wanted, one.train(one.checkpoint(tmp_path, 5.0)))
    assert one.notes == [
        "id: round 0: its checkpoint is not used, and what it is of begins anew: "
        "its content does not have the SHA-256 that it says"
    ]


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
