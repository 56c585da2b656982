"""Losses that do not fit the data or the model, that fail, or that have no accuracy: which error, and when."""

from __future__ import annotations

import pytest
from small_regressions import SMALL, TRAIN

import tickets
from tickets.errors import InputError
from tickets.store import status


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


def test_that_there_is_no_accuracy_is_said_before_training(name, campaign_file, watcher, tmp_path):
    listener = watcher()
    options = {"data": f"{name}:data", "model": f"{name}:variance", **SMALL}
    file = campaign_file(tmp_path, train={**TRAIN, "loss": f"{name}:likelihood"}, **options)
    tickets.run(file, out=tmp_path / "out", listener=listener)
    (line,) = (line for line in listener.said if "train.loss" in line)
    assert line.startswith(f"warning: train.loss {name}:likelihood: has neither accuracy nor R2")
