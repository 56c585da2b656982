"""Loss and accuracy of a stack against a plain computation, network by network."""

from __future__ import annotations

import dataclasses
import functools
import math

import pytest
import torch
from made_workloads import execution as execution_of
from torch import nn
from torch.nn import functional

from tickets.stack.evaluation import METRICS, Curves, evaluate, score
from tickets.tasks.cross_entropy import CrossEntropy

TASK = CrossEntropy()
MODELS = {"layered": ("mlp", (6,)), "vectorised": ("normnet", (1, 4, 4)), "looped": ("normnet", (1, 4, 4))}


class Given:
    """An execution whose outputs are given, (R, n, classes): those of the examples numbered in x."""

    def __init__(self, logits: torch.Tensor) -> None:
        self.outputs = logits

    def logits(self, x):
        return self.outputs[:, x[:, 0].long()]


def logits_of(execution, stack):
    return functools.partial(execution.logits, stack.parameters, stack.buffers)


def numbered(count: int) -> torch.Tensor:
    return torch.arange(count, dtype=torch.float32)[:, None]


@pytest.mark.parametrize("chunk", [1, 2, 3, 4, 100])
def test_by_hand(chunk: int) -> None:
    logits = torch.tensor([[[0.0, 0], [0, 0], [0, 0]], [[math.log(3), 0], [math.log(3), 0], [0, math.log(3)]]])
    labels = torch.tensor([0, 1, 1])
    result = score(TASK, Given(logits).logits, numbered(3), labels, chunk)
    expected = [
        [math.log(2), 1 / 3],  # two equal outputs: the first one is the answer
        [(2 * math.log(4 / 3) + math.log(4)) / 3, 2 / 3],
    ]
    assert result.dtype == torch.float64
    torch.testing.assert_close(result, torch.tensor(expected, dtype=torch.float64), rtol=1e-6, atol=0)


def test_a_network_whose_loss_is_not_finite_has_no_accuracy() -> None:
    logits = torch.zeros(3, 4, 2)
    logits[1, 2, 0] = math.nan
    logits[2, 3, 1] = math.inf
    result = score(TASK, Given(logits).logits, numbered(4), torch.zeros(4, dtype=torch.int64), chunk=2)
    assert result[0].tolist() == pytest.approx([math.log(2), 1.0])
    assert result[1:, 1].isnan().all()
    assert not result[1:, 0].isfinite().any()


@pytest.mark.parametrize("chunk", [1, 3, 4, 7, 14, 1000])
@pytest.mark.parametrize("strategy", MODELS)
def test_against_each_network_in_evaluation_mode(bench, strategy: str, chunk: int) -> None:
    model, shape = MODELS[strategy]
    build, examples = getattr(bench, model), bench.examples(shape)
    stack = bench.train(build, bench.stack(build), bench.recipe(), examples, strategy).stack
    before = {name: buffer.clone() for name, buffer in stack.buffers.items()}
    measured = evaluate(TASK, logits_of(execution_of(strategy, build()), stack), examples, chunk)
    assert measured.shape == (3, 6)
    assert measured.dtype == torch.float64
    parts = [
        (examples.train_inputs[:10], examples.train_labels[:10]),  # as many as there are for validation
        (examples.validation_inputs, examples.validation_labels),
        (examples.test_inputs, examples.test_labels),
    ]
    for index in range(3):
        module = build()
        module.load_state_dict(stack.network(index))
        module.eval()
        expected = []
        for x, y in parts:
            with torch.no_grad():
                outputs = module(x)
            expected += [functional.cross_entropy(outputs, y).item(), (outputs.argmax(1) == y).double().mean().item()]
        assert measured[index].tolist() == pytest.approx(expected, rel=1e-5)
    assert all(torch.equal(stack.buffers[name], value) for name, value in before.items())


