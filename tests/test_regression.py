"""Regression, and losses of the user's, from the campaign file to the report."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import r2_score
from tickets.analysis import criteria, rules_of, winning

import tickets
from tickets.errors import InputError
from tickets.store import status, verify

CODE = """
import torch
from torch import nn
from torch.nn import functional

def data(n=300, m=60, k=2, kind="float"):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(n + m, 5, generator=generator)
    y = torch.tanh(x @ torch.randn(5, k, generator=generator)) + 0.05 * torch.randn(n + m, k, generator=generator)
    if kind == "classes":
        y = y.argmax(1)
    elif kind == "constant":
        y = torch.ones(n + m, k)
    elif k == 1:
        y = y[:, 0].double()
    return x[:n], y[:n], x[n:], y[n:]

def net(input_shape, classes, outputs=None):
    return nn.Sequential(nn.Linear(*input_shape, 12), nn.Tanh(), nn.Linear(12, outputs or classes))

class Variance(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.hidden, self.mean, self.log = nn.Linear(5, 12), nn.Linear(12, classes), nn.Linear(12, classes)

    def forward(self, x):
        hidden = self.hidden(x).tanh()
        return torch.stack([self.mean(hidden), self.log(hidden)], 1)

def variance(classes):
    return Variance(classes)

def likelihood(outputs, targets):
    mean, log = outputs.unbind(1)
    return (0.5 * ((targets - mean) ** 2 / log.exp() + log)).mean() - 2

def huber(outputs, targets):
    return functional.huber_loss(outputs, targets, delta=0.1)

def margin(outputs, labels):
    return functional.multi_margin_loss(outputs, labels)

def fails_later(outputs, targets, calls=[]):
    calls.append(1)
    return huber(outputs, targets) if len(calls) < 300 else {}[len(calls)]

def nan(outputs, targets):
    return huber(outputs, targets) * float("nan")
"""
SMALL: dict[str, Any] = {
    "rounds": 2,
    "replicates": 3,
    "arms": ["ticket", {"name": "reinit", "draws": 2}, "random_mask", "repeat"],
    "prune": {"rate": 0.4},
}
TRAIN = {"steps": 60, "evaluate_every": 15, "batch_size": 30, "learning_rate": 1e-2}


@pytest.fixture
def name(module) -> str:
    return module("regress", CODE)


@pytest.fixture
def trained(name, campaign_file, tmp_path):
    """trained(loss, data={...}, model=...) runs a campaign; its folder and what is saved."""

    def train(loss: str, model: Any = None, **data: Any):
        loss = loss if loss in ("mse", "cross_entropy") else f"{name}:{loss}"
        options = {"data": {"name": f"{name}:data", **data}, "model": model or f"{name}:net"}
        file = campaign_file(tmp_path, train={**TRAIN, "loss": loss}, **options, **SMALL)
        return file, tickets.run(file, out=tmp_path / "out")

    return train


@pytest.mark.parametrize("numbers", [1, 2])
def test_r2_stands_where_accuracy_does(trained, name, numbers):
    _, saved = trained("mse", k=numbers)
    (run,) = saved.runs
    assert saved.file()["accuracy"] == "R2"
    assert saved.file()["data"]["classes"] == numbers
    assert saved.file()["execution"]["compared"]["passed_over"] == []
    network = saved.ticket(replicate=1, round=2).build()
    assert network[-1].out_features == numbers
    row = saved.curves.query("replicate == 1 and round == 2 and arm == 'ticket' and step == 0").iloc[0]
    from importlib import import_module

    _, _, x, y = import_module(name).data(k=numbers)
    with torch.no_grad():
        outputs = network(x)
    y = y.reshape(outputs.shape)
    assert row["test_accuracy"] == pytest.approx(r2_score(y, outputs), rel=1e-5)
    assert row["test_loss"] == pytest.approx(float(((outputs - y) ** 2).mean()), rel=1e-5)
    rounds = saved.rounds
    assert not rounds["diverged"].any()
    assert rounds["early_stop_test_accuracy"].between(-5, 1).all()
    assert (rounds["final_train_loss"] < saved.curves.query("step == 0")["train_loss"].mean()).all()
    assert run.startswith("regress_")


def test_the_margin_is_a_share_of_what_is_not_explained(trained):
    _, saved = trained("mse")
    rounds, rules = saved.rounds, rules_of(saved)
    table = criteria(rounds, rules)
    dense = rounds.query("arm == 'ticket' and round == 0")["early_stop_test_accuracy"]
    worse = table[table["criterion"] == "no worse than dense"]
    assert worse["margin"].tolist() == pytest.approx([0.05 * (1 - dense.mean())] * 2)
    ticket = rounds.query("arm == 'ticket' and round == 2")["early_stop_test_accuracy"]
    assert worse["estimate"].iloc[-1] == pytest.approx(np.mean(ticket.to_numpy() - dense.to_numpy()))
    (one,) = winning(rounds, rules)
    assert one.n_diverged == 0
    assert "accuracy" not in one.sentence
    assert "points" not in one.sentence


def test_every_command_reads_a_regression(trained, command, tmp_path):
    file, saved = trained("mse")
    folder = tmp_path / "out"
    (run,) = saved.runs
    again = command("run", file, "--out", folder)
    assert (again.code, again.err) == (0, "")
    assert "test R2 at early stop, mean ± standard deviation over 3 replicates" in again.out
    for text in (again.out, command("compare", folder).out, command("claims", folder).out):
        assert "points" not in text
        assert "accuracy" not in text.replace(run, "")
    assert "test R2 at early stop, ticket minus control; margin of equivalence: 0." in command("compare", folder).out
    compared = json.loads(command("compare", folder, "--json").out)
    assert {row["metric"] for row in compared} == {"early_stop_test_accuracy"}
    losses = command("compare", folder, "--metric", "final_test_loss").out
    assert "test loss at the last step, ticket minus control; margin of equivalence: " in losses
    assert "nats" not in losses
    (claim,) = json.loads(command("claims", folder, "--json").out)
    assert (claim["id"], claim["n"]) == ("winning_ticket", 0 if claim["density"] is None else 3)
    assert command("status", folder).code == 0
    assert [one.state for one in status(folder)] == ["done"]
    assert verify(folder) == []
    assert command("report", folder).code == 0
    page = (folder / "report" / "index.html").read_text()
    words = re.sub(r"<style>.*?</style>|<[^>]*>", "", page, flags=re.DOTALL)
    assert "Test R2 at early stop" in words
    assert "points" not in words
    numbers = next((folder / "report" / "tables").rglob("accuracy.csv")).read_text()
    assert numbers.startswith("round,density,arm,n,mean,low,high")
    (code,) = (folder / "report" / "figures").rglob("curves.py")
    assert "labels=labels" in code.read_text()


def test_the_lines_of_a_figure_draw_it(trained, tmp_path, monkeypatch):
    _, saved = trained("mse")
    from tickets.analysis.report.run_chapter import chapter_of_run

    plots = chapter_of_run(saved, saved.runs[0]).plots
    monkeypatch.chdir(tmp_path)
    Path("runs/saved").mkdir(parents=True)
    Path("runs/saved/tiny").symlink_to(tmp_path / "out")
    for plot in plots:
        if plot.name in ("accuracy", "curves"):
            exec(plot.drawn.code, {})
            assert Path(f"{plot.name}.pdf").stat().st_size > 1000


def test_an_interrupted_regression_goes_on_with_the_same_bits(name, campaign_file, watcher, contents, tmp_path):
    train = {**TRAIN, "loss": "mse", "evaluate_on": 10}
    options = {"data": f"{name}:data", "model": f"{name}:net", "train": train, "rewind": {"step": 10}, **SMALL}
    file = campaign_file(tmp_path, **options)
    tickets.run(file, out=tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        tickets.run(file, out=tmp_path / "broken", listener=watcher(stop=(1, 20)))
    assert [one.state for one in status(tmp_path / "broken")] == ["partial"]
    tickets.run(file, out=tmp_path / "broken")
    assert contents(tmp_path / "broken") == contents(tmp_path / "whole")


def test_what_is_said_while_it_trains(name, campaign_file, watcher, tmp_path):
    from tickets.command_line.progress import line

    listener = watcher()
    options = {"data": f"{name}:data", "model": f"{name}:net", **SMALL}
    file = campaign_file(tmp_path, train={**TRAIN, "loss": "mse"}, **options)
    saved = tickets.run(file, out=tmp_path / "out", listener=listener)
    r2 = saved.rounds.query("round == 2").groupby("arm", sort=False)["early_stop_test_accuracy"].mean()
    assert f"test R2: ticket {r2['ticket']:.4f}  reinit {r2['reinit']:.4f}" in line(listener.rounds[2])


def test_a_huber_loss_has_r2_too(trained):
    _, saved = trained("huber")
    assert saved.file()["accuracy"] == "R2"
    assert list(saved.file()["began_with"]["sources"]) == [saved.config()["train"]["loss"].partition(":")[0]]
    assert saved.rounds["early_stop_test_accuracy"].notna().all()


def test_a_loss_for_classes_has_accuracy(trained):
    _, saved = trained("margin", kind="classes", k=3)
    assert "accuracy" not in saved.file()
    assert saved.rounds["early_stop_test_accuracy"].between(0.5, 1).all()


def test_without_accuracy_the_verdict_says_what_it_cannot_judge(trained, name, command, tmp_path):
    file, saved = trained("likelihood", model=f"{name}:variance")
    assert saved.file()["accuracy"] == "none"
    rounds = saved.rounds
    assert rounds["early_stop_test_accuracy"].isna().all()
    assert not rounds["diverged"].any()
    assert rounds["steps_to_dense_loss"].isna().all(), "1.1 times a loss below 0 is no loss to reach"
    (one,) = winning(rounds, rules_of(saved))
    assert (one.answer, one.n_diverged) == ("cannot tell", 0)
    assert one.why.endswith(
        "has neither accuracy nor R2, by which tickets are judged; compare losses: tickets compare --metric "
        "final_test_loss"
    )
    folder = tmp_path / "out"
    shown = command("run", file, "--out", folder).out
    assert "test loss at the last step, mean ± standard deviation over 3 replicates" in shown
    assert "nan" not in shown
    assert "nothing to compare with" not in shown
    compared = command("compare", folder)
    assert compared.code == 0
    assert "no accuracy or R2 to compare by; give a loss, as in --metric final_test_loss" in compared.out
    assert "nan" not in compared.out
    assert "the criteria of a winning ticket" not in compared.out
    losses = json.loads(command("compare", folder, "--metric", "final_test_loss", "--json").out)
    assert {row["n"] for row in losses} == {3}
    assert all(row["margin"] > 0 for row in losses)
    assert all(row["verdict"] in ("better", "worse", "equivalent", "cannot tell") for row in losses)
    (claim,) = json.loads(command("claims", folder, "--json").out)
    assert claim["answer"] == "cannot tell"
    claims = command("claims", folder)
    assert claims.code == 0
    assert "nan" not in claims.out
    assert "points" not in claims.out
    assert command("report", folder).code == 0
    page = (folder / "report" / "index.html").read_text()
    assert "Test loss at the last step" in page
    assert "neither accuracy nor R2" in page
    assert verify(folder) == []


@pytest.mark.parametrize(
    ("loss", "data", "model", "message"),
    [
        ("cross_entropy", {}, "net", 'train.loss = "cross_entropy": needs whole-number labels, .* are float32'),
        ("mse", {"kind": "classes"}, "net", 'train.loss = "mse": needs floating-point labels'),
        ("mse", {"kind": "constant"}, "net", "the labels of all training examples are the same"),
        (
            "mse",
            {},
            {"outputs": 3},
            r"to \(2, 3\); must be \(2, 2\): \(examples, numbers to predict\), as the data has 2 numbers to predict",
        ),
        ("huber", {}, {"outputs": 3}, r"regress.*:huber': fails on outputs of shape \(30, 3\)"),
        ("nan", {}, "net", "train.loss = 'regress.*:nan': returns nan for finite outputs"),
        ("nothing", {}, "net", "has no function 'nothing'"),
    ],
)
def test_what_does_not_fit_is_said_before_anything_is_written(
    name, campaign_file, tmp_path, loss, data, model, message
):
    loss = loss if loss in ("mse", "cross_entropy") else f"{name}:{loss}"
    model = f"{name}:{model}" if isinstance(model, str) else {"name": f"{name}:net", **model}
    options = {"data": {"name": f"{name}:data", **data}, "model": model}
    file = campaign_file(tmp_path, train={**TRAIN, "loss": loss}, **options, **SMALL)
    with pytest.raises(InputError, match=message):
        tickets.run(file, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_class_weights_of_another_number(campaign_file, tmp_path):
    file = campaign_file(tmp_path, train={"class_weights": [1, 2]})
    with pytest.raises(InputError, match=r"train.class_weights: must have 10 numbers, one for each class, not 2"):
        tickets.run(file, out=tmp_path / "out")


def test_a_loss_that_fails_in_the_middle_is_told_by_its_name(trained, tmp_path):
    with pytest.raises(RuntimeError, match=r"fails_later': fails on outputs of shape .*KeyError"):
        trained("fails_later")
    (one,) = status(tmp_path / "out")
    assert one.state == "failed"


def test_smoothed_and_weighted_classification_end_to_end(campaign_file, tmp_path):
    weights = [1.0] * 9 + [3.0]
    options = {"rounds": 1, "arms": ["ticket", "reinit"]}
    runs = {
        label: tickets.run(campaign_file(tmp_path, train=train, **options), out=tmp_path / label)
        for label, train in (
            ("plain", {}),
            ("smoothed", {"label_smoothing": 0.1}),
            ("weighted", {"class_weights": weights}),
        )
    }
    assert len({saved.runs[0] for saved in runs.values()}) == 3, "each is a run of its own"
    assert "loss" not in runs["smoothed"].config()["train"]
    assert "label_smoothing" not in runs["plain"].config()["train"]
    first = {label: saved.curves.query("step == 0 and round == 0") for label, saved in runs.items()}
    for label in ("smoothed", "weighted"):
        assert first[label]["test_accuracy"].tolist() == first["plain"]["test_accuracy"].tolist(), "the same start"
        assert not np.allclose(first[label]["test_loss"], first["plain"]["test_loss"], rtol=1e-6)
        assert "accuracy" not in runs[label].file()
    assert math.isclose(first["smoothed"]["test_loss"].mean(), math.log(10), rel_tol=0.1)


def test_a_regression_that_runs_away_has_diverged(name, campaign_file, tmp_path):
    """The loss stays finite, and ends above a thousand times the variance."""
    options = {"data": f"{name}:data", "model": f"{name}:net", **SMALL, "rounds": 1, "arms": ["ticket", "reinit"]}
    file = campaign_file(tmp_path, train={**TRAIN, "loss": "mse", "learning_rate": 300.0}, **options)
    saved = tickets.run(file, out=tmp_path / "out")
    assert np.isfinite(saved.curves["train_loss"]).all()
    assert saved.rounds["diverged"].all()
    assert saved.rounds["early_stop_test_accuracy"].isna().all()
    (one,) = winning(saved.rounds, rules_of(saved))
    assert (one.answer, one.n_diverged) == ("cannot tell", len(saved.rounds))


def test_dense_networks_that_predict_nothing_show_no_winning_ticket(trained):
    _, saved = trained("mse")
    rounds = saved.rounds
    is_dense = (rounds["arm"] == "ticket") & (rounds["round"] == 0)
    rounds["early_stop_test_accuracy"] = rounds["early_stop_test_accuracy"].mask(is_dense, -0.5)
    (one,) = winning(rounds, rules_of(saved))
    assert one.answer == "cannot tell"
    assert one.why == "the dense networks predict no better than the mean target does (R2 -0.50); train them better"


def test_hidden_units_of_a_regression_are_no_study_of_classification(name, campaign_file, command, tmp_path):
    options = {"data": f"{name}:data", "store": {"units": True}, "sweep": {"model.init": ["zeros", "glorot_normal"]}}
    file = campaign_file(tmp_path, train={**TRAIN, "loss": "mse"}, **options, **SMALL)
    saved = tickets.run(file, out=tmp_path / "out")
    assert len(saved.units) > 0
    assert command("report", tmp_path / "out").code == 0
    from tickets.analysis.why_random import why_not_a_study

    assert why_not_a_study(saved) == "its claims are about classification, by train.loss = 'cross_entropy'"


def test_each_loss_is_of_another_kind(name, campaign_file, command, tmp_path):
    sweep = {"train.label_smoothing": [0.0, 0.1]}
    file = campaign_file(tmp_path, rounds=1, sweep=sweep, train={"steps": 10})
    tickets.run(file, out=tmp_path / "out")
    found = command("compare", tmp_path / "out", "--tune", "train.label_smoothing")
    assert found.code == 2
    assert "--tune train.label_smoothing: losses of different kinds cannot be compared; tune how" in found.err


def test_that_there_is_no_accuracy_is_said_before_training(name, campaign_file, watcher, tmp_path):
    listener = watcher()
    options = {"data": f"{name}:data", "model": f"{name}:variance", **SMALL}
    file = campaign_file(tmp_path, train={**TRAIN, "loss": f"{name}:likelihood"}, **options)
    tickets.run(file, out=tmp_path / "out", listener=listener)
    (line,) = (line for line in listener.said if "train.loss" in line)
    assert line.startswith(f"warning: train.loss {name}:likelihood: has neither accuracy nor R2")
