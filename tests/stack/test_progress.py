"""A training that is interrupted at any step and goes on from its last checkpoint gives the same bits."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from made_workloads import execution
from played_training import KilledError, Memory, assert_same, bits, in_pieces, in_pieces_once, training
from torch import nn

from tickets.stack import captured
from tickets.stack.captured import Captured
from tickets.stack.progress import Interval, Progress
from tickets.stack.training import Trained, train
from tickets.stack.trees import Tree

OPTIMIZERS = {
    "sgd": {"optimizer": "sgd", "weight_decay": 0.01},
    "momentum": {"optimizer": "sgd", "momentum": 0.9, "schedule": "step", "milestones": (4, 9), "warmup_steps": 8},
    "adam": {"optimizer": "adam", "weight_decay": 0.01},
    "adamw": {"optimizer": "adamw", "schedule": "cosine", "warmup_steps": 3},
}
# By strategy, the models that it can train and the shape of their inputs.
MODELS = [
    ("sparse", "mlp", (6,)), ("sparse", "convnet", (1, 4, 4)), ("sparse", "normnet", (1, 4, 4)),
    ("layered", "mlp", (6,)), ("layered", "dropnet", (6,)),
    ("vectorised", "normnet", (1, 4, 4)),
    ("looped", "normnet", (1, 4, 4)), ("looped", "noisenet", (6,)), ("looped", "sometimes", (6,)),
    ("plain", "normnet", (1, 4, 4)), ("plain", "noisenet", (6,)), ("plain", "sometimes", (6,)),
]  # fmt: skip
OPTIONS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "on few": {"evaluate_on": 4},
    "in lanes": {"lanes": 2},
    "in turns": {"networks_at_once": 1, "evaluate_on": 4},
    "kept": {"keep_step": 7},
    "kept at the start": {"keep_step": 0, "lanes": 2},
    "augmented": {"augmented": True},
    "another order from a step on": {"reordered": True},
    "held": {"held": True},
    "every step": {"evaluate_every": 1, "keep_step": 7},
    "never in between": {"evaluate_every": 100},
    "bf16": {"precision": "bf16"},
}


def cases() -> list[Any]:
    """Every model with every optimizer and every option; in the suite, every model with every other optimizer."""
    found = []
    for place, ((strategy, model, shape), optimizer) in enumerate(itertools.product(MODELS, OPTIMIZERS)):
        options = [name for name in OPTIONS if able(strategy, model, shape, OPTIONS[name])]
        for name in options:
            in_suite = place % 2 == place // 4 % 2 and name == options[place % len(options)]
            label = f"{strategy}-{model}-{optimizer}-{name}"
            changes = {**OPTIMIZERS[optimizer], **OPTIONS[name]}
            marks = [] if in_suite else [pytest.mark.torture]
            found.append(pytest.param(strategy, model, shape, changes, id=label, marks=marks))
    return found


def able(strategy: str, model: str, shape: tuple[int, ...], option: Mapping[str, Any]) -> bool:
    if "lanes" in option and model in ("noisenet", "sometimes"):
        return False  # lanes share torch's generator
    if "augmented" in option:
        return len(shape) == 3
    return strategy not in ("sparse", "layered") or not ({"held", "precision"} & option.keys())


@pytest.mark.parametrize(("strategy", "model", "shape", "changes"), cases())
def test_killed_at_random_steps_it_gives_the_same_bits(
    bench: Any, strategy: str, model: str, shape: tuple[int, ...], changes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tickets.stack.sparse.MOST_STEPS", 4)  # else it may have ended before it is killed
    trained = training(bench, strategy, model, shape, **changes)
    wanted = trained()
    draw, keeper = random.Random(f"{strategy} {model} {changes}"), Memory()
    # A call of `tick` is a step of all networks of a shard; by `sparse` kernels, many steps of one network.
    found, killed = in_pieces(trained, keeper, lambda: draw.randint(3, 9))
    assert killed >= 1
    assert keeper.writes >= 2
    assert (keeper.refused, keeper.rejected) == ([], [])
    assert_same(wanted, found)


@pytest.mark.parametrize(("strategy", "model"), [("sparse", "mlp"), ("layered", "mlp"), ("looped", "sometimes")])
def test_steps_may_be_cut_anywhere(bench: Any, strategy: str, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each single cut: a state at every step, and a training that goes on from it, with more steps than a block has."""
    monkeypatch.setattr("tickets.stack.sparse.MOST_STEPS", 4)
    steps = 11
    trained = training(bench, strategy, model, (6,), steps=steps, evaluate_every=100, optimizer="adam")
    wanted, states = trained(), list[tuple[str, list[bytes]]]()

    class Every(Memory):
        def write(self, shards: Mapping[str, Tree], seconds: float) -> None:
            super().write(shards, seconds)
            states.append((self.text, self.buffers))

    assert_same(wanted, trained(progress=Progress(Interval(0.0), Every())))
    assert len(states) >= steps // 4
    for text, buffers in states:
        keeper = Memory()
        keeper.text, keeper.buffers = text, buffers
        taken: list[int] = []
        progress = Progress(Interval(1e9), keeper, None, keeper.found())
        assert_same(wanted, trained(progress=progress, tick=taken.append))
        assert sum(taken) == 4 * steps  # with those that were taken before
        assert keeper.rejected == []