def test_dropout_is_off(bench) -> None:
    build = bench.dropnet
    stack, examples = bench.stack(build), bench.examples()
    execution = execution_of("looped", build())
    once = evaluate(TASK, logits_of(execution, stack), examples, 5)
    assert torch.equal(once, evaluate(TASK, logits_of(execution, stack), examples, 5))
    module = nn.Sequential(*(layer for layer in build() if not isinstance(layer, nn.Dropout)))
    values = [stack.network(0)[name] for name in ("0.weight", "0.bias", "3.weight", "3.bias")]
    module.load_state_dict(dict(zip(module.state_dict(), values, strict=True)))
    expected = functional.cross_entropy(module(examples.test_inputs), examples.test_labels).item()
    assert once[0, METRICS.index("test_loss")].item() == pytest.approx(expected, rel=1e-5)


def test_there_may_be_fewer_examples_for_training_than_for_validation(bench) -> None:
    examples = bench.examples()
    few = dataclasses.replace(examples, train_inputs=examples.train_inputs[:4], train_labels=examples.train_labels[:4])
    stack, execution = bench.stack(bench.mlp), execution_of("layered", bench.mlp())
    row = evaluate(TASK, logits_of(execution, stack), few, 3)
    expected = score(TASK, logits_of(execution, stack), few.train_inputs, few.train_labels, 4)
    torch.testing.assert_close(row[:, :2], expected)


def test_measured_where_evaluate_every_divides_and_at_both_ends(bench) -> None:
    def steps(every: int, total: int, first: int = 0) -> list[int]:
        start = dataclasses.replace(bench.stack(bench.mlp), step=first)
        recipe = bench.recipe(steps=total, evaluate_every=every)
        return bench.train(bench.mlp, start, recipe, bench.examples(), "layered").curves.steps.tolist()

    assert steps(5, 15) == [0, 5, 10, 15]
    assert steps(4, 10) == [0, 4, 8, 10]
    assert steps(100, 3) == [0, 3]
    assert steps(4, 10, first=3) == [3, 4, 8, 10]
    assert steps(4, 10, first=4) == [4, 8, 10]


def test_a_measurement_stands_before_its_step(bench) -> None:
    start, examples = bench.stack(bench.mlp), bench.examples()
    trained = bench.train(bench.mlp, start, bench.recipe(), examples, "layered", chunk=1000)
    execution = execution_of("layered", bench.mlp())
    first = evaluate(TASK, logits_of(execution, start), examples, 1000)
    last = evaluate(TASK, logits_of(execution, trained.stack), examples, 1000)
    assert torch.equal(trained.curves.values[0], first)
    assert torch.equal(trained.curves.values[-1], last)


def test_a_metric_by_its_name() -> None:
    curves = Curves(torch.tensor([0, 5]), torch.arange(24, dtype=torch.float64).view(2, 2, 6))
    assert curves.metric("train_loss").tolist() == [[0, 6], [12, 18]]
    assert curves.metric("test_accuracy").tolist() == [[5, 11], [17, 23]]


@pytest.mark.parametrize("strategy", ["looped", "vectorised"])
def test_a_model_that_writes_to_its_inputs_changes_no_example(bench, strategy: str) -> None:
    def build(inplace: bool = True) -> nn.Sequential:
        return nn.Sequential(nn.ReLU(inplace=inplace), nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3))

    examples, recipe = bench.examples(), bench.recipe()
    before = {field.name: getattr(examples, field.name) for field in dataclasses.fields(examples)}
    before = {name: value.clone() for name, value in before.items() if isinstance(value, torch.Tensor)}
    found = [
        bench.train(functools.partial(build, inplace), bench.stack(build), recipe, examples, strategy)
        for inplace in (True, False)
    ]
    assert all(torch.equal(getattr(examples, name), value) for name, value in before.items())
    assert torch.equal(found[0].curves.values, found[1].curves.values)
    for name, values in found[0].stack.parameters.items():
        assert torch.equal(values, found[1].stack.parameters[name])
