"""A campaign that is interrupted, goes on, grows: the bits must be those of one that never was."""

from __future__ import annotations

import functools
import json
import random
import subprocess
import sys

import numpy as np
import pytest
import torch

import tickets
from tickets.config import read_campaign
from tickets.errors import InputError
from tickets.store import read_events, run_folders, status, verify

VARIANTS = {
    "plain": {},
    "rewind": {"rewind": {"step": 5}, "train": {"optimizer": "sgd", "momentum": 0.9, "learning_rate": 0.1}},
    "rewind, nothing kept": {"rewind": {"step": 5}, "store": {"trained": "none"}},
    "cohorts, all kept": {"replicates": 3, "cohort_size": 2, "store": {"trained": "all", "units": True}},
    "from the start again": {"rewind": {"step": 5}, "arms": ["ticket", {"name": "constant", "start": 0}]},
}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, campaign_file, contents):
    """By variant: the campaign's file, and the contents of its folder when nothing interrupts it."""

    @functools.cache
    def run(name):
        folder = tmp_path_factory.mktemp("uninterrupted")
        file = campaign_file(folder, **VARIANTS[name])
        tickets.run(file, out=folder / "out")
        return file, contents(folder / "out")

    return run


def left_over(folder):
    return list(folder.rglob(".tmp-*"))


@pytest.mark.parametrize("variant", VARIANTS)
def test_interrupted_after_every_commit_it_gives_the_same_bits(variant, uninterrupted, watcher, contents, tmp_path):
    file, wanted = uninterrupted(variant)
    committed = []
    for _ in range(20):
        listener = watcher(stop=(1, 0))
        try:
            tickets.run(file, out=tmp_path / "out", listener=listener)
        except KeyboardInterrupt:
            committed += listener.trained
            continue
        break
    assert listener.rounds == []
    # Every round was trained once, and no start trained again what another had.
    assert len(committed) == len(set(committed)) == (6 if variant.startswith("cohorts") else 3)
    assert contents(tmp_path / "out") == wanted
    assert not left_over(tmp_path)
    assert verify(tmp_path / "out") == []


@pytest.mark.parametrize("variant", VARIANTS)
def test_interrupted_in_the_middle_of_every_round_it_gives_the_same_bits(
    variant, uninterrupted, watcher, contents, tmp_path
):
    file, wanted = uninterrupted(variant)
    listener, interrupted = watcher(stop=(0, 3)), 0
    for _ in range(20):
        try:
            tickets.run(file, out=tmp_path / "out", listener=listener)
            break
        except KeyboardInterrupt:
            interrupted, listener = interrupted + 1, watcher(stop=(1, 7))
    assert interrupted == (6 if variant.startswith("cohorts") else 3)
    assert contents(tmp_path / "out") == wanted
    assert not left_over(tmp_path)
    events = [event["event"] for event in read_events(run_folders(tmp_path / "out")[0] / "log.jsonl")]
    assert events.count("interrupted") == interrupted


