"""Verdicts from intervals."""

import numpy as np
import pandas as pd
import pytest
from tickets.analysis.verdicts import verdict
from tickets.analysis.why_random.held import better, equivalent, no_worse, together, worse

YES, NO, UNKNOWN = "shown", "shown not to hold", "cannot tell"


def row(low, high, metric="final_test_accuracy", margin=0.01):
    more = metric.endswith("accuracy")
    found = verdict(low, high, margin, more)
    return pd.DataFrame([{"metric": metric, "low": low, "high": high, "margin": margin, "verdict": found}])


@pytest.mark.parametrize(
    ("low", "high", "no_worse_", "better_", "worse_", "equivalent_"),
    [
        (0.02, 0.03, YES, YES, NO, NO),
        (-0.005, 0.005, YES, NO, NO, YES),
        (-0.01, 0.01, YES, NO, NO, YES),
        (-0.005, 0.02, YES, UNKNOWN, NO, UNKNOWN),
        (-0.02, 0.005, UNKNOWN, NO, UNKNOWN, UNKNOWN),
        (-0.02, 0.02, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN),
        (-0.03, -0.02, NO, NO, YES, NO),
        (-0.02, -0.001, UNKNOWN, NO, YES, NO),
        (np.nan, np.nan, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN),
    ],
)
def test_each_way_an_interval_can_lie(low, high, no_worse_, better_, worse_, equivalent_):
    for judge, expected in ((no_worse, no_worse_), (better, better_), (worse, worse_), (equivalent, equivalent_)):
        assert judge(row(low, high)) == [expected]
        # Of losses less is better: the mirror image says the same.
        assert judge(row(-high, -low, "final_train_loss")) == [expected]


def test_together_all_must_say_the_same():
    assert together([YES, YES]) == YES
    assert together([NO, NO]) == NO
    assert together([YES, NO]) == together([YES, UNKNOWN]) == together([]) == UNKNOWN
