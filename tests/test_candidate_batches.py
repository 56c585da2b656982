"""The batches of a candidate: which examples they hold, and which sizes are refused."""

from __future__ import annotations

import re

import pytest
import torch
from candidates import CLASSES, after_round, examples_of, inputs_of, mlp
from torch.nn import functional

from tickets.candidate import Batch
from tickets.evaluator import Evaluator


def test_a_larger_batch_contains_every_smaller_one_and_rounds_share_it() -> None:
    inputs = torch.arange(30.0)[:, None].expand(30, 4).contiguous()
    one, later, other = (after_round(mlp, inputs, number=n, replicate=r) for n, r in ((0, 0), (5, 0), (0, 1)))
    whole = one.batch(30)
    assert sorted(whole.inputs[:, 0].tolist()) == list(range(30))
    assert torch.equal(whole.targets, whole.inputs[:, 0].long() % CLASSES)
    assert torch.equal(one.batch(7).inputs, whole.inputs[:7])
    assert torch.equal(one.batch().inputs, whole.inputs[:10])  # train.batch_size
    assert torch.equal(later.batch(30).inputs, whole.inputs)
    assert not torch.equal(other.batch(30).inputs, whole.inputs)


def test_as_many_of_each_class() -> None:
    candidate = after_round(mlp, inputs_of(4))
    batch, whole = candidate.batch(per_class=4), candidate.batch(30)
    assert batch.targets.bincount().tolist() == [4, 4, 4]
    for each in range(CLASSES):
        assert torch.equal(batch.inputs[batch.targets == each], whole.inputs[whole.targets == each][:4])


def test_what_is_no_batch_is_refused() -> None:
    candidate = after_round(mlp, inputs_of(4))
    for wrong, told in (
        ({"examples": 0}, "examples = 0: must be from 1 to 30, the training examples"),
        ({"examples": 31}, "examples = 31: must be from 1 to 30, the training examples"),
        ({"per_class": 11}, "per_class = 11: must be from 1 to 10, the training examples of class 0"),
        ({"examples": 3, "per_class": 3}, "examples = 3, per_class = 3: give only one"),
    ):
        with pytest.raises(ValueError, match=re.escape(told)):
            candidate.batch(**wrong)
    with pytest.raises(ValueError, match="2 inputs and 1 targets"):
        Batch(torch.zeros(2, 4), torch.zeros(1))
    numbers = Evaluator(mlp, examples_of(inputs_of(4)), functional.mse_loss, 10, 0, torch.device("cpu"))
    numbers.examples.train_labels.data = torch.rand(30)
    with pytest.raises(ValueError, match=r"per_class = 2: the targets are torch\.float32, no classes"):
        numbers.batch(per_class=2)
