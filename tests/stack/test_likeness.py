"""Whether two trainings differ by more than rounding."""

from __future__ import annotations

import math

import pytest
import torch

from tickets.stack.likeness import (
    PERTURBED,
    ROUNDOFF,
    SPREADS,
    STORED,
    Course,
    largest_difference,
    perturbed,
    widest_gap,
)
from tickets.stack.networks import Stack


def stack(weight: float, step: int = 0, frozen: float = 1.0, moment: float | None = None) -> Stack:
    state = {} if moment is None else {"exp_avg": {"w": torch.full((1, 2), moment)}}
    return Stack({"w": torch.full((1, 2), weight)}, {"b": torch.full((1,), frozen)}, {}, state, step)


def course(weight: float, start: float = 1.0, logits: float = 1.0, **end: float) -> Course:
    return Course([stack(start), stack(weight, 3, **end)], (torch.full((1, 2, 2), 1.0), torch.full((1, 2, 2), logits)))


def test_what_rounding_may_do_is_what_a_change_of_the_last_bits_does() -> None:
    wanted = course(2.0)
    others = [course(2.001), course(2.002)]
    near, far = (widest_gap(course(2.0 + SPREADS * by), wanted, others) for by in (0.0019, 0.0021))
    assert (near.beyond, far.beyond) == (False, True)
    assert far.what == "w after step 3 (network 0)"
    assert far.difference == pytest.approx(SPREADS * 0.0021 / 2, rel=1e-4)
    assert far.allowed == pytest.approx(SPREADS * 0.002 / 2, rel=1e-4)


def test_how_a_weight_has_moved_counts_and_not_where_it_began() -> None:
    assert not widest_gap(course(2.0), course(2.0), [course(2.5, start=1.5)]).beyond
    assert widest_gap(course(2.1), course(2.0), [course(2.5, start=1.5)]).beyond


def test_what_is_kept_in_float32_is_rounded_once_anyway() -> None:
    assert not widest_gap(course(2.0 * (1 + STORED / 2)), course(2.0), []).beyond
    assert widest_gap(course(2.0 * (1 + 2 * STORED)), course(2.0), []).beyond


@pytest.mark.parametrize(
    "found",
    [course(2.0, frozen=1.0000001), course(2.0, logits=1.1), course(2.0, moment=0.1), course(math.nan)],
    ids=["a frozen value", "outputs", "a moment", "not a number"],
)
def test_everything_is_compared(found: Course) -> None:
    others = [course(2.001), course(2.002)]
    assert not widest_gap(course(2.0), course(2.0), others).beyond
    assert widest_gap(found, course(2.0), others).beyond


def test_what_no_loss_reaches_may_not_move_at_all() -> None:
    wanted = course(1.0)
    moved = course(1.0 + 2**-23)
    assert not widest_gap(moved, wanted, []).beyond
    assert widest_gap(moved, Course(wanted.stacks, wanted.logits, [{"w"}]), []).beyond


def test_numbers_that_are_not_finite_say_nothing() -> None:
    assert not widest_gap(course(3.0), course(math.inf), []).beyond


def test_the_largest_difference_is_of_parameters_and_buffers_at_the_end() -> None:
    assert largest_difference(course(2.5, frozen=1.75), course(2.0)) == 0.75


@pytest.mark.parametrize("precision", ROUNDOFF)
def test_a_perturbation_is_some_units_of_rounding_and_leaves_zeros(precision: str) -> None:
    values = torch.tensor([[0.0, 1.0, -2.0] * 500])
    start = Stack({"w": values}, {"b": torch.ones(1, 2)}, {}, {}, 0)
    changed = perturbed(start, precision, 0).parameters["w"]
    relative = ((changed - values) / values)[:, 1:].nan_to_num().abs()
    assert torch.equal(changed[values == 0], values[values == 0])
    assert PERTURBED * ROUNDOFF[precision] / 2 < float(relative.max()) <= PERTURBED * ROUNDOFF[precision] * 1.01
    assert torch.equal(perturbed(start, precision, 0).buffers["b"], start.buffers["b"])
    assert not torch.equal(perturbed(start, precision, 1).parameters["w"], changed)
