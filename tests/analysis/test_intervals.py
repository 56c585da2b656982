"""Against scipy, by hand, and by simulation."""

import itertools

import numpy as np
import pytest
from scipy import stats
from tickets.analysis import detectable, paired_band, paired_interval, sign_flip_p, smallest_p


@pytest.mark.parametrize("n", [2, 3, 5, 10, 40])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_the_interval_is_that_of_scipys_paired_t_test(n, confidence):
    first, second = np.random.default_rng(n).normal(size=(2, n))
    wanted = stats.ttest_rel(first, second).confidence_interval(confidence)
    mean, low, high = paired_interval(first - second, confidence)
    assert mean == pytest.approx((first - second).mean(), abs=1e-12)
    assert (low, high) == (pytest.approx(wanted.low, rel=1e-9), pytest.approx(wanted.high, rel=1e-9))


def test_an_interval_by_hand():
    # m = 2, s = 1, n = 3, and t(0.975; 2) = 4.302653 in any table: 2 -+ 4.302653 / sqrt(3)
    mean, low, high = paired_interval([1.0, 2.0, 3.0])
    assert (mean, low, high) == (2.0, pytest.approx(-0.484138, abs=1e-6), pytest.approx(4.484138, abs=1e-6))


def test_missing_pairs_are_left_out_row_by_row_and_few_pairs_give_no_interval():
    nan = np.nan
    mean, low, high = paired_interval([[1, 2, 3, nan], [nan, 4, nan, nan], [nan] * 4, [5, 5, nan, 5]])
    np.testing.assert_array_equal(mean, [2, 4, nan, 5])
    np.testing.assert_array_equal(np.isnan(low), [False, True, True, False])
    assert low[0] == paired_interval([1.0, 2.0, 3.0])[1]
    assert (low[3], high[3]) == (5, 5)


@pytest.mark.parametrize("n", [3, 5, 10])
def test_the_interval_holds_the_true_difference_95_times_in_100(n):
    differences = np.random.default_rng(n).normal(0.02, 0.013, size=(100_000, n))
    _, low, high = paired_interval(differences)
    assert np.mean((low <= 0.02) & (high >= 0.02)) == pytest.approx(0.95, abs=0.0035)


@pytest.mark.parametrize("n", [3, 5, 10])
def test_it_does_so_for_accuracies_counted_on_few_examples_too(n):
    # Two networks' accuracies on 1,000 examples: multiples of 0.001, neither normal nor continuous.
    accuracies = np.random.default_rng(n).binomial(1000, [0.60, 0.57], size=(100_000, n, 2)) / 1000
    _, low, high = paired_interval(accuracies[..., 0] - accuracies[..., 1])
    assert np.mean((low <= 0.03) & (high >= 0.03)) == pytest.approx(0.95, abs=0.01)


@pytest.mark.parametrize("n", [6, 7, 10, 11])
@pytest.mark.parametrize("ties", [False, True])
def test_the_sign_flip_p_is_scipys_exact_permutation_test(n, ties):
    rng = np.random.default_rng(n)
    differences = rng.integers(-3, 5, size=n) / 1000 if ties else rng.normal(0.5, 1.0, size=n)
    wanted = stats.permutation_test(
        (differences, np.zeros(n)), lambda a, b: np.sum(a - b), permutation_type="samples", n_resamples=np.inf
    )
    assert sign_flip_p(differences) == pytest.approx(wanted.pvalue, abs=1e-12)


def test_the_sign_flip_p_by_counting_every_assignment():
    differences = np.array([3, -1, 4, 1, 5, 9, 2])
    sums = [abs(np.dot(signs, differences)) for signs in itertools.product([1, -1], repeat=7)]
    assert sign_flip_p(differences) == np.mean([total >= 23 for total in sums])
    assert sign_flip_p(differences / 1000) == sign_flip_p(differences)  # rounding parts no ties


def test_six_pairs_of_one_sign_have_the_smallest_p_and_five_have_none():
    p = sign_flip_p([[1, 2, 3, 4, 5, 6], [-1, -1, -1, -1, -1, -1], [1, 2, 3, 4, 5, np.nan], [0, 0, 0, 0, 0, 0]])
    np.testing.assert_array_equal(p, [2 / 64, 2 / 64, np.nan, 1.0])
    np.testing.assert_array_equal(smallest_p([0, 1, 2, 5, 6]), [1, 1, 0.5, 0.0625, 0.03125])


def test_many_pairs_have_the_p_of_the_t_test_which_is_close_to_the_exact_one():
    rng = np.random.default_rng(0)
    many = rng.normal(0.3, 1.0, size=50)
    assert sign_flip_p(many) == pytest.approx(stats.ttest_1samp(many, 0).pvalue, rel=1e-9)
    assert sign_flip_p(many[:30]) == pytest.approx(stats.ttest_1samp(many[:30], 0).pvalue, abs=0.01)
    np.testing.assert_array_equal(sign_flip_p([[0.0] * 40, [1.0] * 40]), [1.0, 0.0])


def test_where_there_is_nothing_to_find_p_is_below_5_percent_at_most_that_often():
    p = sign_flip_p(np.random.default_rng(0).standard_t(3, size=(4000, 8)))
    assert np.mean(p <= 0.05) == pytest.approx(12 / 256, abs=0.01)  # the largest multiple of 2/256 below 0.05


def test_a_band_is_as_wide_as_its_critical_value_says():
    differences = [[0.01, 0.02, 0.03], [0.5, 0.5, 0.5], [0.1, np.nan, np.nan]]
    low, high = paired_band(differences, 3.0)
    half = 3 * 0.01 / np.sqrt(3)
    np.testing.assert_allclose(low, [0.02 - half, np.nan, np.nan])  # equal by chance, or one pair
    np.testing.assert_allclose(high, [0.02 + half, np.nan, np.nan])
    np.testing.assert_allclose(paired_band([[0.0, 0.0]], np.nan), [[0.0], [0.0]])  # nothing has any spread


@pytest.mark.parametrize("n", [2, 3, 5, 10, 30])
def test_a_detectable_difference_is_found_four_times_in_five(n):
    differences = np.random.default_rng(n).normal(size=n)
    spread = differences.std(ddof=1)
    smallest = float(detectable(differences))
    again = np.random.default_rng(1).normal(smallest, spread, size=(100_000, n))
    _, low, high = paired_interval(again)
    assert np.mean((low > 0) | (high < 0)) == pytest.approx(0.8, abs=0.005)


def test_a_detectable_difference_agrees_with_the_noncentral_t_and_needs_two_pairs():
    # n = 5, s = 1: the noncentrality at which t(4) passes 2.776445 in 80 of 100 cases is 3.761060.
    differences = np.array([-1.0, -1.0, 0.0, 1.0, 1.0])
    assert detectable(differences) == pytest.approx(3.761060 / np.sqrt(5), rel=1e-5)
    assert stats.nct.sf(stats.t.ppf(0.975, 4), 4, 3.761060) == pytest.approx(0.8, abs=1e-6)
    assert np.isnan(detectable([1.0, np.nan]))
    np.testing.assert_array_equal(detectable([[2.0, 2.0], [np.nan, np.nan]]), [0.0, np.nan])
