"""What is prunable, and how arms differ from the ticket, is said before training and wherever runs are read."""

from __future__ import annotations

import json

import pytest
from fitted_runs import fitted
from resealed import write_sealed
from tickets.analysis.report import make_report

import tickets
from tickets.errors import InputError
from tickets.foreword import foreword

GRU = """
from torch import nn

class Net(nn.Module):
    def __init__(self, classes, frozen=False):
        super().__init__()
        self.gru, self.out = nn.GRU(8, 4, batch_first=True), nn.Linear(4, classes)
        self.extra = nn.Linear(4, 4).requires_grad_(not frozen)

    def forward(self, x):
        return self.out(self.extra(self.gru(x.reshape(-1, 8, 8))[0][:, -1]))

def net(classes, frozen=False):
    return Net(classes, frozen)
"""
LARGEST = "gru.weight_ih_l0 (96, not included), gru.weight_hh_l0 (48, not included)"
PRUNABLE = f"prunable: 56 of 200 weights (28 %), in 2 tensors; not prunable: {LARGEST}"
WARNING = (
    "only 28 % of the weights are prunable, and density is a fraction of these alone; the largest tensors left out: "
    f'{LARGEST}; name those to be pruned in prune.include, e.g. include = ["gru.weight_ih_l0"]'
)
STEPS = (
    "training steps after round 0: the ticket has had 4 in all, 1 of them before the rewind step; reinit: 1 fewer; "
    "`start = 0` gives an arm the whole schedule"
)
TRAIN = {"steps": 4, "evaluate_every": 4, "batch_size": 50}


@pytest.fixture
def gru(module):
    return f"{module('nets', GRU)}:net"


def test_the_first_lines_of_a_run_say_it_once_for_each_model(campaign_file, gru, watcher, tmp_path):
    listener = watcher()
    sweep = {"train.learning_rate": [0.1, 0.01]}
    file = campaign_file(tmp_path, model=gru, rounds=0, train=TRAIN, sweep=sweep, rewind={"step": 1})
    tickets.run(file, out=tmp_path / "out", listener=listener)
    code, *said = listener.said
    assert code.startswith("runs code of: ")
    assert said == [f"model {gru}: {PRUNABLE}", f"warning: model {gru}: {WARNING}", STEPS]
    again = watcher()
    tickets.run(file, out=tmp_path / "out", listener=again)
    assert again.said == [code]


def test_include_prunes_them_and_every_weight_is_prunable(campaign_file, gru, watcher, tmp_path):
    listener = watcher()
    file = campaign_file(tmp_path, model=gru, rounds=2, train=TRAIN, prune={"include": ["gru.*"]})
    saved = tickets.run(file, out=tmp_path / "out", listener=listener)
    assert listener.said[1:] == [f"model {gru}: prunable: all 200 weights, in 4 tensors"]
    # 96, 48, 40 and 16 weights: 20 % of each go, twice, halves to even.
    counts = [[int(kept.sum()) for kept in saved.ticket(1, number).mask.values()] for number in range(3)]
    assert counts == [[96, 48, 40, 16], [77, 38, 32, 13], [62, 30, 26, 10]]
    assert saved.rounds["density"].unique().tolist() == [1.0, 160 / 200, 128 / 200]


@pytest.fixture
def read(campaign_file, gru, tmp_path):
    tickets.run(campaign_file(tmp_path, model=gru, rounds=1, train=TRAIN, rewind={"step": 1}), out=tmp_path / "out")
    return tmp_path / "out"


@pytest.mark.usefixtures("page_only")
def test_status_compare_and_the_report_say_it(read, command):
    assert command("status", read).out.splitlines()[-2:] == [PRUNABLE, f"warning: {WARNING}"]
    compared = command("compare", read).out.splitlines()
    assert [line for line in compared if line in (PRUNABLE, f"warning: {WARNING}", STEPS)] == compared[-3:]
    (one,) = json.loads(command("status", read, "--json").out)
    assert [one["coverage"][key] for key in ("weights", "all_weights", "share")] == [56, 200, 0.28]
    page = make_report(tickets.load(read))[0]["index.html"].decode()
    assert PRUNABLE[0].upper() + PRUNABLE[1:] in page
    assert "Warning: only 28 % of the weights are prunable" in page


