"""A run goes on only with the network that it began with: its code is looked at before anything is trained."""

from __future__ import annotations

import hashlib
import importlib
import json
import shutil
import sys
import uuid

import numpy as np
import pytest
import torch
from resealed import write_sealed
from torch import nn

import tickets
from tickets.errors import InputError
from tickets.store import read_events, read_values, run_folders

NETS = """
import torch
from torch import nn
from {layers} import activate

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.dropout, self.last = nn.Linear(64, 6), nn.Dropout(0.1), nn.Linear(6, 10)

    def forward(self, x):
        return self.last(self.dropout(activate(self.first(x.flatten(1)))))

def net():
    return Net()
"""
LAYERS = "import torch\n\ndef activate(x):\n    return torch.relu(x)\n"


class Code:
    """Two modules of a user's, one of which imports the other, and edits of them."""

    def __init__(self, folder):
        self.folder, unique = folder, uuid.uuid4().hex[:8]
        self.nets, self.layers = f"nets_{unique}", f"layers_{unique}"
        self.model = f"{self.nets}:net"
        self.write(self.layers, LAYERS)
        self.write(self.nets, NETS.format(layers=self.layers))

    def write(self, name, text):
        (self.folder / f"{name}.py").write_text(text)
        for module in (self.nets, self.layers):  # as a new process would, import it anew
            sys.modules.pop(module, None)
        importlib.invalidate_caches()

    def edit(self, name, old, new):
        text = (self.folder / f"{name}.py").read_text()
        assert old in text
        self.write(name, text.replace(old, new))

    def sha256(self, name):
        return hashlib.sha256((self.folder / f"{name}.py").read_bytes()).hexdigest()


