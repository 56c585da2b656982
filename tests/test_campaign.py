"""A campaign run from Python: its settings, folder, starts and built tickets, and what a run that breaks leaves."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

import tickets
from tickets.config import read_campaign
from tickets.errors import InputError
from tickets.store import read_events, run_folders, status, verify


def test_other_replicates_have_other_values_masks_and_batches(uninterrupted, tmp_path):
    file, _ = uninterrupted("plain")
    saved = tickets.load(file.parent / "out")
    zero, one = saved.ticket(0, 1), saved.ticket(1, 1)
    assert not any(np.array_equal(zero.values[key], one.values[key]) for key in zero.values if key.endswith("weight"))
    draws = [saved.arm("reinit", 0, 1, draw).values["1.weight"] for draw in (0, 1)]
    assert not np.array_equal(*draws)


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
        f"adds 1 run to the 1 run in {out}: {added}; another value of data, model, train, prune, rewind, "
        "fine_tune or seed makes another run"
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
    events = list(read_events(tmp_path / "out" / found["failed"].run / "log.jsonl"))
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