def test_runs_saved_before_it_was_recorded_are_judged_by_their_files(read, command):
    path = next(read.glob("*/run.json"))
    file = json.loads(path.read_bytes())
    recorded = file.pop("coverage")
    assert file.pop("like_ticket") == []
    write_sealed(path, file)
    saved = tickets.load(read)
    assert saved.coverage().as_json() == recorded
    assert saved.notes() == [STEPS]
    assert command("status", read).out.splitlines()[-2:] == [PRUNABLE, f"warning: {WARNING}"]


def test_a_run_of_which_nothing_is_committed_says_nothing(read):
    path = next(read.glob("*/run.json"))
    file = json.loads(path.read_bytes())
    del file["coverage"]
    write_sealed(path, file)
    next(read.glob("*/cohort-000")).rename(read / "elsewhere")
    assert tickets.load(read).coverage() is None


def test_arms_that_start_as_the_ticket_are_said_and_kept(campaign_file, command, tmp_path):
    model = {"name": "mlp", "widths": [4], "init": "dct"}
    file = campaign_file(tmp_path, model=model, rounds=1, train=TRAIN, arms=["ticket", "reinit", "random_mask"])
    saved = tickets.run(file, out=tmp_path / "out")
    assert saved.roles() == {"ticket": "ticket", "reinit": "measurement", "random_mask": "control"}
    (note,) = saved.notes()
    assert note.startswith("reinit: the same initial weights as the ticket's from this start (model.init = 'dct')")
    assert note in command("compare", tmp_path / "out").out
    # The draw is the ticket's start to the bit.
    for name, values in saved.ticket(0, 1).values.items():
        assert (values == saved.arm("reinit", 0, 1).values[name]).all()


def test_a_run_that_pruned_frozen_parameters_is_not_gone_on_with(campaign_file, gru, tmp_path):
    # As a version that did not look at requires_grad would have saved it.
    file = campaign_file(tmp_path, model=gru, rounds=0, train=TRAIN)
    tickets.run(file, out=tmp_path / "out")
    frozen = campaign_file(tmp_path, model={"name": gru, "frozen": True}, rounds=1, train=TRAIN)
    saved = next((tmp_path / "out").glob("*/run.json")).parent
    from tickets.config import read_campaign, run_id

    (wanted,) = read_campaign(frozen).runs
    for path in (saved / "run.json", *saved.rglob("manifest.json")):
        write_sealed(path, {**json.loads(path.read_bytes()), "run": run_id(wanted)})
    saved.rename(saved.parent / run_id(wanted))
    told = (
        "has masks of extra.weight, out.weight, but now out.weight are prunable .the difference: extra.weight; frozen"
    )
    with pytest.raises(InputError, match=told):
        tickets.run(frozen, out=tmp_path / "out")


@pytest.mark.parametrize(("changes", "why"), [
    ({"arms": ["ticket", "shuffle"]}, "the run does not train reinit, so that"),
    ({"arms": ["ticket", "reinit", "shuffle"], "verdict": {"controls": ["shuffle"]}}, None),
    ({"arms": ["ticket", {"name": "reinit", "label": "other"}]}, "the run does not train reinit, so that"),
    ({"arms": ["ticket"], "rounds": 0}, None),
    ({"model": {"name": "mlp", "widths": [5], "init": "dct"}, "arms": ["ticket", "reinit"]},
     "reinit starts as the ticket does and is no control, so that"),
])  # fmt: skip
def test_a_verdict_that_cannot_be_reached_is_announced_before_training(changes, why):
    said = [line for line in foreword([fitted(**changes)]) if "verdict.controls" in line]
    assert len(said) == (why is not None)
    for line in said:
        assert line.startswith(f"warning: verdict.controls = ['reinit']: {why}")
        assert 'whether there is a winning ticket will be "cannot tell"' in line
        assert line.endswith("name another control in verdict.controls")