def test_interrupted_between_the_rewind_values_and_round_0_it_gives_the_same_bits(
    uninterrupted, contents, tmp_path, monkeypatch
):
    file, wanted = uninterrupted("rewind")
    with monkeypatch.context() as patch:
        patch.setattr("tickets.cohort.write_round", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            tickets.run(file, out=tmp_path / "out")
    (cohort,) = run_folders(tmp_path / "out")[0].glob("cohort-*")
    assert sorted(path.name for path in cohort.iterdir()) == ["initial", "rewind"]
    tickets.run(file, out=tmp_path / "out")
    assert contents(tmp_path / "out") == wanted


KILLED = """
import os, signal, sys, tickets
from tickets.listener import Steps
steps = 0
def killer(event):
    global steps
    steps += isinstance(event, Steps)
    if steps == 30:
        os.kill(os.getpid(), signal.SIGKILL)
tickets.run(sys.argv[1], out=sys.argv[2], listener=killer)
"""


def test_killed_in_the_middle_of_a_round_it_gives_the_same_bits(uninterrupted, contents, tmp_path):
    file, wanted = uninterrupted("rewind")
    out = tmp_path / "out"
    killed = subprocess.run([sys.executable, "-c", KILLED, str(file), str(out)])
    assert killed.returncode == -9
    assert [one.state for one in status(out)] == ["partial"]
    # What a process that is killed while it writes leaves behind is swept.
    half = next(out.glob("*/cohort-000")) / f".tmp-round-001-{'0' * 32}"
    half.mkdir()
    (half / "masks.safetensors").write_bytes(b"half")
    assert verify(out) == []
    tickets.run(file, out=out)
    assert contents(out) == wanted
    assert not left_over(tmp_path)


def test_the_same_command_again_trains_and_touches_nothing(campaign_file, watcher, tmp_path):
    file, out = campaign_file(tmp_path), tmp_path / "out"
    first = watcher()
    tickets.run(file, out=out, listener=first)
    assert first.networks == first.promised == 2 * 3 * 4 * 20
    before = stamps(out)
    again = watcher()
    tickets.run(file, out=out, listener=again)
    assert (again.networks, again.promised, again.rounds, again.said, again.there) == (0, 0, [], [], 3)
    assert stamps(out) == before


def stamps(folder):
    """Every file but the lock, with its bytes and time."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != ".lock"]
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def committed(folder):
    return {path: stamp for path, stamp in stamps(folder).items() if "cohort-" in str(path)}


def grow(file, out, watcher, **changes):
    """Run the changed campaign; what it trained, after checking that nothing old was touched."""
    before = committed(out)
    listener = watcher()
    tickets.run(file, out=out, listener=listener)
    after = committed(out)
    assert {path: after[path] for path in before} == before
    assert listener.networks == listener.promised
    return listener


def test_more_replicates_are_a_new_cohort_with_the_streams_they_always_have(campaign_file, watcher, contents, tmp_path):
    out = tmp_path / "out"
    tickets.run(campaign_file(tmp_path), out=out)
    listener = grow(campaign_file(tmp_path, replicates=3), out, watcher)
    assert listener.trained == ["cohort-001/round-000", "cohort-001/round-001", "cohort-001/round-002"]
    assert listener.networks == 1 * 3 * 4 * 20
    at_once = tickets.run(campaign_file(tmp_path, replicates=3), out=tmp_path / "at-once")
    grown = tickets.load(out)
    for name in ("ticket", "reinit", "random_mask"):
        ours, theirs = grown.arm(name, 2, 0), at_once.arm(name, 2, 0)
        assert all(np.array_equal(ours.values[key], theirs.values[key]) for key in theirs.values)
    assert sorted(grown.rounds["replicate"].unique()) == [0, 1, 2]
    assert verify(out) == []


def test_other_replicates_have_other_values_masks_and_batches(uninterrupted, tmp_path):
    file, _ = uninterrupted("plain")
    saved = tickets.load(file.parent / "out")
    zero, one = saved.ticket(0, 1), saved.ticket(1, 1)
    assert not any(np.array_equal(zero.values[key], one.values[key]) for key in zero.values if key.endswith("weight"))
    draws = [saved.arm("reinit", 0, 1, draw).values["1.weight"] for draw in (0, 1)]
    assert not np.array_equal(*draws)


def test_more_rounds_are_those_of_a_campaign_that_had_them_from_the_start(
    uninterrupted, campaign_file, watcher, contents, tmp_path
):
    _, wanted = uninterrupted("rewind")
    out = tmp_path / "out"
    tickets.run(campaign_file(tmp_path, **VARIANTS["rewind"], rounds=0), out=out)
    listener = grow(campaign_file(tmp_path, **VARIANTS["rewind"], rounds=1), out, watcher)
    assert listener.trained == ["cohort-000/round-001"]
    listener = grow(campaign_file(tmp_path, **VARIANTS["rewind"]), out, watcher)
    assert listener.trained == ["cohort-000/round-002"]
    assert listener.networks == 2 * 4 * (20 - 5)
    assert contents(out) == wanted


def test_fewer_rounds_or_replicates_train_nothing_and_lose_nothing(campaign_file, watcher, tmp_path):
    out = tmp_path / "out"
    tickets.run(campaign_file(tmp_path), out=out)
    listener = grow(campaign_file(tmp_path, rounds=1, replicates=1), out, watcher)
    assert listener.rounds == []


@pytest.mark.parametrize("step", [0, 5])
def test_an_arm_added_later_has_the_masks_and_values_of_its_rounds(step, campaign_file, watcher, tmp_path):
    few = {"arms": ["ticket"], "rewind": {"step": step}}
    more = {"arms": ["ticket", "constant", "random_mask"], "rewind": {"step": step}}
    out = tmp_path / "out"
    tickets.run(campaign_file(tmp_path, **few), out=out)
    listener = grow(campaign_file(tmp_path, **more), out, watcher)
    assert listener.trained == [f"cohort-000/round-{number:03d}.1" for number in range(3)]
    assert listener.networks == 2 * 2 * (20 + 2 * (20 - step))
    grown = tickets.load(out)
    at_once = tickets.run(campaign_file(tmp_path, **more), out=tmp_path / "at-once")
    for number in range(3):
        ticket, constant = grown.ticket(1, number), grown.arm("constant", 1, number)
        assert all(np.array_equal(ticket.mask[key], constant.mask[key]) for key in ticket.mask)
        assert set(np.unique(constant.values["1.weight"])) <= {0.0, 0.5}
        ours, theirs = grown.arm("random_mask", 1, number), at_once.arm("random_mask", 1, number)
        counts = [int(mask.sum()) for mask in theirs.mask.values()]
        assert [int(mask.sum()) for mask in ours.mask.values()] == counts
        if number == 0:
            assert all(np.array_equal(ours.values[key], theirs.values[key]) for key in ours.values)
    assert verify(out) == []


def test_draws_added_later_are_further_ones(campaign_file, watcher, tmp_path):
    out = tmp_path / "out"
    tickets.run(campaign_file(tmp_path, arms=["ticket", "reinit"]), out=out)
    listener = grow(campaign_file(tmp_path, arms=["ticket", {"name": "reinit", "draws": 3}]), out, watcher)
    assert listener.networks == 2 * 3 * 2 * 20
    rounds = tickets.load(out).rounds
    assert (
        rounds[rounds["arm"] == "reinit"].groupby(["replicate", "round"])["draw"].apply(list).tolist()
        == [[0, 1, 2]] * 6
    )
    values = [tickets.load(out).arm("reinit", 0, 1, draw).values["1.weight"] for draw in range(3)]
    assert len({value.tobytes() for value in values}) == 3


def test_everything_at_once_can_be_added(campaign_file, watcher, tmp_path):
    out = tmp_path / "out"
    tickets.run(campaign_file(tmp_path, arms=["ticket"], rounds=1, replicates=1), out=out)
    listener = grow(campaign_file(tmp_path, rounds=2, replicates=2), out, watcher)
    assert listener.trained == [
        "cohort-000/round-000.1", "cohort-000/round-001.1", "cohort-000/round-002",
        "cohort-001/round-000", "cohort-001/round-001", "cohort-001/round-002",
    ]  # fmt: skip
    assert [one.state for one in status(out)] == ["done"]
    assert verify(out) == []
    assert grow(campaign_file(tmp_path, rounds=2, replicates=2), out, watcher).rounds == []


def test_a_sweep_of_two_points_is_two_runs(campaign_file, watcher, tmp_path):
    out, listener = tmp_path / "out", watcher()
    file = campaign_file(tmp_path, rounds=0, sweep={"train.learning_rate": [0.1, 0.01]})
    saved = tickets.run(file, out=out, listener=listener)
    assert len(saved.runs) == len(run_folders(out)) == 2
    assert {saved.config(run)["train"]["learning_rate"] for run in saved.runs} == {0.1, 0.01}
    # A point that is added is trained alone.
    file = campaign_file(tmp_path, rounds=0, sweep={"train.learning_rate": [0.1, 0.01, 0.001]})
    assert len(grow(file, out, watcher).rounds) == 1
    assert len(tickets.load(out).runs) == 3


def test_cohort_size_splits_the_replicates(campaign_file, watcher, tmp_path):
    listener = watcher()
    file = campaign_file(tmp_path, replicates=5, cohort_size=2, rounds=0)
    saved = tickets.run(file, out=tmp_path / "out", listener=listener)
    assert listener.trained == [f"cohort-00{index}/round-000" for index in range(3)]
    assert sorted(saved.rounds["replicate"].unique()) == [0, 1, 2, 3, 4]


def test_settings_and_a_campaign_object_do_what_the_file_does(campaign_file, contents, tmp_path):
    file = campaign_file(tmp_path, rounds=0)
    tickets.run(file, out=tmp_path / "a", settings=["train.steps=5"])
    tickets.run(read_campaign(file, ["train.steps=5"]), out=tmp_path / "b")
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    with pytest.raises(InputError, match="settings: go with a campaign file"):
        tickets.run(read_campaign(file), out=tmp_path / "c", settings=["train.steps=5"])
    assert not (tmp_path / "c").exists()


def test_runs_that_a_setting_adds_to_a_folder_are_named(campaign_file, command, watcher, tmp_path):
    file, out = campaign_file(tmp_path, rounds=0, arms=["ticket"]), tmp_path / "out"
    tickets.run(file, out=out)
    (before,) = run_folders(out)
    dry = command("run", file, "--out", out, "--set", "train.steps=5", "--dry-run").out
    assert "  saved      nothing of it: it would be added to 1 run in the folder\n" in dry
    listener = watcher()
    tickets.run(file, out=out, settings=["train.steps=5"], listener=listener)
    (added,) = [path.name for path in run_folders(out) if path != before]
    assert [text for text in listener.said if text.startswith("adds")] == [
        f"adds 1 run to the 1 run in {out}: {added}; another value of data, model, train, prune, rewind or seed makes "
        "another run"
    ]
    # What grows is the same run, and is not said to be added.
    listener = watcher()
    tickets.run(file, out=out, settings=["train.steps=5", "rounds=1"], listener=listener)
    assert not [text for text in listener.said if text.startswith("adds")]
    assert "to be added" not in command("run", file, "--out", out, "--dry-run").out


def test_the_default_folder_is_named_after_the_campaign(campaign_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    saved = tickets.run(campaign_file(tmp_path, rounds=0, replicates=1))
    assert saved.folder.resolve() == tmp_path / "runs" / "saved" / "tiny"


def test_neither_threads_nor_generators_are_left_changed(campaign_file, tmp_path):
    torch.manual_seed(3)
    states = [torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate(), torch.get_num_threads()]
    file = campaign_file(tmp_path, rounds=1, compute={"threads": torch.get_num_threads() + 1})
    tickets.run(file, out=tmp_path / "out").ticket(0, 1).build()
    assert torch.equal(torch.get_rng_state(), states[0])
    assert np.array_equal(np.random.get_state()[1], states[1])
    assert random.getstate() == states[2]
    assert torch.get_num_threads() == states[3]


@pytest.mark.parametrize(
    ("init", "size"),
    [("constant", 0.5), ({"name": "constant"}, 0.5), ({"name": "constant", "value": 0.25, "biases": "model"}, 0.25)],
)
def test_a_campaign_whose_networks_start_from_a_constant(init, size, campaign_file, tmp_path):
    file = campaign_file(tmp_path, model={"name": "mlp", "widths": [8], "init": init})
    saved = tickets.run(file, out=tmp_path / "out")
    rows = saved.rounds[saved.rounds["arm"] == "ticket"]
    assert list(zip(rows["replicate"], rows["round"], strict=True)) == [(r, n) for r in (0, 1) for n in (0, 1, 2)]
    assert not rows["diverged"].any()
    ticket = saved.ticket(1, 2)
    biases = "zeros" if size == 0.5 else "model"
    assert ticket.model["init"] == {"name": "constant", "value": size, "biases": biases}
    network = ticket.build()
    for name, mask in ticket.mask.items():
        weight = dict(network.named_parameters())[name].detach().numpy()
        assert np.array_equal(weight, np.where(mask, np.float32(size), np.float32(0)))
    assert (ticket.values["1.bias"] == 0).all() == (biases == "zeros")
    assert verify(tmp_path / "out") == []


@pytest.mark.parametrize("init", ["zeros", "dct", "orthogonal", {"name": "sign_constant", "scale": 0.1}])
def test_a_campaign_of_each_other_kind_of_init_has_all_its_rows(init, campaign_file, tmp_path):
    file = campaign_file(tmp_path, rounds=1, model={"name": "mlp", "widths": [8], "init": init})
    saved = tickets.run(file, out=tmp_path / "out")
    assert len(saved.rounds) == 2 * 2 * 4
    assert not saved.rounds["diverged"].any()
    tables = (saved.ticket(0, 1), saved.arm("reinit", 0, 1))
    alike = [np.array_equal(*(one.values[name] for one in tables)) for name in tables[0].mask]
    assert alike == [init in ("zeros", "dct")] * 2, "a fresh draw of what is not drawn is the same again"


def test_a_built_ticket_computes_what_its_values_say(uninterrupted):
    file, _ = uninterrupted("plain")
    saved = tickets.load(file.parent / "out")
    for ticket in (saved.ticket(0, 1), saved.arm("random_mask", 1, 2)):
        network = ticket.build().eval()
        pruned = 0
        for name, mask in ticket.mask.items():
            weight = dict(network.named_parameters())[name].detach().numpy()
            assert np.all(weight[~mask.astype(bool)] == 0.0)
            pruned += int((~mask.astype(bool)).sum())
        assert pruned > 0
        x = torch.randn(7, 1, 8, 8, generator=torch.Generator().manual_seed(0))
        values = {name: torch.from_numpy(value.copy()) for name, value in ticket.values.items()}
        with torch.no_grad():
            hidden = torch.relu(x.flatten(1) @ values["1.weight"].T + values["1.bias"])
            by_hand = hidden @ values["3.weight"].T + values["3.bias"]
            assert torch.allclose(network(x), by_hand, atol=1e-6)
            assert torch.equal(torch.func.functional_call(network, values, (x,)), network(x))


BREAKS = """
import torch
from pathlib import Path

class Net(torch.nn.Module):
    def __init__(self, inputs, classes, flag):
        super().__init__()
        self.layer, self.flag, self.calls = torch.nn.Linear(inputs, classes), flag, 0
    def forward(self, x):
        self.calls += self.training
        if self.calls > 10 and Path(self.flag).exists():  # not yet in the steps that are compared with a plain loop
            raise RuntimeError("this network\\nbreaks in training")
        return self.layer(x.flatten(1))

def net(input_shape, classes, flag):
    return Net(input_shape[0] * input_shape[1] * input_shape[2], classes, flag)
"""


def test_a_run_that_breaks_is_recorded_and_the_others_go_on(campaign_file, module, watcher, tmp_path):
    name, flag = module("breaks", BREAKS), tmp_path / "flag"
    flag.touch()
    models = [{"name": f"{name}:net", "flag": str(flag)}, {"name": "mlp", "widths": [4]}]
    file = campaign_file(tmp_path, rounds=1, sweep={"model": models})
    listener = watcher()
    with pytest.raises(RuntimeError, match=r"breaks.* failed: RuntimeError: this network"):
        tickets.run(file, out=tmp_path / "out", listener=listener)
    assert len(listener.rounds) == 2
    found = {one.state: one for one in status(tmp_path / "out")}
    assert set(found) == {"failed", "done"}
    assert found["failed"].why.startswith("RuntimeError: this network breaks in training (at ")
    events = read_events(tmp_path / "out" / found["failed"].run / "log.jsonl")
    assert [event["event"] for event in events] == ["started", "failed"]
    flag.unlink()
    listener = watcher()
    tickets.run(file, out=tmp_path / "out", listener=listener)
    assert len(listener.rounds) == 2
    assert [one.state for one in status(tmp_path / "out")] == ["done", "done"]


def test_a_reader_that_goes_away_is_no_failure_of_the_run(campaign_file, watcher, tmp_path):
    class Gone(watcher):
        def round_done(self, done):
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        tickets.run(campaign_file(tmp_path), out=tmp_path / "out", listener=Gone())
    assert [one.state for one in status(tmp_path / "out")] == ["partial"]


def test_a_run_goes_on_as_it_began_unless_the_file_says_otherwise(campaign_file, watcher, tmp_path):
    out = tmp_path / "out"
    saved = tickets.run(campaign_file(tmp_path, rounds=0), out=out)
    run_json = out / saved.runs[0] / "run.json"
    began = json.loads(run_json.read_bytes())
    # As if it had begun on another machine, with another plan.
    began["execution"]["networks_at_once"] = 3
    began["fingerprint"]["packages"]["numpy"] = "0.0.1"
    run_json.write_text(json.dumps(began))
    listener = grow(campaign_file(tmp_path, rounds=1), out, watcher)
    prunable, elsewhere = listener.said
    assert "began on another machine or with other packages (numpy 0.0.1, now " in elsewhere
    assert prunable == "model mlp: prunable: all 592 weights, in 2 tensors"
    now = json.loads(run_json.read_bytes())
    assert (now["execution"], now["fingerprint"]) == (began["execution"], began["fingerprint"])
    assert now["config"]["rounds"] == 1
    # Nothing is said where nothing is added.
    assert grow(campaign_file(tmp_path, rounds=1), out, watcher).said == []
    grow(campaign_file(tmp_path, rounds=1, compute={"strategy": "looped"}), out, watcher)
    assert json.loads(run_json.read_bytes())["execution"]["strategy"] == "looped"
