"""How many examples a run holds out where it is not said, and which numbers a model gets."""

from __future__ import annotations

import json
import tomllib

import numpy as np
import pytest
import torch

import tickets
from tickets.config import parse_run, run_id
from tickets.data.dataset import digest
from tickets.errors import InputError
from tickets.fitting import fit
from tickets.source import default_validation, load_source
from tickets.store import status, verify


@pytest.mark.parametrize(
    ("examples", "held_out"),
    [(1, 1), (9, 1), (10, 1), (19, 1), (20, 2), (1299, 129), (4999, 499), (5000, 1000), (60000, 1000)],
)
def test_the_default_number_of_validation_examples(examples, held_out):
    assert default_validation(examples) == held_out


DATA = """
import torch
def load(n=300, m=40):
    x = torch.randn(n + m, 6, generator=torch.Generator().manual_seed(1))
    y = x[:, :3].argmax(1)
    return x[:n], y[:n], x[n:], y[n:]
"""
SMALL = {"replicates": 1, "rounds": 1, "arms": ["ticket", "reinit"], "train": {"steps": 4, "batch_size": 10}}


LEAST = {**SMALL, "rounds": 0, "arms": ["ticket"]}


def kept(folder):
    """What each run's run.json says of validation, by run."""
    return {
        path.parent.name: json.loads(path.read_bytes())["config"]["data"]["validation"]
        for path in sorted(folder.glob("*/run.json"))
    }


def test_a_small_data_set_gives_a_tenth_and_it_is_written_out(module, campaign_file, watcher, tmp_path):
    name = f"{module('data', DATA)}:load"
    file = campaign_file(tmp_path, data=name, **SMALL)
    saved = tickets.run(file, out=tmp_path / "out")
    (run,) = saved.runs
    assert kept(tmp_path / "out") == {run: 30}
    written = tomllib.loads((tmp_path / "out" / "campaign.toml").read_text())
    assert written["data"] == {"name": name, "validation": 30}
    # It is the run that says so itself, and the same command again finds it.
    table = {**tomllib.loads(file.read_text()), "data": {"name": name, "validation": 30}}
    assert run == run_id(parse_run(table))
    listener = watcher()
    tickets.run(file, out=tmp_path / "out", listener=listener)
    assert (listener.promised, listener.there) == (0, 2)
    assert [(one.run, one.state) for one in status(tmp_path / "out")] == [(run, "done")]


def test_a_run_that_began_with_the_old_default_goes_on_with_it(module, campaign_file, watcher, tmp_path):
    name = f"{module('data', DATA)}:load"
    old = campaign_file(tmp_path, data={"name": name, "n": 1500, "validation": 1000}, **SMALL)
    (run,) = tickets.run(old, out=tmp_path / "out").runs
    listener = watcher()
    now = campaign_file(tmp_path, data={"name": name, "n": 1500}, **SMALL)
    assert tickets.run(now, out=tmp_path / "out", listener=listener).runs == [run]
    assert listener.promised == 0
    # In a folder where nothing began, a tenth.
    assert list(kept(tickets.run(now, out=tmp_path / "new").folder).values()) == [150]


@pytest.mark.parametrize("swept", ["data", "data.n", "data.name"])
def test_a_sweep_over_data_sets_of_different_sizes(swept, module, campaign_file, watcher, tmp_path):
    names = [f"{module(each, DATA)}:load" for each in ("one", "two")]
    sweep = {
        "data": {"data": [{"name": names[0], "n": 200}, {"name": names[1], "n": 400}, "digits"]},
        "data.n": {"data.n": [200, 400]},
        "data.name": {"data.name": names},
    }[swept]
    file = campaign_file(tmp_path, data=names[0], sweep={"seed": [1, 2], **sweep, "train.steps": [3, 4]}, **LEAST)
    tickets.run(file, out=tmp_path / "out")
    counts = sorted(kept(tmp_path / "out").values())
    each = {"data": [20, 40, 200], "data.n": [20, 40], "data.name": [30, 30]}[swept]
    assert counts == sorted(each * 4)
    found = status(tmp_path / "out")
    assert [(one.state, one.asked) for one in found] == [("done", True)] * len(counts)
    listener = watcher()
    tickets.run(file, out=tmp_path / "out", listener=listener)
    assert listener.promised == 0
    # What is written is a campaign file that gives the same runs.
    tickets.run(tmp_path / "out" / "campaign.toml", out=tmp_path / "out", listener=listener)
    assert listener.promised == 0


