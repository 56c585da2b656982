"""Subset sums, against all subsets of up to 12 numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickets.approximation import subset_sum
from tickets.approximation.subset_sum import Subsets, find_subsets
from tickets.errors import InputError

# Sums of such numbers are exact, so that ties are ties.
WHOLE = st.lists(st.integers(-40, 40).map(float), min_size=1, max_size=12)


@pytest.fixture(params=["compiled", "plain"])
def way(request, monkeypatch):
    monkeypatch.setattr(subset_sum, "jit_is_off", lambda: request.param == "plain")
    return request.param


def every_sum(numbers):
    """(sum, count) of every subset: an oracle that lists all 2**n of them."""
    chosen = np.arange(2 ** len(numbers))[:, None] >> np.arange(len(numbers)) & 1
    return chosen @ np.asarray(numbers), chosen.sum(1)


def check(numbers, targets, found: Subsets, tolerance=None):
    sums, counts = every_sum(numbers)
    for target, bits, total, count in zip(targets, found.bits, found.sums, found.counts, strict=True):
        chosen = [number for k, number in enumerate(numbers) if int(bits) >> k & 1]
        assert len(chosen) == count
        assert sum(chosen) == total
        if target == 0:
            assert bits == 0
            continue
        errors = np.abs(sums - target)
        within = errors <= tolerance if tolerance is not None else np.zeros(len(sums), bool)
        if within.any():
            assert abs(total - target) <= tolerance
            assert count == counts[within].min()
        else:
            assert abs(total - target) == errors.min()
            assert count == counts[errors == errors.min()].min()


@given(numbers=WHOLE, targets=st.lists(st.integers(-300, 300).map(lambda x: x / 2), min_size=1, max_size=4))
def test_the_nearest_sum_is_that_of_all_subsets_with_the_fewest_numbers(numbers, targets):
    for off in (True, False):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(subset_sum, "jit_is_off", lambda off=off: off)
            found = find_subsets(np.array([numbers]), np.array([targets]))
        check(numbers, targets, Subsets(found.bits[0], found.sums[0]))


@given(numbers=WHOLE, target=st.integers(-300, 300).map(lambda x: x / 2), tolerance=st.integers(0, 12).map(float))
def test_the_fewest_numbers_within_a_tolerance_are_those_of_all_subsets(numbers, target, tolerance):
    for off in (True, False):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(subset_sum, "jit_is_off", lambda off=off: off)
            found = find_subsets(np.array([numbers]), np.array([[target]]), tolerance)
        check(numbers, [target], Subsets(found.bits[0], found.sums[0]), tolerance)


@pytest.mark.parametrize("n", [1, 2, 11, 12])
def test_random_numbers_as_all_subsets(way, n):
    random = np.random.default_rng(n)
    numbers, targets = random.uniform(-1, 1, (20, n)), random.uniform(-1.5, 1.5, (20, 3))
    found = find_subsets(numbers, targets)
    for row in range(20):
        sums, _ = every_sum(numbers[row])
        nearest = np.abs(sums - targets[row][:, None]).min(1)
        np.testing.assert_allclose(np.abs(found.sums[row] - targets[row]), nearest, rtol=0, atol=1e-14)


@pytest.mark.parametrize("tolerance", [0.001, 0.02, 0.3])
def test_the_fewest_of_random_numbers_as_all_subsets(way, tolerance):
    random = np.random.default_rng(7)
    numbers, targets = random.uniform(-1, 1, (12, 12)), random.uniform(-1.5, 1.5, (12, 3))
    found = find_subsets(numbers, targets, tolerance)
    for row in range(12):
        sums, counts = every_sum(numbers[row])
        for target, total, count in zip(targets[row], found.sums[row], found.counts[row], strict=True):
            within = np.abs(sums - target) <= tolerance
            if within.any():
                assert count == counts[within].min()
                assert abs(total - target) <= tolerance


def test_both_ways_find_the_same():
    random = np.random.default_rng(0)
    numbers, targets = random.integers(-5000, 5000, (4, 21)) / 4096, random.integers(-5000, 5000, (4, 5)) / 4096
    for tolerance in (None, 1 / 4096):
        compiled = find_subsets(numbers, targets, tolerance)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(subset_sum, "jit_is_off", lambda: True)
            plain = find_subsets(numbers, targets, tolerance)
        if tolerance is None:
            np.testing.assert_array_equal(np.abs(compiled.sums - targets), np.abs(plain.sums - targets))
        np.testing.assert_array_equal(compiled.counts, plain.counts)


def test_24_numbers_are_exact(way):
    """Each number is twice the one before, so that every sum is there once and the subset is the target's bits."""
    numbers = 2.0 ** np.arange(24)[None]
    targets = np.array([[1.0, 2**24 - 1.0, 5_592_405.0, 11_184_810.25]])
    found = find_subsets(numbers, targets)
    np.testing.assert_array_equal(found.bits, [[1, 2**24 - 1, 5_592_405, 11_184_810]])


@pytest.mark.parametrize("fewest", [None, 0.01])
def test_more_than_24_numbers_come_no_less_near_than_24_of_them(way, fewest):
    random = np.random.default_rng(3)
    numbers, targets = random.uniform(-1, 1, (4, 40)), np.array([[0.3, -9.0], [0.001, 4.0], [-0.2, 30.0], [12.0, -0.5]])
    found = find_subsets(numbers, targets, fewest)
    by_size = [sorted(row, key=abs) for row in numbers]
    some = [[*[x for x in row if x > 0][:12], *[x for x in row if x < 0][:12]] for row in by_size]
    alone = find_subsets(np.array(some), targets, fewest)
    # 30 and -9 are out of reach of these 24; the others are needed.
    assert np.abs(alone.sums - targets).max() > 10
    reachable = np.where(numbers > 0, numbers, 0).sum(1)[:, None] > targets
    errors = np.abs(found.sums - targets)
    assert (errors <= np.maximum(np.abs(alone.sums - targets), fewest or 0)).all()
    assert (errors[reachable & (targets > -5)] < (fewest or 1e-4)).all()


def test_of_more_than_24_numbers_both_signs_are_searched(way):
    """The 24 smallest are positive, and make no sum near to a small negative target."""
    numbers = np.array([[*np.linspace(0.101, 0.2, 24), *np.linspace(-0.9, -0.3, 12)]])
    found = find_subsets(numbers, np.array([[-0.05]]))
    assert abs(found.sums[0, 0] + 0.05) < 1e-4


def test_constants_make_multiples_of_one_number_only(way):
    targets = np.linspace(-2, 9, 45)[None]
    found = find_subsets(np.full((1, 16), 0.5), targets)
    np.testing.assert_array_equal(found.sums % 0.5, 0)
    nearest = np.clip(targets / 0.5, 0, 16)
    assert (np.abs(found.sums - targets) == np.abs(0.5 * np.floor(nearest + 0.5) - targets)).all()


def test_signed_constants_do_not_cancel_each_other_in_a_subset(way):
    found = find_subsets(np.array([[0.5, -0.5] * 8]), np.array([[0.5, 1.0, -2.0, 0.6]]))
    np.testing.assert_array_equal(found.counts, [[1, 2, 4, 1]])


@pytest.mark.parametrize("n", [0, 63])
def test_too_many_or_too_few_numbers_are_refused(n):
    with pytest.raises(InputError, match=f"candidates = {n}: must be a whole number from 1 to 62"):
        find_subsets(np.zeros((1, n)), np.zeros((1, 1)))