@pytest.fixture
def code(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # an edit within the second may not be seen else
    return Code(tmp_path)


@pytest.fixture(scope="module")
def trained(campaign_file, tmp_path_factory):
    """The file of a campaign of a network of the catalogue, and its folder with one round."""
    folder = tmp_path_factory.mktemp("catalogue")
    file = campaign_file(folder, rounds=0)
    tickets.run(file, out=folder / "out")
    return file, folder / "out"


@pytest.fixture
def catalogue(trained, tmp_path):
    """The same, in a copy."""
    file, out = trained
    return file, shutil.copytree(out, tmp_path / "out")


def began_with(out):
    (folder,) = run_folders(out)
    return json.loads((folder / "run.json").read_bytes())["began_with"]


def everything(out):
    return {path: path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file() and path.name != ".lock"}


def test_run_json_keeps_the_sources_and_the_first_outputs(code, campaign_file, tmp_path):
    tickets.run(campaign_file(tmp_path, model=code.model, rounds=1), out=tmp_path / "out")
    kept = began_with(tmp_path / "out")
    assert kept["sources"] == {
        name: [{"sha256": code.sha256(name), "after_rounds": 0}] for name in sorted((code.nets, code.layers))
    }
    assert kept["first_seen_after_rounds"] == 0
    # By hand: the committed initial values of replicate 0, on the first 8 training examples.
    from tickets.data import load_dataset, split

    (folder,) = run_folders(tmp_path / "out")
    values = read_values(folder / "cohort-000" / "initial")[0]
    module = nn.Sequential(nn.Flatten(), nn.Linear(64, 6), nn.ReLU(), nn.Linear(6, 10))
    module.load_state_dict(
        {new: torch.tensor(values[old]) for new, old in (("1.weight", "first.weight"), ("1.bias", "first.bias"),
                                                         ("3.weight", "last.weight"), ("3.bias", "last.bias"))}
    )  # fmt: skip
    examples = split(load_dataset({}, "digits", None), 200).train_inputs[:8]
    np.testing.assert_allclose(kept["outputs"], module(examples).detach().numpy(), rtol=1e-6, atol=1e-7)
    assert all(np.float32(value) == value or abs(np.float32(value) - value) < 1e-8 for value in kept["outputs"][0])
    assert not np.allclose(kept["outputs"], kept["outputs_with_noise"], atol=1e-3)


@pytest.mark.parametrize("rounds", [1, 2])
def test_another_activation_in_an_imported_module_refuses_to_go_on(code, campaign_file, rounds, tmp_path):
    out = tmp_path / "out"
    tickets.run(campaign_file(tmp_path, model=code.model, rounds=1), out=out)
    before = everything(out)
    code.edit(code.layers, "torch.relu", "torch.tanh")
    with pytest.raises(
        InputError,
        match=rf"model '{code.model}' is not the network that this run began with: its outputs .* differ by up to "
        r"0\.\d+; restore the code .* or train the new one in another folder \(--out\)",
    ):
        tickets.run(campaign_file(tmp_path, model=code.model, rounds=rounds), out=out)
    assert everything(out) == before
    code.edit(code.layers, "torch.tanh", "torch.relu")  # restored, it goes on
    tickets.run(campaign_file(tmp_path, model=code.model, rounds=rounds), out=out)
    assert [len(seen) for seen in began_with(out)["sources"].values()] == [1, 1]


def test_an_edit_behind_a_layer_of_zeros_is_seen(code, campaign_file, tmp_path):
    zeros = ("def net():\n    return Net()", "def net():\n    made = Net()\n    nn.init.zeros_(made.last.weight)\n"
             "    nn.init.zeros_(made.last.bias)\n    return made")  # fmt: skip
    code.edit(code.nets, *zeros)
    tickets.run(campaign_file(tmp_path, model=code.model, rounds=0), out=tmp_path / "out")
    assert np.array(began_with(tmp_path / "out")["outputs"]).any() == np.False_
    code.edit(code.layers, "torch.relu", "torch.tanh")
    with pytest.raises(InputError, match="is not the network that this run began with: its outputs"):
        tickets.run(campaign_file(tmp_path, model=code.model, rounds=1), out=tmp_path / "out")


@pytest.mark.parametrize(("module", "old", "new"), [
    ("layers", "return", "# a remark\n    return"),
    ("nets", "Dropout(0.1)", "Dropout(0.5)"),  # of no effect but in training
])  # fmt: skip
def test_a_changed_source_with_the_same_outputs_is_said_and_kept(
    code, campaign_file, watcher, module, old, new, tmp_path
):
    out, name = tmp_path / "out", getattr(code, module)
    tickets.run(campaign_file(tmp_path, model=code.model, rounds=1), out=out)
    then = code.sha256(name)
    code.edit(name, old, new)
    now, listener = code.sha256(name), watcher()
    tickets.run(campaign_file(tmp_path, model=code.model, rounds=2), out=out, listener=listener)
    (said,) = [text for text in listener.said if "has changed" in text]
    assert f"the source of {name} has changed (SHA-256 {then[:12]}..., now {now[:12]}...)" in said
    assert began_with(out)["sources"][name] == [
        {"sha256": then, "after_rounds": 0},
        {"sha256": now, "after_rounds": 2},
    ]
    (folder,) = run_folders(out)
    (event,) = [event for event in read_events(folder / "log.jsonl") if event["event"] == "source"]
    assert (event["module"], event["before"], event["sha256"]) == (name, then, now)
    again = watcher()
    tickets.run(campaign_file(tmp_path, model=code.model, rounds=2), out=out, listener=again)
    assert not [text for text in again.said if "has changed" in text]


@pytest.mark.parametrize(("old", "new", "what"), [
    ("nn.Linear(6, 10)\n", "nn.Linear(6, 10)\n        nn.init.normal_(self.first.weight)\n", "initial first.weight"),
    ("nn.Linear(6, 10)\n", "nn.Linear(6, 10, bias=False)\n", r"last.bias is missing, and was \(10,\)"),
])  # fmt: skip
def test_other_initial_values_refuse_to_go_on_also_in_a_run_that_kept_no_outputs(
    code, campaign_file, old, new, what, tmp_path
):
    out = tmp_path / "out"
    tickets.run(campaign_file(tmp_path, model=code.model, rounds=0), out=out)
    (folder,) = run_folders(out)
    table = json.loads((folder / "run.json").read_bytes())
    del table["began_with"]
    write_sealed(folder / "run.json", table)
    code.edit(code.nets, old, new)
    with pytest.raises(InputError, match=rf"is not the network that this run began with: .*{what}"):
        tickets.run(campaign_file(tmp_path, model=code.model, rounds=1), out=out)


def test_a_network_of_the_catalogue_is_compared_too(catalogue, monkeypatch):
    from tickets.models import mlp

    file, out = catalogue
    assert began_with(out)["sources"] == {}
    monkeypatch.setattr(mlp.nn, "ReLU", nn.Tanh)
    with pytest.raises(InputError, match="model 'mlp' is not the network that this run began with: its outputs"):
        tickets.run(file, out=out, settings=["rounds=1"])


def test_before_the_first_round_is_committed_the_code_may_be_mended(code, campaign_file, watcher, tmp_path):
    file, out = campaign_file(tmp_path, model=code.model, rounds=0), tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        tickets.run(file, out=out, listener=watcher(stop=(0, 1)))
    code.edit(code.layers, "torch.relu", "torch.tanh")
    tickets.run(file, out=out)
    assert began_with(out)["sources"][code.layers] == [{"sha256": code.sha256(code.layers), "after_rounds": 0}]


def test_what_else_is_in_run_json_stays(catalogue):
    file, out = catalogue
    (folder,) = run_folders(out)
    table = json.loads((folder / "run.json").read_bytes())
    write_sealed(folder / "run.json", {**table, "remark": [1, 2]})
    tickets.run(file, out=out, settings=["rounds=1"])
    after = json.loads((folder / "run.json").read_bytes())
    assert after.pop("remark") == [1, 2]
    del after["sha256"], table["sha256"]
    assert after == {**table, "config": {**table["config"], "rounds": 1}}


@pytest.mark.parametrize("damage", [
    [], {}, {"outputs": [[1.0]]}, {"outputs": 1, "outputs_with_noise": [], "sources": {}},
    {"outputs": [["a"]], "outputs_with_noise": [[]], "sources": {}}, {"sources": {"nets": ["abc"]}},
])  # fmt: skip
def test_a_damaged_record_is_said(damage, catalogue):
    file, out = catalogue
    (folder,) = run_folders(out)
    table = json.loads((folder / "run.json").read_bytes())
    table["began_with"] = {**table["began_with"], **damage} if "sources" in damage else damage
    write_sealed(folder / "run.json", table)
    said = r"the record of its network in run\.json \(began_with\) is damaged|began_with: Input should be an object"
    with pytest.raises(InputError, match=said):
        tickets.run(file, out=out)


def test_initial_values_that_no_seed_decides_are_refused(code, campaign_file, tmp_path):
    code.edit(code.nets, "import torch\n", "import torch, numpy\n")
    code.edit(code.nets, "return Net()", "made = Net()\n    drawn = numpy.random.default_rng().normal(size=(6, 64))\n"
              "    made.first.weight.data.copy_(torch.from_numpy(drawn))\n    return made")  # fmt: skip
    with pytest.raises(
        InputError, match=r"two networks from one seed differ in 'first.weight', which is drawn from a generator"
    ):
        tickets.run(campaign_file(tmp_path, model=code.model), out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_another_process_trains_by_other_code_fails(code, campaign_file, monkeypatch, tmp_path):
    file = campaign_file(tmp_path, model=code.model, cohort_size=1, rounds=0)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    importlib.import_module(code.nets)  # as a notebook would, which imports no edited module anew
    path = tmp_path / f"{code.layers}.py"
    path.write_text(path.read_text().replace("torch.relu", "torch.tanh"))
    with pytest.raises(RuntimeError, match=r"failed: .* is not the network that this run began with: its outputs"):
        tickets.run(file, out=tmp_path / "out", workers=2)
    assert not list((tmp_path / "out").glob("*/*/round-000"))
