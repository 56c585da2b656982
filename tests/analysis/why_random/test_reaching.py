"""Steps to a training loss, and the trainings that never reach it."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from tickets.analysis.why_random import reaching, steps_to


def curves(*losses, steps=(0, 10, 20), run="a"):
    """One replicate's training losses each."""
    return pd.DataFrame(
        [
            {"run": run, "replicate": k, "round": 0, "arm": "ticket", "draw": 0, "step": step, "train_loss": loss}
            for k, one in enumerate(losses)
            for step, loss in zip(steps, one, strict=True)
        ]
    )


def test_the_first_step_at_or_below_counts_even_if_the_loss_rises_again():
    table = curves([2.3, 1.0, 1.5], [2.3, 2.0, 0.5], [2.3, 2.2, 2.1])
    assert steps_to(table, 1.0).tolist()[:2] == [10, 20]
    (row,) = reaching(table, [1.0]).to_dict("records")
    assert (row["n"], row["reached"], row["mean"], row["earliest"], row["latest"]) == (3, 2, 15, 10, 20)
    low, high = stats.t.interval(0.95, 1, loc=15, scale=stats.sem([10, 20]))
    assert (row["low"], row["high"]) == pytest.approx((low, high))


def test_what_nobody_reaches_has_no_mean():
    (row,) = reaching(curves([2.3, 2.2, 2.1]), [1.0]).to_dict("records")
    assert (row["n"], row["reached"]) == (1, 0)
    assert np.isnan([row["mean"], row["low"], row["earliest"]]).all()


def test_one_that_reached_has_no_interval_and_a_diverged_one_is_counted():
    (row,) = reaching(curves([2.3, 0.9, np.nan], [2.3, 2.2, 2.1]), [1.0]).to_dict("records")
    assert (row["reached"], row["diverged"], row["mean"]) == (1, 1, 10)
    assert np.isnan(row["low"])


def test_levels_and_runs_each_have_a_row():
    both = pd.concat([curves([3, 2, 1]), curves([1, 1, 1], run="b")])
    table = reaching(both, [2.0, 1.0])
    assert list(zip(table["run"], table["level"], table["mean"], strict=True)) == [
        ("a", 2, 10), ("a", 1, 20), ("b", 2, 0), ("b", 1, 0),
    ]  # fmt: skip


def test_by_hand_from_saved_tables(starts_saved):
    dense = starts_saved.curves.query("round == 0 and arm == 'ticket'")
    for row in reaching(dense, [2.2]).to_dict("records"):
        mine = dense[dense["run"] == row["run"]]
        first = mine[mine["train_loss"] <= 2.2].groupby("replicate")["step"].min()
        assert (row["n"], row["reached"]) == (2, len(first))
        assert row["mean"] == (first.mean() if len(first) else pytest.approx(np.nan, nan_ok=True))
