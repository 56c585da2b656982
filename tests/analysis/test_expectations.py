"""The answer to a claim by its interval, and how often that answer is wrong."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from tickets.analysis.expectations import all_of, any_of, judged


@pytest.mark.parametrize(
    ("expect", "low", "high", "margin", "answer"),
    [
        ("more", 0.1, 0.2, 0, "yes"), ("more", 0.0, 0.2, 0, "cannot tell"), ("more", -0.2, 0.0, 0, "no"),
        ("more", 0.1, 0.2, 0.1, "cannot tell"), ("more", -0.1, 0.1, 0.1, "no"),
        ("less", -0.2, -0.1, 0, "yes"), ("less", 0.0, 0.1, 0, "no"), ("less", -0.2, 0.1, 0, "cannot tell"),
        ("no less", -0.1, 0.3, 0.1, "yes"), ("no less", -0.2, -0.11, 0.1, "no"),
        ("no less", -0.2, -0.1, 0.1, "cannot tell"), ("no more", -0.1, 0.1, 0.1, "yes"),
        ("no more", 0.11, 0.2, 0.1, "no"), ("no more", 0.0, 0.2, 0.1, "cannot tell"),
        ("equal", -0.1, 0.1, 0.1, "yes"), ("equal", 0.11, 0.2, 0.1, "no"), ("equal", -0.3, -0.2, 0.1, "no"),
        ("equal", 0.05, 0.2, 0.1, "cannot tell"), ("equal", math.nan, math.nan, 0.1, "cannot tell"),
        ("more", math.nan, math.nan, 0, "cannot tell"),
    ],
)  # fmt: skip
def test_what_is_expected_is_judged_by_the_interval(expect, low, high, margin, answer):
    assert judged(expect, low, high, margin) == answer


TRUE_IF = {
    "more": lambda difference: difference > 1, "less": lambda difference: difference < -1,
    "no less": lambda difference: difference >= -1, "no more": lambda difference: difference <= 1,
    "equal": lambda difference: abs(difference) <= 1,
}  # fmt: skip


@pytest.mark.parametrize("deviation", [0.1, 0.5, 1.0, 3.0])
@pytest.mark.parametrize("difference", [-1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5])
def test_what_is_false_is_said_at_most_2_5_times_in_100(difference, deviation):
    """Five pairs each, normal differences with this mean and deviation; the margin is 1. Intervals are scipy's."""
    cases = 5_000
    drawn = np.random.default_rng(0).normal(difference, deviation, (cases, 5))
    half = stats.t.ppf(0.975, 4) * stats.sem(drawn, axis=1)
    mean = drawn.mean(axis=1)
    for expect, true_if in TRUE_IF.items():
        false = "no" if true_if(difference) else "yes"
        said = [judged(expect, *limits, 1.0) for limits in zip(mean - half, mean + half, strict=True)]
        assert said.count(false) / cases <= 0.025 + 4 * np.sqrt(0.025 * 0.975 / cases)


def test_all_and_any():
    assert [all_of(list(one)) for one in (["yes", "yes"], ["yes", "no"], ["yes", "cannot tell"], [])] == [
        "yes", "no", "cannot tell", "cannot tell",
    ]  # fmt: skip
    assert [any_of(list(one)) for one in (["no", "yes"], ["no", "no"], ["no", "cannot tell"], [])] == [
        "yes", "no", "cannot tell", "cannot tell",
    ]  # fmt: skip
