"""What layers do to distances before any training."""

import numpy as np
import pandas as pd
import pytest
from tickets.analysis.why_random import geometry

NONE = (None, None, None)


def test_evenness_is_low_over_median_of_the_dense_tickets_at_their_start(units_of):
    first = [(0, "1", *NONE, 0.4, 0.5, 0.6, 3.0), (5, "1", *NONE, 9, 9, 9, 9)]
    second = [(0, "1", *NONE, 0.3, 0.5, 0.7, 5.0), (5, "1", *NONE, 9, 9, 9, 9)]
    others = [units_of([(0, "1", *NONE, 9, 9, 9, 9)], arm="x"), units_of([(0, "1", *NONE, 9, 9, 9, 9)], round=1)]
    (row,) = geometry(pd.concat([units_of(first), units_of(second, replicate=1), *others])).to_dict("records")
    assert (row["run"], row["layer"], row["place"], row["n"]) == ("a", "1", 1, 2)
    assert row["evenness"] == pytest.approx(0.7)
    assert (row["distance_low"], row["distance_median"], row["effective_rank"]) == pytest.approx((0.35, 0.5, 4.0))
    half = 12.706204736 * 0.1  # t of one degree of freedom; standard error of 0.8 and 0.6
    assert (row["evenness_low"], row["evenness_high"]) == pytest.approx((0.7 - half, 0.7 + half))


def test_where_all_pairs_fall_together_nothing_is_kept_and_nothing_can_be_kept_after(units_of):
    rows = [(0, "1", *NONE, 0.0, 0.0, 0.0, 0.0), (0, "3", *NONE, np.nan, np.nan, np.nan, 0.0)]
    first, second = geometry(units_of(rows)).to_dict("records")
    assert (first["evenness"], first["place"]) == (0.0, 1)
    assert np.isnan(second["evenness"])
    assert (second["place"], second["effective_rank"]) == (2, 0.0)


def test_by_hand_from_saved_tables(starts_saved):
    start = starts_saved.units.query("round == 0 and arm == 'ticket' and step == 0")
    for row in geometry(starts_saved.units).to_dict("records"):
        mine = start[(start["run"] == row["run"]) & (start["layer"] == row["layer"])]
        assert row["effective_rank"] == pytest.approx(mine["effective_rank"].mean())
        if mine["distance_median"].min() > 0:
            assert row["evenness"] == pytest.approx((mine["distance_low"] / mine["distance_median"]).mean())
