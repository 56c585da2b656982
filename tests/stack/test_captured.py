"""A recorded step against the same step taken operation by operation."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from made_workloads import execution as execution_of
from made_workloads import workload

from tickets.config import TrainConfig
from tickets.stack import captured
from tickets.stack.captured import EAGER_STEPS, Captured
from tickets.stack.stepwise import Stepwise
from tickets.stack.strategies import begin
from tickets.stack.training import Trained, train

CPU = torch.device("cpu")
RECIPES = {
    "adam": {"optimizer": "adam", "warmup_steps": 4, "weight_decay": 0.01},
    "adamw": {"optimizer": "adamw", "schedule": "cosine"},
    "sgd": {"optimizer": "sgd", "momentum": 0.9, "schedule": "step", "milestones": (6, 9)},
}


def trained_by(kind: type[Stepwise], bench, build, strategy: str, recipe: TrainConfig, examples, device) -> Trained:
    def begin(start, seeds, examples, recipe, device):
        return kind(execution_of(strategy, build().to(device)), start, seeds, examples, recipe, device)

    start, seeds = bench.stack(build, 4), bench.seeds(2) * 2
    return train(begin, start, seeds, examples, recipe, device=device, keep_step=7)


def assert_same(one: Trained, other: Trained) -> None:
    torch.testing.assert_close(other.stack.parameters, one.stack.parameters, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(other.stack.buffers, one.stack.buffers, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(other.stack.optimizer, one.stack.optimizer, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(other.kept.parameters, one.kept.parameters, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(other.curves.values, one.curves.values, rtol=1e-5, atol=1e-6)


@pytest.fixture
def recorded(monkeypatch) -> list[str]:
    """Recordings that replay by doing the same in Python, in the memory as it was then; what was asked for, in order.

    A real one does not see that an attribute has changed since, only that memory has.
    """
    asked = []

    def beside(step, device) -> None:
        asked.append("eager")
        step()

    def record(step, device):
        asked.append("record")
        return lambda: (asked.append("replay"), step())

    monkeypatch.setattr(captured, "beside", beside)
    monkeypatch.setattr(captured, "record", record)
    return asked


@pytest.mark.parametrize("optimizer", RECIPES)
@pytest.mark.parametrize(("name", "strategy"), [("mlp", "layered"), ("mlp", "vectorised"), ("normnet", "vectorised")])
def test_what_changes_from_step_to_step_is_in_memory(bench, recorded, name: str, strategy: str, optimizer: str) -> None:
    recipe = bench.recipe(**RECIPES[optimizer])
    examples = bench.examples((6,) if name == "mlp" else (1, 4, 4))
    build = getattr(bench, name)
    stepwise, replayed = (
        trained_by(kind, bench, build, strategy, recipe, examples, CPU) for kind in (Stepwise, Captured)
    )
    assert_same(stepwise, replayed)
    assert recorded == ["eager"] * EAGER_STEPS + ["record"] + ["replay"] * (recipe.steps - EAGER_STEPS)


def test_the_memory_stays_where_it_is(bench, monkeypatch) -> None:
    """A replay reads and writes where the recording did."""
    monkeypatch.setattr(captured, "beside", lambda step, device: step())
    monkeypatch.setattr(captured, "record", lambda step, device: step)
    start, recipe = bench.stack(bench.mlp, 3), bench.recipe(optimizer="adam", warmup_steps=9)
    shard = Captured(execution_of("layered", bench.mlp()), start, bench.seeds(3), bench.examples(), recipe, CPU)

    def addresses() -> list[int]:
        gradients = [parameter.grad for parameter in shard._parameters.values()]
        state = [value for state in shard._optimizer.state.values() for value in state.values()]
        rates = [group["lr"] for group in shard._optimizer.param_groups]
        return [
            tensor.data_ptr() for tensor in (*shard.parameters().values(), *gradients, *state, *rates, shard._places)
        ]

    for step in range(EAGER_STEPS + 1):
        shard._take(step)
    before = addresses()
    for step in range(EAGER_STEPS + 1, 15):
        shard._take(step)
    assert addresses() == before


def test_when_steps_are_recorded(bench, monkeypatch) -> None:
    made = []

    def watched(kind: str):
        return lambda *arguments: made.append(kind)

    monkeypatch.setattr("tickets.stack.captured.Captured", watched("captured"))
    monkeypatch.setattr("tickets.stack.captured.Stepwise", watched("stepwise"))
    monkeypatch.setattr("tickets.stack.strategies.looped.Stepwise", watched("stepwise"))
    plain, gpu = bench.examples(), torch.device("cuda", 0)
    augmented = dataclasses.replace(plain, augment=lambda inputs, generator: inputs)
    for strategy, module, examples, device in (
        ("layered", bench.mlp(), plain, gpu),
        ("vectorised", bench.mlp(), plain, gpu),
        ("layered", bench.mlp(), plain, CPU),
        ("layered", bench.dropnet(), plain, gpu),
        ("layered", bench.mlp(), augmented, gpu),
        ("looped", bench.mlp(), plain, gpu),
    ):
        one = workload(module, device=device)
        begin(strategy, one, bench.stack(bench.mlp), bench.seeds(3), examples, bench.recipe(), device)
    assert made == ["captured"] * 2 + ["stepwise"] * 4


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("optimizer", RECIPES)
@pytest.mark.parametrize(("name", "strategy"), [("mlp", "layered"), ("mlp", "vectorised"), ("normnet", "vectorised")])
def test_a_recorded_step_is_the_same_step(bench, name: str, strategy: str, optimizer: str) -> None:
    device = torch.device("cuda", 0)
    examples = bench.examples((6,) if name == "mlp" else (1, 4, 4)).to(device)
    recipe, build = bench.recipe(**RECIPES[optimizer]), getattr(bench, name)
    stepwise, replayed = (
        trained_by(kind, bench, build, strategy, recipe, examples, device) for kind in (Stepwise, Captured)
    )
    assert_same(stepwise, replayed)
    again = trained_by(Captured, bench, build, strategy, recipe, examples, device)
    assert all(torch.equal(again.stack.parameters[name], value) for name, value in replayed.stack.parameters.items())
