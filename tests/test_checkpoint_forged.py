"""Checkpoints that were damaged, or that somebody else wrote: they cost a round from its start at most."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from killed_rounds import NAME, Round, assert_same, killed
from small_rounds import setting_of

from tickets.chains import first_chain
from tickets.rounds import RoundResult


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
