"""Distinct units at the start and at the end, and when they came apart."""

import numpy as np
import pandas as pd
from tickets.analysis.why_random import symmetry


def test_over_layers_by_hand(units_of):
    rows = [
        (0, "1", 1, 1, 0.0), (0, "3", 1, 1, 0.0),
        (5, "1", 2, 1, 1e-8), (5, "3", 1, 1, 0.0),
        (10, "1", 3, 2, 0.5), (10, "3", 1, 1, 0.0),
    ]  # fmt: skip
    (row,) = symmetry(units_of(rows)).to_dict("records")
    assert row == {
        "run": "a", "replicate": 0, "round": 0, "arm": "ticket", "draw": 0, "layers": 2, "width": 4,
        "distinct_start": 1, "distinct_most": 3, "distinct_end": 3, "within_start": 1, "within_most": 2,
        "within_end": 2, "within_end_least": 1, "apart": 5, "apart_within": 10, "spread_end": 0.5, "lost": False,
    }  # fmt: skip


def test_units_that_meet_again_and_units_that_never_part(units_of):
    (row,) = symmetry(units_of([(0, "1", 1, 1, 0), (5, "1", 2, 1, 0.1), (10, "1", 1, 1, 0)])).to_dict("records")
    assert (row["distinct_most"], row["distinct_end"], row["apart"]) == (2, 1, 5)
    (row,) = symmetry(units_of([(0, "1", 3, 3, 1.0), (5, "1", 3, 2, 1.0)])).to_dict("records")
    assert np.isnan(row["apart"])
    assert np.isnan(row["apart_within"])


def test_a_network_that_diverges_is_lost_and_counted_up_to_then(units_of):
    (row,) = symmetry(units_of([(0, "1", 1, 1, 0), (5, "1", 2, 2, 0.1), (10, "1")])).to_dict("records")
    assert (row["lost"], row["distinct_most"], row["apart"]) == (True, 2, 5)


def test_each_network_has_a_row_and_none_none(units_of):
    parts = [units_of([(0, "1", 1, 1, 0)], replicate=replicate, arm=arm) for replicate in (0, 1) for arm in "xy"]
    table = symmetry(pd.concat(parts, ignore_index=True))
    assert list(zip(table["replicate"], table["arm"], strict=True)) == [(0, "x"), (0, "y"), (1, "x"), (1, "y")]
    assert symmetry(parts[0].iloc[:0]).empty


def test_by_hand_from_saved_tables(starts_saved):
    units = starts_saved.units
    table = symmetry(units)
    keys = ["run", "replicate", "round", "arm", "draw"]
    ends = units[units["step"] == 20].groupby(keys)[["distinct", "distinct_within"]].max()
    pd.testing.assert_frame_equal(
        table.set_index(keys)[["distinct_end", "within_end"]].sort_index(),
        ends.rename(columns={"distinct": "distinct_end", "distinct_within": "within_end"}).sort_index(),
    )
