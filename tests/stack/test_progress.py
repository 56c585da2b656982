"""A training that is interrupted at any step and goes on from its last checkpoint gives the same bits."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from made_workloads import execution
from torch import nn

from tickets.data.augmentation import flip_and_crop
from tickets.stack import captured
from tickets.stack.captured import Captured
from tickets.stack.feed import NetworkSeeds
from tickets.stack.networks import Stack, stack_networks
from tickets.stack.progress import Interval, Progress
from tickets.stack.training import Trained, train
from tickets.stack.trees import Tree, decode, encode

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


class Sometimes(nn.Module):
    """Its second layer is used at some steps, of some networks, and its third never."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = nn.Linear(6, 9), nn.Linear(9, 9), nn.Linear(9, 9)
        self.last = nn.Linear(9, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = torch.tanh(self.first(x))
        if self.training and float(torch.rand(())) < 0.4:
            hidden = hidden + torch.tanh(self.second(hidden))
        return self.last(hidden)


class Memory:
    """A keeper that has the last checkpoint as JSON and bytes."""

    def __init__(self) -> None:
        self.text, self.buffers, self.seconds, self.writes = "{}", list[bytes](), 0.0, 0
        self.refused, self.rejected = list[str](), list[str]()

    def write(self, shards: Mapping[str, Tree], seconds: float) -> None:
        buffers: list[memoryview] = []
        self.text = json.dumps(encode(shards, buffers))
        self.buffers, self.seconds, self.writes = [bytes(buffer) for buffer in buffers], seconds, self.writes + 1

    def refuse(self, why: str) -> None:
        self.refused.append(why)

    def reject(self, why: str) -> None:
        self.rejected.append(why)

    def found(self) -> dict[str, Tree]:
        return decode(json.loads(self.text), [memoryview(bytearray(buffer)) for buffer in self.buffers])


class KilledError(Exception):
    pass


def in_pieces(trained: Callable[..., Trained], keeper: Memory, pieces: Callable[[], int]) -> tuple[Trained, int]:
    """Train, and be killed after so many calls of `tick`, again and again. Returns the result and the times it was."""
    for killed in itertools.count():
        left = [pieces()]

        def tick(networks: int, left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] < 0:
                raise KilledError

        progress = Progress(Interval(0.0), keeper, None, keeper.found(), keeper.seconds)
        try:
            return trained(progress=progress, tick=tick), killed
        except KilledError:
            continue
    raise AssertionError


def tensors(stack: Stack | None) -> dict[str, torch.Tensor]:
    if stack is None:
        return {}
    states = {f"{state} {name}": value for state, all_ in stack.optimizer.items() for name, value in all_.items()}
    masks = {f"mask {name}": value for name, value in stack.masks.items()}
    held = {f"held {name}": value for name, value in stack.pruned_values.items()}
    return {**stack.parameters, **stack.buffers, **states, **masks, **held}


def bits(tensor: torch.Tensor) -> bytes:
    return tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes()


def assert_same(one: Trained, other: Trained) -> None:
    for mine, its in ((one.stack, other.stack), (one.kept, other.kept)):
        assert list(tensors(mine)) == list(tensors(its))
        assert (mine and mine.step) == (its and its.step)
        for name, tensor in tensors(mine).items():
            assert bits(tensor) == bits(tensors(its)[name]), name
    for name, value in vars(one.curves).items():
        its = getattr(other.curves, name)
        assert (value is None) == (its is None), name
        assert value is None or bits(value) == bits(its), name


def training(bench: Any, strategy: str, model: str, shape: tuple[int, ...], **changes: Any) -> Callable[..., Trained]:
    """A training of four networks: train(**options) of it."""
    build = Sometimes if model == "sometimes" else getattr(bench, model)
    options = {name: changes.pop(name) for name in ("lanes", "networks_at_once", "keep_step") if name in changes}
    augmented, reordered, held = (changes.pop(name, False) for name in ("augmented", "reordered", "held"))
    examples = bench.examples(shape, **({"augment": flip_and_crop} if augmented else {}))
    start, seeds = bench.stack(build, 4), bench.seeds(4)
    if held:
        values, masks = bench.networks(build, 4)
        names = [name for name, _ in build().named_parameters()]
        start = stack_networks(values, masks, names, pruned_values=values)
    if reordered:
        seeds[1:] = [NetworkSeeds(90 + n, n, before=seeds[0], step=6) for n in range(1, 4)]
    recipe = bench.recipe(**changes)

    def trained(**more: Any) -> Trained:
        return bench.train(build, start, recipe, examples, strategy, seeds=seeds, **options, **more)

    return trained


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
    bench: Any, strategy: str, model: str, shape: tuple[int, ...], changes: dict[str, Any]
) -> None:
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


