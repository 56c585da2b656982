"""A state in a checkpoint that is not one of the networks that are to go on from it is not used."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from played_training import KilledError, Memory, assert_same, in_pieces_once, training

from tickets.stack.progress import Interval, Progress
from tickets.stack.training import Trained
from tickets.stack.trees import Tree


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
