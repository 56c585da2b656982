"""Workers prepare and begin a run when they take it, and no run that another has or that is done."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

import tickets
from tickets.checked import recorded_in
from tickets.config import read_campaign, to_toml
from tickets.errors import ReplacedError
from tickets.guard import guarded
from tickets.meter import Meter
from tickets.preparation import prepare, settled_anew
from tickets.store import Layout, read_events, run_folders, status, take, write_run
from tickets.store.sealed import sealed_toml
from tickets.taking import FIRST, settle

SEEDS = {"replicates": 1, "rounds": 1, "arms": ["ticket", "reinit"], "sweep": {"seed": [0, 1, 2]}}


@pytest.fixture
def compared(monkeypatch):
    """The seeds of the runs that were compared with a plain loop."""
    seeds = []

    def noted(fitted, plan, device, workers):
        if plan.compared is None:
            seeds.append(fitted.run.seed)
        return guarded(fitted, plan, device, workers)

    monkeypatch.setattr("tickets.continuing.guarded", noted)
    return seeds


@pytest.fixture
def interrupted(monkeypatch):
    """Calls a function once, in the first training step."""

    def once(function):
        add, calls = Meter.add, []

        def added(meter, count):
            if not calls:
                calls.append(count)
                function()
            add(meter, count)

        monkeypatch.setattr(Meter, "add", added)

    return once


def begun(out):
    return [path.parent.name for path in out.glob(f"*/{Layout.RUN}")]


def stop():
    from tickets.termination import Terminated

    raise Terminated


def test_no_run_is_begun_that_is_not_taken(campaign_file, command, compared, interrupted, tmp_path):
    file, out = campaign_file(tmp_path, **SEEDS), tmp_path / "out"
    interrupted(stop)
    assert command("run", file, "--out", out, "--worker").code == 0
    (only,) = begun(out)
    assert sorted(one.state for one in status(out)) == ["waiting"] * 3  # no round is committed
    assert len(compared) == 2  # the one that stood for all at the start, and the one that was taken
    assert command("run", file, "--out", out, "--worker").code == 0
    assert [one.state for one in status(out)] == ["done"] * 3
    # The one that has begun stood for all, and was compared before.
    assert len(compared) == 4
    assert json.loads((out / only / "run.json").read_bytes())["execution"]["compared"]
    assert command("run", file, "--out", out, "--worker").code == 0
    assert len(compared) == 4


def test_what_others_have_is_left_to_them_and_not_prepared(campaign_file, command, compared, interrupted, tmp_path):
    file, out = campaign_file(tmp_path, **SEEDS), tmp_path / "out"
    interrupted(stop)
    assert command("run", file, "--out", out, "--worker").code == 0
    (theirs,) = (out / name for name in begun(out))
    before = (theirs / Layout.RUN).read_bytes()
    compared.clear()
    lease = take(theirs / "cohort-000")
    try:
        said = command("run", file, "--out", out, "--worker")
    finally:
        lease.release()
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines()[-1] == "1 cohort left to other workers, which are training them"
    assert len(set(compared)) == len(compared) == 2
    assert (theirs / Layout.RUN).read_bytes() == before
    assert sorted(one.state for one in status(out)) == ["done", "done", "waiting"]


def test_a_run_that_cannot_be_gone_on_with_fails_alone(campaign_file, command, tmp_path):
    file, out = campaign_file(tmp_path, **SEEDS), tmp_path / "out"
    assert command("run", file, "--out", out, "--worker").code == 0
    damaged, *others = run_folders(out)
    for run in run_folders(out):
        shutil.rmtree(run / "cohort-000" / "round-001")
    masks = damaged / "cohort-000" / "round-000" / "masks.safetensors"
    masks.write_bytes(masks.read_bytes()[:-1] + b"\0")
    said = command("run", file, "--out", out, "--worker")
    assert said.code == 1
    first, last = said.err.splitlines()
    assert first.startswith(f"{damaged.name}: failed: {masks}")
    assert last == "1 of 3 runs failed; the same command tries it again"
    assert [(run / "cohort-000" / "round-001").is_dir() for run in (damaged, *others)] == [False, True, True]
    assert list(read_events(damaged / "log.jsonl"))[-1]["event"] == "failed"


def test_damage_that_comes_while_others_train_fails_its_run_alone(campaign_file, command, interrupted, tmp_path):
    file, out = campaign_file(tmp_path, **SEEDS), tmp_path / "out"
    assert command("run", file, "--out", out, "--worker").code == 0
    for run in run_folders(out):
        shutil.rmtree(run / "cohort-000" / "round-001")

    def damage():
        for run in run_folders(out):
            if not list((run / "cohort-000").glob(".lease-*")):
                (run / "cohort-000" / "round-000" / "manifest.json").write_bytes(b"{")

    interrupted(damage)
    said = command("run", file, "--out", out, "--worker")
    assert said.code == 1
    assert said.err.count(": failed: ") == 2
    assert said.err.splitlines()[-1] == "2 of 3 runs failed; the same command tries them again"
    assert len(list(out.glob("*/cohort-000/round-001"))) == 1


def test_input_that_is_wrong_is_said_before_anything_is_written(campaign_file, command, module, tmp_path):
    nets = module("nets", "def broken(input_shape, classes):\n    raise OSError('no weights here')\n")
    file, out = campaign_file(tmp_path, model=f"{nets}:broken", **SEEDS), tmp_path / "out"
    said = command("run", file, "--out", out, "--worker")
    assert said.code == 2
    assert said.err.count("no weights here") == 1
    assert not out.exists()


@pytest.mark.parametrize("submit", [False, True], ids=["another campaign", "another [submit]"])
def test_a_worker_ends_once_its_campaign_has_another_content(submit, campaign_file, command, interrupted, tmp_path):
    file, out = campaign_file(tmp_path, **SEEDS), tmp_path / "out"
    changes = {"submit": {"account": "other"}} if submit else {"arms": ["ticket"]}
    other = read_campaign(campaign_file(tmp_path / "other", **{**SEEDS, **changes}))

    def replace():
        there = (out / Layout.CAMPAIGN).read_text()
        text = to_toml(other)
        assert there != text
        (out / Layout.CAMPAIGN).write_bytes(sealed_toml(text))

    interrupted(replace)
    said = command("run", file, "--out", out, "--worker")
    if submit:
        assert (said.code, said.err) == (0, "")
        assert len(begun(out)) == 3
    else:
        assert said.code == 2
        assert "another `tickets run` has given the campaign another content" in said.err
        assert len(said.err.splitlines()) == 1
        assert len(begun(out)) == 1
    assert issubclass(ReplacedError, tickets.errors.InputError)


def test_a_run_that_another_begins_meanwhile_goes_on_by_its_plan(campaign_file, command, monkeypatch, tmp_path):
    file, out = campaign_file(tmp_path, **{**SEEDS, "sweep": {"seed": [0]}}), tmp_path / "out"
    tickets.run(file, out=tmp_path / "theirs")
    (theirs,) = (tmp_path / "theirs").glob(f"*/{Layout.RUN}")
    content = json.loads(theirs.read_bytes())
    times = []

    def settled(checked, name):
        ready = settle(checked, name)
        if not times:  # another process is faster
            folder = checked.folder / name
            folder.mkdir(exist_ok=True)
            (folder / Layout.RUN).write_bytes(theirs.read_bytes())
        times.append(ready)
        return ready

    monkeypatch.setattr("tickets.taking.settle", settled)
    assert command("run", file, "--out", out, "--worker").code == 0
    assert len(times) == 2
    (ours,) = out.glob(f"*/{Layout.RUN}")
    assert json.loads(ours.read_bytes()) == content
    assert [one.state for one in status(out)] == ["done"]


def test_several_processes_of_one_worker_share_what_it_takes(campaign_file, command, contents, tmp_path):
    seeds = {**SEEDS, "sweep": {"seed": list(range(5))}}
    file, out = campaign_file(tmp_path, **seeds), tmp_path / "out"
    monkey = pytest.MonkeyPatch()
    with monkey.context() as patch:
        patch.setattr("tickets.campaign.PIECES_A_PROCESS", 1)
        assert command("run", file, "--out", out, "--worker", "--workers", 2).code == 0
    tickets.run(file, out=tmp_path / "alone")
    ours, alone = contents(out), contents(tmp_path / "alone")
    for content in ours.values():
        if isinstance(content, dict):
            content.pop("worker", None)
    assert ours == alone


def test_those_that_start_together_take_different_runs(campaign_file, tmp_path):
    from tickets.piece import Piece
    from tickets.taking import _in_turn

    (run,) = read_campaign(campaign_file(tmp_path)).runs
    pieces = [Piece(run=run, run_id=f"run-{number}", folder=Path(), cohort=None) for number in range(500)]
    orders = [[of_run[0].run_id for of_run in _in_turn(pieces)] for _ in range(2)]
    assert orders[0] != orders[1]
    for order in orders:
        numbers = [int(name.removeprefix("run-")) for name in order]
        assert sorted(numbers) == list(range(500))
        assert all(number < place + FIRST for place, number in enumerate(numbers))


def test_only_what_others_begin_is_prepared_again(campaign_file, compared, tmp_path):
    file, out = campaign_file(tmp_path, **SEEDS), tmp_path / "out"
    given = {"out": out, "data": None, "settings": (), "device": "cpu", "workers": 1}
    ready = prepare(file, **given)
    assert settled_anew(ready).plans == ready.plans
    tickets.run(file, out=out)
    assert settled_anew(ready) is None  # campaign.toml is there now
    theirs = prepare(file, **given)
    compared.clear()
    first, *_ = names = list(theirs.fitted)
    content = json.loads((out / first / Layout.RUN).read_bytes())
    content["execution"]["reason"] = "of another process"
    write_run(out / first, first, **{key: value for key, value in content.items() if key not in ("schema", "run")})
    shutil.rmtree(out / first / "cohort-000" / "round-001")
    assert recorded_in(out) != theirs.recorded
    anew = settled_anew(theirs)
    assert anew.plans[first].reason == "of another process"
    assert [len(anew.todo[name]) for name in names] == [1, 0, 0]
    assert all(anew.plans[name] is theirs.plans[name] for name in names[1:])
    assert anew.recorded == recorded_in(out)
    assert compared == []


def test_a_campaign_goes_on_beside_workers_that_begin_its_runs(campaign_file, monkeypatch, tmp_path):
    file, out, times = campaign_file(tmp_path, **SEEDS), tmp_path / "out", []
    tickets.run(campaign_file(tmp_path / "first", **{**SEEDS, "rounds": 0}), out=out)
    write_run = {path: path.read_bytes() for path in out.glob(f"*/{Layout.RUN}")}

    def prepared(*args, **options):
        times.append(prepare(*args, **options))
        for path, content in write_run.items():  # replaced by the same content, at another time
            path.write_bytes(content)
            os.utime(path, ns=(0, len(times)))
        return times[-1]

    monkeypatch.setattr("tickets.campaign.prepare", prepared)
    tickets.run(file, out=out)
    assert len(times) == 1
    assert [one.state for one in status(out)] == ["done"] * 3
