"""Which networks of a round train together as one stack."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tickets.arms import Start
from tickets.chains import Chain
from tickets.config import TrainConfig
from tickets.entries import Entry
from tickets.groups import group
from tickets.measures import Label

WEIGHT = torch.tensor([1.0, 2.0, 3.0])
MASK = {"w": torch.tensor([True, False, True])}
THETA0 = {"w": WEIGHT + 10, "b": torch.tensor([0.5])}
VALUES = {"w": WEIGHT, "b": torch.tensor([0.25])}
RUN = TrainConfig(steps=20)
STATE = {
    "exp_avg": {"w": WEIGHT, "b": torch.zeros(1)}, "exp_avg_sq": {"w": WEIGHT, "b": torch.zeros(1)},
    "step": {"w": torch.tensor(7.0), "b": torch.tensor(7.0)},
}  # fmt: skip
PART = {state: {"b": tensors["b"]} for state, tensors in STATE.items()}


def entry(arm: str, start: Start, pruned: str = "zero", replicate: int = 0) -> Entry:
    chain = Chain(replicate, THETA0, VALUES, {}, MASK)
    return Entry(Label(replicate, 1, 0.5, arm, 0), arm, chain, MASK, start, pruned, own_order=False)


def grouped(**starts) -> list[list[str]]:
    """The arms of each group. starts: a Start, or a pair of it and the rule for pruned weights."""
    entries = [entry(arm, *(start if isinstance(start, tuple) else (start,))) for arm, start in starts.items()]
    return [[one.arm for one in found.entries] for found in group(entries, RUN)]


def test_networks_train_together_that_start_alike() -> None:
    assert grouped(
        ticket=Start(VALUES, STATE, 7),
        reinit=Start(VALUES, None, 7),
        full=Start(VALUES),
        again=Start(VALUES, STATE, 7),
        fresh=Start(VALUES, None, 7, RUN),  # the run's own recipe, written out
        slow=Start(VALUES, None, 7, TrainConfig(steps=20, learning_rate=1e-4)),
        frozen=(Start(VALUES, STATE, 7), "initial"),
        empty=Start(VALUES, {}, 7),
        part=Start(VALUES, PART, 7),
        late=Start(VALUES, STATE, 8),
    ) == [["ticket", "again"], ["reinit", "fresh"], ["full"], ["slow"], ["frozen"], ["empty"], ["part"], ["late"]]


def test_held_pruned_weights_train_together_whatever_they_are_held_at() -> None:
    start = Start(VALUES, None, 7)
    assert grouped(a=start, b=(start, "initial"), c=(start, "zero_if_shrunk"), d=start) == [["a", "d"], ["b", "c"]]
    entries = [entry("b", start, "initial"), entry("c", start, "zero_if_shrunk")]
    shrunk = replace(entries[1].chain, read_shrunk=lambda: {"w": torch.tensor([False, True, False])})
    (found,) = group([entries[0], replace(entries[1], chain=shrunk)], RUN)
    assert found.pruned == "initial"
    stack = found.stack(["w", "b"])
    assert stack.pruned_values["w"].tolist() == [[11.0, 12.0, 13.0], [11.0, 0.0, 13.0]]
    assert stack.parameters["w"].tolist() == [[1.0, 12.0, 3.0], [1.0, 0.0, 3.0]]


def test_at_step_0_an_empty_state_is_a_fresh_optimizer() -> None:
    assert grouped(ticket=Start(VALUES, {}, 0), reinit=Start(VALUES), state=Start(VALUES, STATE, 0)) == [
        ["ticket", "reinit"],
        ["state"],
    ]


def test_the_order_is_that_of_the_first_of_each() -> None:
    starts = [Start(VALUES, None, 7), Start(VALUES), Start(VALUES, None, 7)]
    entries = [entry("a", start, replicate=replicate) for replicate in (0, 1) for start in starts]
    first, second = group(entries, RUN)
    assert [one.label.replicate for one in first.entries] == [0, 0, 1, 1]
    assert (first.step, second.step, first.recipe) == (7, 0, RUN)


@pytest.mark.parametrize("pruned", ["zero", "initial"])
def test_its_stack_has_the_values_the_state_and_the_pruned_weights(pruned: str) -> None:
    (found,) = group([entry("a", Start(VALUES, STATE, 7), pruned)], RUN)
    stack = found.stack(["w", "b"])
    assert stack.parameters["w"].tolist() == [[1.0, 12.0 if pruned == "initial" else 0.0, 3.0]]
    assert stack.parameters["b"].tolist() == [[0.25]]
    assert stack.optimizer["exp_avg"]["w"].tolist() == [[1.0, 0.0, 3.0]]
    assert stack.step == 7
    assert stack.pruned_values.keys() == ({"w"} if pruned == "initial" else set())


def test_without_a_state_the_stack_has_none() -> None:
    assert group([entry("a", Start(VALUES, None, 7))], RUN)[0].stack(["w", "b"]).optimizer == {}
    assert group([entry("a", Start(VALUES, {}, 7))], RUN)[0].stack(["w", "b"]).optimizer == {}