def test_points_of_a_sweep_that_come_to_one_run_are_refused(module, campaign_file, tmp_path):
    name = f"{module('data', DATA)}:load"
    sweep = {"data": [name, {"name": name, "validation": 30}]}
    with pytest.raises(InputError, match="two of its points are one run"):
        tickets.run(campaign_file(tmp_path, sweep=sweep, **SMALL), out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_mapping_is_run_as_a_file_is(campaign_file, contents, tmp_path):
    file = campaign_file(tmp_path, rounds=1)
    tickets.run(file, out=tmp_path / "file")
    tickets.run(tomllib.loads(file.read_text()), out=tmp_path / "mapping")
    assert contents(tmp_path / "file") == contents(tmp_path / "mapping")


def test_what_is_wrong_with_a_mapping_names_keys_and_no_file(tmp_path):
    table = {"name": "t", "data": "digits", "model": "mpl", "train": {"steps": 0}, "seed": np.int64(3)}
    with pytest.raises(InputError) as caught:
        tickets.run(table, out=tmp_path / "out")
    assert [line.partition(":")[0] for line in caught.value.problems] == [
        "seed = 3",
        "model = 'mpl'",
        "train.steps = 0",
    ]
    assert not (tmp_path / "out").exists()


# Whole numbers.

TOKENS = """
import torch
from torch import nn

def load(dtype="int64", high=20, shape=(5,)):
    generator = torch.Generator().manual_seed(3)
    x = torch.randint(high, (160, *shape), generator=generator)
    y = x.flatten(1)[:, 0] % 3
    x = x.to(getattr(torch, dtype))
    return x[:120], y[:120], x[120:], y[120:]

def bag(rows=20):
    return nn.Sequential(nn.Embedding(rows, 6), nn.Flatten(), nn.Linear(30, 8), nn.ReLU(), nn.Linear(8, 3))

class Columns(nn.Module):
    def __init__(self, rows=20):
        super().__init__()
        self.embeddings = nn.ModuleList(nn.Embedding(rows, 3) for _ in range(5))
        self.out = nn.Linear(15, 3)
    def forward(self, x):
        return self.out(torch.cat([each(x[:, i]) for i, each in enumerate(self.embeddings)], 1))

class Text(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.conv = nn.Embedding(20, 4), nn.Conv2d(1, 4, (3, 4))
        self.out = nn.Linear(12, 3)
    def forward(self, x):
        return self.out(self.conv(self.embedding(x)[:, None]).relu().flatten(1))

def dense():
    return nn.Sequential(nn.Flatten(), nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 3))

class Cast(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.out = nn.Embedding(20, 6), nn.Linear(6, 3)
    def forward(self, x):
        assert x.is_floating_point()
        return self.out(self.embedding(x.long()).mean(1))
"""


def fitted(name, model, **data):
    run = parse_run(
        {"name": "t", "data": {"name": f"{name}:load", "validation": 20, **data}, "model": f"{name}:{model}"}
    )
    return fit(run, load_source(run.data, None))


@pytest.mark.parametrize("dtype", ["int64", "int32", "int16", "int8", "uint8"])
@pytest.mark.parametrize(
    ("model", "taken"),
    [
        ("bag", torch.int64),
        ("Columns", torch.int64),
        ("Text", torch.int64),
        ("dense", torch.float32),
        ("Cast", torch.float32),
    ],
)
def test_a_model_gets_the_numbers_that_it_takes(model, taken, dtype, module):
    name = module("tokens", TOKENS)
    source = fitted(name, model, dtype=dtype).source
    examples = source.examples
    parts = (examples.train_inputs, examples.validation_inputs, examples.test_inputs)
    assert {part.dtype for part in parts} == {taken}
    # The same examples, known by the same hash, as when whole numbers were always made float32.
    floats = fitted(name, "dense", dtype="float32").source
    assert torch.equal(examples.train_inputs.float(), floats.examples.train_inputs)
    assert torch.equal(examples.test_inputs.float(), floats.examples.test_inputs)
    assert source.sha256 == floats.sha256


def test_the_hash_of_whole_numbers_is_that_of_their_floats(module):
    name = module("tokens", TOKENS)
    run = parse_run({"name": "t", "data": {"name": f"{name}:load", "validation": 20}, "model": "mlp"})
    source = load_source(run.data, None)
    whole = source.whole
    parts = (whole.train_inputs.float(), whole.train_labels, whole.test_inputs.float(), whole.test_labels)
    assert source.sha256 == digest(*parts)


def test_a_data_set_object_may_hold_whole_numbers_and_keeps_its_hash(module):
    source = """
def made():
    from tickets.data import Dataset
    parts = load("int32")
    return Dataset("mine", parts[0], parts[1], parts[2], parts[3], 3, "my-hash")
"""
    name = module("tokens", TOKENS + source)
    for model, dtype in (("bag", torch.int64), ("dense", torch.float32)):
        table = {"name": "t", "data": f"{name}:made", "model": f"{name}:{model}", "train": {"batch_size": 10}}
        run = parse_run(table)
        taken = fit(run, load_source(run.data, None)).source
        assert (taken.examples.train_inputs.dtype, taken.sha256) == (dtype, "my-hash")


def test_numbers_that_float32_does_not_have_have_a_hash_of_their_own(module):
    name = module(
        "tokens",
        TOKENS.replace("nn.Embedding(rows, 6)", "Hashed()")
        + """
class Hashed(nn.Module):
    def forward(self, x):
        return nn.functional.one_hot(x % 6, 6).float()
""",
    )
    taken = fitted(name, "bag", high=2**40).source
    parts = (taken.whole.train_inputs, taken.whole.train_labels, taken.whole.test_inputs, taken.whole.test_labels)
    assert taken.sha256 == digest(*parts)
    assert int(taken.examples.train_inputs.max()) > 2**24


def test_an_embedding_with_too_few_rows_is_refused_before_anything_is_written(module, campaign_file, tmp_path):
    name = module("tokens", TOKENS)
    for model in ("bag", "Columns"):
        file = campaign_file(
            tmp_path, data={"name": f"{name}:load", "validation": 20}, model={"name": f"{name}:{model}", "rows": 19}
        )
        with pytest.raises(InputError, match=r"whole numbers from 0 to 19: IndexError: .*\(20 rows\)"):
            tickets.run(file, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_embedding_that_fails_for_its_shape_says_so(module):
    name = module("tokens", TOKENS)
    with pytest.raises(InputError) as caught:
        fitted(name, "bag", shape=[4])
    (line,) = caught.value.problems
    assert "fails on whole-number inputs of shape (2, 4)" in line
    assert "shapes cannot be multiplied" in line


def test_a_model_without_embeddings_that_takes_neither_says_both(module):
    name = module("tokens", TOKENS)
    with pytest.raises(InputError) as caught:
        fitted(name, "dense", shape=[4])
    first, second = caught.value.problems
    assert "fails on inputs of shape (2, 4)" in first
    assert "fails on whole-number inputs" in second


@pytest.mark.parametrize("model", ["bag", "Text"])
def test_a_campaign_over_tokens(model, module, campaign_file, tmp_path):
    name = module("tokens", TOKENS)
    accuracies = {}
    for strategy in ("vectorised", "looped"):
        file = campaign_file(
            tmp_path,
            data={"name": f"{name}:load", "validation": 20},
            model=f"{name}:{model}",
            arms=["ticket", "reinit", "random_mask", "shuffle"],
            train={"steps": 40, "batch_size": 20},
            compute={"strategy": strategy},
        )
        saved = tickets.run(file, out=tmp_path / strategy)
        assert verify(tmp_path / strategy) == []
        accuracies[strategy] = saved.rounds["final_test_loss"].to_numpy()
        ticket = saved.ticket(replicate=1, round=2)
        logits = ticket.build()(torch.randint(20, (4, 5)))
        assert logits.shape == (4, 3)
    assert accuracies["looped"] == pytest.approx(accuracies["vectorised"], rel=1e-3)
