"""The results of regressions and of losses of the user's: R2, accuracy or neither, and what is concluded from them."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from sklearn.metrics import r2_score
from small_regressions import SMALL, TRAIN
from tickets.analysis import criteria, rules_of, winning

import tickets
from tickets.store import verify


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

    assert why_not_a_study(saved) == "its chapter is about classification, by train.loss = 'cross_entropy'"


def test_each_loss_is_of_another_kind(name, campaign_file, command, tmp_path):
    sweep = {"train.label_smoothing": [0.0, 0.1]}
    file = campaign_file(tmp_path, rounds=1, sweep=sweep, train={"steps": 10})
    tickets.run(file, out=tmp_path / "out")
    found = command("compare", tmp_path / "out", "--tune", "train.label_smoothing")
    assert found.code == 2
    assert "--tune train.label_smoothing: losses of different kinds cannot be compared; tune how" in found.err