def changed(tree: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A tree with another value at a path."""
    if not path:
        return value
    copy = list(tree) if isinstance(tree, list) else dict(tree)
    copy[path[0]] = changed(copy[path[0]], path[1:], value)
    return copy


FORGED: dict[str, tuple[tuple[Any, ...], Any]] = {
    "no networks": (("networks",), None),
    "a weight of another shape": (("networks", "parameters", "1.weight"), torch.zeros(3, 7, 6)),
    "a weight of another type": (("networks", "parameters", "1.weight"), torch.zeros(4, 7, 6, dtype=torch.float64)),
    "a number as a weight": (("networks", "parameters", "1.weight"), 1.0),
    "no buffers": (("networks", "buffers"), []),
    "an unknown buffer": (("networks", "buffers"), {"mean": torch.zeros(4)}),
    "no optimizer": (("networks", "optimizer"), None),
    "an optimizer of each, too few": (("networks", "optimizer"), [{}]),
    "a moment of another shape": (("networks", "optimizer", "1.weight", "exp_avg"), torch.zeros(4, 7)),
    "a count that is a vector": (("networks", "optimizer", "1.weight", "step"), torch.zeros(4)),
    "an unknown state": (("networks", "optimizer", "1.weight"), {"momentum_buffer": torch.zeros(4, 7, 6)}),
    "a step in the future": (("course", "step"), 16),
    "a negative step": (("course", "step"), -1),
    "a text as a step": (("course", "step"), "3"),
    "a row too many": (("course", "rows"), [torch.zeros(4, 6, dtype=torch.float64)] * 9),
    "rows of other networks": (("course", "rows"), [torch.zeros(3, 6, dtype=torch.float64)]),
    "no rows": (("course", "rows"), None),
    "kept too early": (("course", "kept"), {"parameters": {}, "buffers": {}, "masks": None, "optimizer": {}}),
    "places out of range": (("course", "early", "places"), torch.full((4,), 7)),
    "no early stopping": (("course", "early"), {}),
    "no course": (("course",), {"step": 3}),
    "not a shard": ((), [1]),
}


@pytest.mark.parametrize("kind", FORGED)
def test_a_forged_state_is_not_used(bench: Any, kind: str) -> None:
    trained = training(bench, "looped", "mlp", (6,), optimizer="adam", evaluate_on=4, keep_step=9)
    wanted, keeper = trained(), Memory()
    with pytest.raises(KilledError):
        in_pieces_once(trained, keeper, 4)
    (shard,) = keeper.found().values()
    assert shard["course"]["step"] in (3, 4)
    found = trained(progress=Progress(Interval(1e9), keeper, None, {"0-4": changed(shard, *FORGED[kind])}))
    assert len(keeper.rejected) == 1
    assert keeper.rejected[0].startswith("networks 0 to 3: ")
    assert_same(wanted, found)


def in_pieces_once(
    trained: Callable[..., Trained], keeper: Memory, steps: int, found: Mapping[str, Tree] | None = None
) -> None:
    left = [steps]

    def tick(networks: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise KilledError

    trained(progress=Progress(Interval(0.0), keeper, None, found), tick=tick)


@pytest.mark.parametrize(
    ("path", "value"),
    [(("networks",), [{}]), (("networks", 0, "values", "1.weight"), torch.zeros(2)), (("networks", 0, "optimizer"), 1)],
)
def test_a_forged_state_of_a_plain_loop_is_not_used(bench: Any, path: Any, value: Any) -> None:
    assert_not_used(training(bench, "plain", "mlp", (6,), optimizer="adam"), path, value)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("networks", "networks"), [{}]),
        (("networks", "networks", 0, "weights"), torch.zeros(2)),
        (("networks", "networks", 3, "taken"), 10**6),
        (("networks", "has_state"), 1),
    ],
)
def test_a_forged_state_of_the_kernels_is_not_used(bench: Any, path: Any, value: Any) -> None:
    assert_not_used(training(bench, "sparse", "mlp", (6,), optimizer="adam"), path, value)


def assert_not_used(trained: Callable[..., Trained], path: Any, value: Any) -> None:
    wanted, keeper = trained(), Memory()
    states: list[dict[str, Tree]] = []
    keeper.write = lambda shards, seconds: states.append(dict(shards))  # type: ignore[method-assign]
    trained(progress=Progress(Interval(0.0), keeper))
    (shard,) = states[0].values()
    found = trained(progress=Progress(Interval(1e9), keeper, None, {"0-4": changed(shard, path, value)}))
    assert len(keeper.rejected) == 1
    assert_same(wanted, found)
    found = trained(progress=Progress(Interval(1e9), keeper, None, states[0]))
    assert len(keeper.rejected) == 1
    assert_same(wanted, found)


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
