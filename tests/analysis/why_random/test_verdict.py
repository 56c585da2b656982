"""What is said of a claim, by where its interval lies; and how often that is false."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from tickets.analysis.why_random.verdict import better, equivalent, no_worse, together, worse

YES, NO, UNKNOWN = "shown", "shown not to hold", "cannot tell"


def row(low, high, metric="final_test_accuracy", margin=0.01):
    return pd.DataFrame([{"metric": metric, "low": low, "high": high, "margin": margin}])


@pytest.mark.parametrize(
    ("low", "high", "no_worse_", "better_", "worse_", "equivalent_"),
    [
        (0.02, 0.03, YES, YES, NO, NO),
        (0.001, 0.02, YES, UNKNOWN, NO, UNKNOWN),  # above 0, but perhaps by no more than the margin
        (-0.005, 0.005, YES, NO, NO, YES),
        (-0.01, 0.01, YES, NO, NO, YES),
        (0.01, 0.02, YES, UNKNOWN, NO, UNKNOWN),
        (-0.005, 0.02, YES, UNKNOWN, NO, UNKNOWN),
        (-0.02, 0.005, UNKNOWN, NO, UNKNOWN, UNKNOWN),
        (-0.02, 0.02, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN),
        (-0.03, -0.02, NO, NO, YES, NO),
        (-0.02, -0.001, UNKNOWN, NO, UNKNOWN, UNKNOWN),
        (np.nan, np.nan, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN),
    ],
)
def test_each_way_an_interval_can_lie(low, high, no_worse_, better_, worse_, equivalent_):
    for judge, expected in ((no_worse, no_worse_), (better, better_), (worse, worse_), (equivalent, equivalent_)):
        assert judge(row(low, high)) == [expected]
        # Of losses less is better: the mirror image says the same.
        assert judge(row(-high, -low, "final_train_loss")) == [expected]


TRUE_IF = {
    no_worse: lambda difference: difference >= -1,
    better: lambda difference: difference > 1,
    worse: lambda difference: difference < -1,
    equivalent: lambda difference: abs(difference) <= 1,
}


@pytest.mark.parametrize("deviation", [0.1, 0.5, 1.0, 3.0])
@pytest.mark.parametrize("difference", [-1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5])
def test_what_is_false_is_said_at_most_2_5_times_in_100(difference, deviation):
    """Five pairs each, normal differences with this mean and deviation; the margin is 1. Intervals are scipy's."""
    cases = 5_000
    drawn = np.random.default_rng(0).normal(difference, deviation, (cases, 5))
    half = stats.t.ppf(0.975, 4) * stats.sem(drawn, axis=1)
    mean = drawn.mean(axis=1)
    paired = pd.DataFrame({"metric": "final_test_accuracy", "low": mean - half, "high": mean + half, "margin": 1.0})
    for judge, true_if in TRUE_IF.items():
        false = NO if true_if(difference) else YES
        assert judge(paired).count(false) / cases <= 0.025 + 4 * np.sqrt(0.025 * 0.975 / cases)


def test_together_all_must_say_the_same():
    assert together([YES, YES]) == YES
    assert together([NO, NO]) == NO
    assert together([YES, NO]) == together([YES, UNKNOWN]) == together([]) == UNKNOWN
