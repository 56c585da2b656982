"""A run, its model, its data and its recipe: what fits, and what does not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from fitted_runs import fitted

from tickets.config import parse_run
from tickets.data import Dataset, load_dataset, split
from tickets.errors import InputError
from tickets.planning import plan_execution
from tickets.ready import ready_run
from tickets.source import load_source

CPU = torch.device("cpu")


def test_a_source_is_the_data_set_split_and_known_by_its_contents() -> None:
    run = parse_run({"name": "t", "data": {"name": "digits", "validation": 97}, "model": "mlp"})
    loaded, dataset = load_source(run.data, None), load_dataset({}, "digits", None)
    assert (loaded.name, loaded.sha256) == ("digits", dataset.sha256)
    assert torch.equal(loaded.examples.train_inputs, split(dataset, 97).train_inputs)
    assert [len(loaded.examples.train_labels), len(loaded.examples.validation_labels)] == [1200, 97]


KEPT = torch.randn(20, 6, generator=torch.Generator().manual_seed(1))


def kept_data() -> Dataset:
    """A data set that its function has kept."""
    labels = torch.arange(20) % 3
    return Dataset("kept", KEPT, labels, KEPT[:5], labels[:5], 3, "00")


def test_a_users_data_set_is_not_written_to() -> None:
    before = KEPT.clone()
    run = parse_run({"name": "t", "data": {"name": f"{__name__}:kept_data", "validation": 5}, "model": "mlp"})
    loaded = load_source(run.data, None)
    assert torch.equal(KEPT, before)
    assert torch.equal(loaded.examples.train_inputs, split(kept_data(), 5).train_inputs)


def test_a_fitted_run_has_its_template_and_its_prunable_tensors() -> None:
    ready = fitted(prune={"exclude": ["1.*"]})
    assert [tuple(p.shape) for p in ready.module.parameters()] == [(5, 6), (5,), (3, 5), (3,)]
    assert [tensor.name for tensor in ready.prunable] == ["3.weight"]
    assert ready.module.training


def test_fitting_leaves_the_global_generators_as_they_were() -> None:
    before, numpys = torch.get_rng_state(), np.random.get_state()
    ready = fitted(model={"name": "fitted_runs:drawing_net"})
    setting = ready_run(ready, plan_execution(ready, CPU), CPU)
    setting.fresh(3)
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(np.random.get_state()[1], numpys[1])
    assert np.random.get_state()[2] == numpys[2]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"train": {"batch_size": 25}},
            r"train\.batch_size = 25: must be at most 24, the training examples of 'made' beside "
            r"data\.validation = 200",
        ),
        ({"prune": {"exclude": ["fc*"]}}, r"prune\.exclude: 'fc\*' matches none of this model's weights"),
        ({"prune": {"exclude": ["*"]}}, "model: nothing is left to prune"),
        ({"model": "conv2"}, r"model 'conv2': the data has examples of shape \(6,\)"),
        ({"prune": {"score": "math:no_such"}}, "'math:no_such': module 'math' has no function 'no_such'"),
    ],
)
def test_what_does_not_fit_is_said(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        fitted(**changes)


def test_all_that_does_not_fit_is_said_at_once() -> None:
    with pytest.raises(InputError) as caught:
        fitted(train={"batch_size": 25}, prune={"exclude": ["fc*", "gone"], "score": "math:no_such"})
    keys = [problem.split(":")[0].split(" =")[0] for problem in caught.value.problems]
    assert keys == ["train.batch_size", "'math", "prune.exclude", "prune.exclude"]


def test_a_batch_may_be_all_there_is() -> None:
    assert fitted(train={"batch_size": 24}).run.train.batch_size == 24
