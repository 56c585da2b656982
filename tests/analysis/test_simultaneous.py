"""The critical value of many comparisons, against scipy, closed forms and a simulation of its own."""

import numpy as np
import pytest
from scipy import stats
from tickets.analysis import max_t, paired_band, simultaneous


def test_one_comparison_is_students():
    differences = [0.01, 0.02, 0.03, 0.05, 0.01]
    found = max_t([differences])
    assert found.critical == pytest.approx(stats.t.ppf(0.975, 4))
    assert found.p_adjusted[0] == pytest.approx(stats.ttest_1samp(differences, 0).pvalue)


def test_copies_of_one_comparison_are_hardly_more_than_one():
    row = np.random.default_rng(0).normal(size=20)
    copies = max_t(np.tile(row, (8, 1)))
    assert copies.critical == pytest.approx(stats.t.ppf(0.975, 19), rel=0.03)


def test_independent_comparisons_are_sidaks():
    rows = np.random.default_rng(1).normal(size=(16, 60))
    sidak = stats.t.ppf(0.975 ** (1 / 16), 59)
    assert max_t(rows).critical == pytest.approx(sidak, rel=0.03)


def test_two_correlated_comparisons_agree_with_scipys_dunnett():
    # Two groups against one control share it, so their statistics correlate by 1/2: Dunnett's test.
    rng = np.random.default_rng(3)
    n = 2_000
    control, one, two = rng.normal(size=(3, n))
    ours = max_t([one - control, two - control])
    theirs = stats.dunnett(one, two, control=control)
    np.testing.assert_allclose(ours.p_adjusted, theirs.pvalue, atol=0.03)


def test_interval_and_p_never_disagree():
    rng = np.random.default_rng(2)
    for _ in range(20):
        rows = rng.normal(rng.uniform(0, 1.5, size=(12, 1)), 1, size=(12, 8))
        found = max_t(rows)
        low, high = paired_band(rows, found.critical)
        np.testing.assert_array_equal((low > 0) | (high < 0), found.p_adjusted <= 0.05)
        alone = stats.ttest_1samp(rows, 0, axis=1).pvalue
        assert (found.p_adjusted >= alone - 0.002).all()


@pytest.mark.parametrize("correlation", [0.0, 0.9])
@pytest.mark.parametrize("n", [5, 12])
def test_any_false_finding_among_many_is_rare(n, correlation, monkeypatch):
    monkeypatch.setattr(simultaneous, "DRAWS", 2_000)
    rng = np.random.default_rng(n)
    wrong = 0
    for _ in range(200):
        noise = rng.normal(size=(17, n))
        rows = np.sqrt(correlation) * noise[:1] + np.sqrt(1 - correlation) * noise[1:]
        low, _ = paired_band(rows, max_t(rows).critical)
        wrong += bool((low > 0).any())
    simultaneous._largest.cache_clear()
    # At 2.5 in 100, 13 of 200 or more come up once in 2,000 times; each by its own t-interval would give 66 of 200.
    assert wrong < 13


def test_gaps_and_rows_without_spread_take_no_part():
    rows = np.array([[1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0], [0.1, -0.2, np.nan, 0.3], [0.5, *[np.nan] * 3]])
    found = max_t(rows)
    assert found.critical == pytest.approx(stats.t.ppf(0.975, 2))
    assert np.isnan(found.p_adjusted[0])
    assert found.p_adjusted[1] == 1.0
    assert found.p_adjusted[2] == pytest.approx(stats.ttest_1samp([0.1, -0.2, 0.3], 0).pvalue)
    assert np.isnan(found.p_adjusted[3])
    nothing = max_t([[0.5, np.nan], [np.nan, np.nan]])
    assert np.isnan(nothing.critical)
    assert np.isnan(nothing.p_adjusted).all()


def test_the_same_data_give_the_same_numbers_whatever_their_unit():
    rows = np.random.default_rng(5).normal(size=(6, 7))
    first, again = max_t(rows), max_t(rows)
    assert first.critical == again.critical
    assert max_t(1e-6 * rows).critical == pytest.approx(first.critical, rel=1e-6)


def test_pairs_that_agree_by_chance_show_nothing():
    rng = np.random.default_rng(0)
    wrong = 0
    for _ in range(300):
        # Two replicates, 500 test examples: the two differences are equal in 3 of 100 comparisons.
        rows = np.round(rng.normal(0, 0.012, size=(16, 2)) * 500) / 500
        low, high = paired_band(rows, max_t(rows).critical)
        wrong += bool(((low > 0) | (high < 0)).any())
    simultaneous._largest.cache_clear()
    assert wrong < 30  # 5 in 100 are 15; with intervals of no width it would be half of them
