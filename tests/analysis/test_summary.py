"""Against plain pandas and arithmetic by hand."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from tickets.analysis import over_replicates, table

METRIC = "early_stop_test_accuracy"


def rounds(*rows, run="a"):
    """Rows of (replicate, round, density, arm, draw, accuracy)."""
    frame = pd.DataFrame(rows, columns=["replicate", "round", "density", "arm", "draw", METRIC])
    return frame.assign(run=run, final_test_accuracy=frame[METRIC] / 2)


BY_HAND = rounds(
    (0, 0, 1.0, "ticket", 0, 0.90),
    (1, 0, 1.0, "ticket", 0, 0.94),
    (2, 0, 1.0, "ticket", 0, np.nan),
    (0, 0, 1.0, "reinit", 0, 0.80),
    (0, 0, 1.0, "reinit", 1, 0.90),
    (1, 0, 1.0, "reinit", 0, 0.70),
    (1, 0, 1.0, "reinit", 1, np.nan),
    (2, 0, 1.0, "reinit", 0, 0.60),
    (2, 0, 1.0, "reinit", 1, 0.60),
)


def test_draws_are_averaged_within_each_replicate_first():
    row = over_replicates(BY_HAND).set_index("arm").loc["reinit"]
    each = np.array([0.85, 0.70, 0.60])  # not the mean over six draws
    assert row["n"] == 3
    assert row["mean"] == pytest.approx(each.mean(), abs=1e-12)
    assert row["std"] == pytest.approx(each.std(ddof=1), abs=1e-12)


def test_what_diverged_is_left_out_and_not_counted():
    row = over_replicates(BY_HAND).set_index("arm").loc["ticket"]
    assert row["n"] == 2
    assert row["mean"] == pytest.approx(0.92, abs=1e-12)
    assert row["std"] == pytest.approx(0.04 / np.sqrt(2), abs=1e-12)


def test_one_replicate_has_no_standard_deviation_and_none_left_no_mean():
    frame = rounds((0, 0, 1.0, "ticket", 0, 0.5), (0, 0, 1.0, "reinit", 0, np.nan))
    summary = over_replicates(frame).set_index("arm")
    assert summary.loc["ticket", "n"] == 1
    assert np.isnan(summary.loc["ticket", "std"])
    assert summary.loc["reinit", "n"] == 0
    assert np.isnan(summary.loc["reinit", "mean"])
    assert table(frame).loc["1.0000"].to_dict() == {"ticket": "50.00", "reinit": "diverged"}


def test_it_agrees_with_plain_pandas_on_a_larger_table():
    rng = np.random.default_rng(0)
    rows = [
        (replicate, number, 0.8**number, arm, draw, rng.random())
        for replicate in range(4)
        for number in range(3)
        for arm in ("ticket", "reinit", "constant")
        for draw in range(3 if arm == "reinit" else 1)
    ]
    frame = pd.concat([rounds(*rows), rounds(*rows, run="b")])
    plain = (
        frame.groupby(["run", "round", "arm", "replicate"])["final_test_accuracy"].mean()
        .groupby(["run", "round", "arm"]).agg(["mean", "std", "count"])
    )  # fmt: skip
    ours = over_replicates(frame, "final_test_accuracy").set_index(["run", "round", "arm"]).sort_index()
    assert list(ours.columns) == ["density", "mean", "std", "n"]
    pd.testing.assert_frame_equal(
        ours[["mean", "std", "n"]].rename(columns={"n": "count"}), plain.sort_index(), check_exact=False, rtol=1e-12
    )


def test_the_table_has_density_down_and_arms_in_the_order_of_the_rows():
    frame = rounds(
        (0, 0, 1.0, "ticket", 0, 0.9),
        (0, 0, 1.0, "constant", 0, 0.5),
        (1, 0, 1.0, "ticket", 0, 0.8),
        (1, 0, 1.0, "constant", 0, 0.5),
        (0, 1, 0.81, "ticket", 0, 0.7),
        (0, 1, 0.81, "constant", 0, 0.4),
        (1, 1, 0.79, "ticket", 0, 0.7),
        (1, 1, 0.79, "constant", 0, 0.4),
    )
    shown = table(frame)
    assert list(shown.columns) == ["ticket", "constant"]
    assert list(shown.index) == ["1.0000", "0.8000"]
    assert shown.loc["1.0000", "ticket"] == "85.00 ± 7.07"
    assert shown.loc["0.8000", "constant"] == "40.00 ± 0.00"
    assert table(frame, "final_test_accuracy", scale=10.0).loc["1.0000", "ticket"] == "4.25 ± 0.35"


def test_two_rounds_of_equal_density_stay_two_rows():
    # A rate of 0 prunes nothing.
    frame = rounds((0, 0, 1.0, "ticket", 0, 0.9), (0, 1, 1.0, "ticket", 0, 0.8))
    assert table(frame)["ticket"].tolist() == ["90.00", "80.00"]


def test_the_rows_of_several_runs_or_of_none_are_refused():
    for frame, count in ((pd.concat([BY_HAND, BY_HAND.assign(run="b")]), 2), (BY_HAND.iloc[:0], 0)):
        with pytest.raises(ValueError, match=rf"rows of one run are needed, these are of {count}"):
            table(frame)


def test_nothing_given_is_changed():
    before = BY_HAND.copy()
    over_replicates(BY_HAND)
    table(BY_HAND)
    pd.testing.assert_frame_equal(BY_HAND, before)


def test_the_analysis_does_not_import_torch():
    code = "import sys, tickets.analysis; print('torch' in sys.modules, 'pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False True\n"
