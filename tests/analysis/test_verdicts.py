import numpy as np
import pytest
from tickets.analysis import verdict

CASES = [
    (0.006, 0.02, "better"),
    (0.001, 0.02, "better"),
    (-0.02, -0.001, "worse"),
    (-0.02, -0.006, "worse"),
    (-0.003, 0.004, "equivalent"),
    (-0.005, 0.005, "equivalent"),
    (0.0, 0.0, "equivalent"),
    (0.001, 0.004, "equivalent"),  # certain, and too small to matter
    (-0.004, -0.001, "equivalent"),
    (-0.003, 0.006, "cannot tell"),
    (-0.1, 0.1, "cannot tell"),
    (0.0, 0.1, "cannot tell"),
    (-0.1, 0.0, "cannot tell"),
    (np.nan, np.nan, "cannot tell"),
]


@pytest.mark.parametrize(("low", "high", "wanted"), CASES)
def test_every_verdict(low, high, wanted):
    assert verdict(low, high, margin=0.005) == wanted
    # Where less is better the mirrored interval says the same.
    assert verdict(-high, -low, margin=0.005, more_is_better=False) == wanted


def test_with_no_margin_only_no_difference_at_all_is_equivalent():
    assert verdict(0.0, 0.0, 0.0) == "equivalent"
    assert verdict(1e-9, 1e-8, 0.0) == "better"
    assert verdict(-1e-9, 1e-8, 0.0) == "cannot tell"


def test_a_larger_margin_never_turns_equivalent_into_anything_else():
    for low, high, _ in CASES:
        told = [verdict(low, high, margin) for margin in (0.0, 0.001, 0.005, 0.02, 0.2)]
        first = told.index("equivalent") if "equivalent" in told else len(told)
        assert set(told[first:]) <= {"equivalent"}
        assert len(set(told[:first])) <= 1
