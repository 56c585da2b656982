"""Simulated probabilities, against exact ones; the fitted constant, against one that is known."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from tickets.approximation.construction import Settings, errors_of, find_rows, groups_of
from tickets.approximation.existence import (
    fitted,
    reach,
    reach_table,
    reaches,
    share_interval,
    simulated_errors,
)
from tickets.approximation.target import Layer


def layer(weight, signed=False):
    array = np.asarray(weight, np.float32)
    return Layer("1", array, None, np.ones(array.shape, bool), rectified=False, signed=signed)


@pytest.mark.parametrize(
    ("numbers", "answer"),
    [
        ([], 1.0),
        ([1.0], 1.0),  # -1 is 1 away from the empty sum
        ([1.0, -1.0], 0.5),
        ([0.5, -0.5, 1.0, -1.0], 0.25),
        ([0.5] * 16, 1.0),  # no negative sum
        ([0.5, -0.5] * 8, 0.25),  # multiples of one half, however many
        ([4.0, -4.0], 1.0),
    ],
)
def test_reach_by_hand(numbers, answer):
    assert reach(np.array(numbers)) == answer


@given(st.lists(st.floats(-1.5, 1.5), min_size=1, max_size=7))
def test_reach_is_the_largest_distance_on_a_grid(numbers):
    sums = np.array([sum(n for k, n in enumerate(numbers) if bits >> k & 1) for bits in range(2 ** len(numbers))])
    grid = np.linspace(-1, 1, 2001)
    largest = np.abs(grid[:, None] - sums).min(1).max()
    assert largest - 1e-9 <= reach(np.array(numbers)) <= largest + 0.0005 + 1e-9


@pytest.mark.parametrize(("hits", "of"), [(0, 20), (20, 20), (7, 20), (499, 1000)])
def test_the_interval_is_the_exact_one(hits, of):
    exact = binomtest(hits, of).proportion_ci(0.95, "exact")
    assert share_interval(hits, of) == pytest.approx((exact.low, exact.high), abs=1e-9)


def test_one_candidate_reaches_a_weight_with_the_probability_of_its_interval():
    """A weight of 1, the layer's largest: a uniform number on [-1, 1] is within t of it with probability t / 2."""
    errors = simulated_errors([layer([[1.0]])], Settings(1, 0.1), 20_000)
    for tolerance in (0.5, 0.1):
        low, high = share_interval(int((errors <= tolerance).sum()), len(errors), level=0.9999)
        assert low <= tolerance / 2 <= high
    assert (simulated_errors([layer([[1.0]])], Settings(1, 0.1, "constant"), 10) == 0.5).all()


def test_the_simulation_and_the_construction_have_the_same_share_of_weights_within_a_tolerance():
    random = np.random.default_rng(0)
    one = layer(random.normal(size=(40, 40)), signed=True)
    for values, candidates in (("uniform", 7), ("normal", 8), ("constant", 6)):
        settings = Settings(candidates, 0.1, values)
        found = find_rows(one, 0, range(40), settings)
        measured = errors_of(one, groups_of(one, settings), found) <= 0.1
        simulated = simulated_errors([one], settings, 3000) <= 0.1
        low, high = share_interval(int(simulated.sum()), 3000, level=0.9999)
        assert low - 0.02 <= measured.mean() <= high + 0.02
        assert 0 < measured.mean() < 1


def test_constants_never_reach_every_weight_and_uniform_numbers_do():
    table = reach_table(["uniform", "constant", "signed_constant"], [3, 14, 18], [0.1], draws=20)
    assert list(table["candidates"].unique()) == [3, 14]
    shares = table.set_index(["values", "candidates"])["every"]
    assert shares["uniform", 14] > 0.7 > 0.3 > shares["uniform", 3]
    assert (shares[["constant", "signed_constant"]] == 0).all()
    assert (table["low"] <= table["every"]).all()
    assert (table["every"] <= table["high"]).all()
    assert (reaches("constant", 10, 3) == 1.0).all()


def test_no_draw_beats_the_count_of_sums():
    for candidates in (3, 6, 9):
        assert reaches("uniform", candidates, 50).min() >= 2.0**-candidates


def test_the_fitted_bound_is_the_one_that_the_table_was_made_with():
    rows = [
        ("uniform", count, tolerance, 0.9 if count >= 3 + 1.5 * math.log2(1 / tolerance) else 0.4)
        for count in range(1, 30)
        for tolerance in (2.0**-2, 2.0**-4, 2.0**-8)
    ]
    table = pd.DataFrame(rows, columns=["values", "candidates", "tolerance", "every"])
    fit = fitted(table)
    assert (fit.offset, fit.constant) == (pytest.approx(3), pytest.approx(1.5))
    assert fit.needed(2.0**-6) == pytest.approx(12)
    assert fitted(table, "normal") is None
    assert fitted(table[table["candidates"] < 7]) is None