def test_steps_that_are_recorded_go_on_too(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(captured, "beside", lambda step, device: step())
    monkeypatch.setattr(captured, "record", lambda step, device: step)
    build, recipe = bench.normnet, bench.recipe(optimizer="adam", warmup_steps=4)
    start, seeds, examples = bench.stack(build, 4), bench.seeds(4), bench.examples((1, 4, 4))

    def begin(*arguments: Any) -> Captured:
        return Captured(execution("vectorised", build()), *arguments)

    def trained(**more: Any) -> Trained:
        return train(begin, start, seeds, examples, recipe, **more)

    found, killed = in_pieces(trained, keeper := Memory(), lambda: 6)
    assert killed
    assert not keeper.rejected
    assert_same(trained(), found)


def test_before_a_checkpoint_is_due_nothing_is_asked_of_the_networks(bench: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("tickets.stack.stepwise.Stepwise.state", lambda self: pytest.fail("asked for its state"))
    trained = training(bench, "looped", "mlp", (6,), lanes=2)
    keeper = Memory()
    assert_same(trained(), trained(progress=Progress(Interval(1000.0), keeper)))
    assert keeper.writes == 0


def test_all_shards_in_training_are_in_one_checkpoint(bench: Any) -> None:
    trained, seen = training(bench, "looped", "mlp", (6,), lanes=2, networks_at_once=2), list[set[str]]()

    class Watched(Memory):
        def write(self, shards: Mapping[str, Tree], seconds: float) -> None:
            seen.append({name for name, tree in shards.items() if "course" in tree})
            super().write(shards, seconds)

    trained(progress=Progress(Interval(0.0), Watched()))
    assert {"0-1", "1-2"} in seen
    assert max(map(len, seen)) == 2


def test_the_seconds_are_those_of_all_sittings(bench: Any) -> None:
    trained, keeper = training(bench, "looped", "mlp", (6,)), Memory()
    keeper.seconds = 1000.0
    found, _ = in_pieces(trained, keeper, lambda: 4)
    assert 1000 < found.seconds < 1100
    assert trained(progress=Progress(Interval(1e9), Memory())).seconds < 100


class Counting(nn.Module):
    """It counts its steps where no checkpoint has them."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.first, self.kind, self.list, self.mean = nn.Linear(6, 3), kind, [0], torch.zeros(3)
        self.weights = [self.first.weight]  # trained, and saved as a parameter
        steps = [0]

        def hook(module: nn.Module, given: Any, outputs: torch.Tensor) -> None:
            steps[0] += kind == "hook"

        self.first.register_forward_hook(hook)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        outputs = self.first(x)
        if self.training and self.kind == "list":
            self.list[0] += 1
        if self.training and self.kind == "mean":
            self.mean = 0.9 * self.mean + outputs.detach().mean(0)
        return outputs - 0.1 * self.mean if self.training else outputs


@pytest.mark.parametrize(("kind", "name"), [("list", "list"), ("mean", "mean"), ("hook", "first._forward_hooks")])
def test_networks_with_state_elsewhere_have_no_checkpoint(bench: Any, kind: str, name: str) -> None:
    def trained(kind: str, **more: Any) -> Trained:
        def build() -> nn.Module:
            return Counting(kind)

        return bench.train(build, bench.stack(build), bench.recipe(), bench.examples(), "plain", **more)

    keeper = Memory()
    found = trained(kind, progress=Progress(Interval(0.0), keeper))
    assert keeper.writes == 0
    assert keeper.refused == [f"{name} of the model changes as it trains, and is neither a parameter nor a buffer"]
    assert_same(trained(kind), found)
    trained("nothing", progress=Progress(Interval(0.0), keeper := Memory()))
    assert keeper.writes > 2
    assert not keeper.refused


def test_a_shard_that_waits_is_in_the_checkpoint_as_it_was_found(bench: Any) -> None:
    """Of the shards of a checkpoint, one may not have begun again when the next one is written."""
    trained = training(bench, "looped", "mlp", (6,), networks_at_once=2)
    keeper = Memory()
    with pytest.raises(KilledError):
        in_pieces_once(trained, keeper, 20)  # in the second shard
    first = keeper.found()
    assert {"result", "course"} <= {key for tree in first.values() for key in tree}
    # The other way round: the shard that is in training now is the first one.
    with pytest.raises(KilledError):
        in_pieces_once(trained, keeper, 3, {"2-4": first["2-4"]})
    assert set(keeper.found()) == {"0-2", "2-4"}
    assert bits(keeper.found()["2-4"]["networks"]["parameters"]["1.weight"]) == bits(
        first["2-4"]["networks"]["parameters"]["1.weight"]
    )
    found, _ = in_pieces(trained, keeper, lambda: 9)
    assert_same(trained(), found)


def test_a_lane_does_not_wait_for_another(bench: Any) -> None:
    """Each shard hands over its state once, and goes on."""
    progress = Progress(Interval(0.0), keeper := Memory())
    one, other = slice(0, 1), slice(1, 2)
    assert progress.begin(one) is None
    assert progress.begin(other) is None
    progress.take(one, {}, {"step": 1})
    assert not progress.is_due(one)
    assert progress.is_due(other)
    assert keeper.writes == 0
    progress.take(other, {}, {"step": 5})
    assert keeper.writes == 1
    assert progress.is_due(one)
    assert {name: tree["course"]["step"] for name, tree in keeper.found().items()} == {"0-1": 1, "1-2": 5}
