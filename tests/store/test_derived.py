"""The columns of `rounds` that follow from `curves`, by hand."""

import numpy as np
import pandas as pd
import pytest

import tickets
from tickets.store.derived import with_derived, with_untrained

NAN = float("nan")


def tables(trainings):
    """{(replicate, round, arm): {step: validation loss}} as `rounds` and `curves`."""
    rows, points = [], []
    for (replicate, number, arm), losses in trainings.items():
        key = {"run": "a", "replicate": replicate, "round": number, "arm": arm, "draw": 0}
        values = [loss for loss in losses.values() if not np.isnan(loss)]
        rows.append({**key, "early_stop_validation_loss": min(values, default=NAN), "diverged": not values})
        points += [{**key, "step": step, "validation_loss": loss} for step, loss in losses.items()]
    return pd.DataFrame(rows), pd.DataFrame(points)


DENSE = {(0, 0, "ticket"): {0: 2.0, 10: 1.2, 20: 0.9, 30: 1.0}, (1, 0, "ticket"): {0: 2.0, 10: 1.1, 20: 1.3, 30: 1.4}}
# Mean lowest: 1.0, so what is to be reached is 1.1.


@pytest.mark.parametrize(
    ("losses", "wanted"),
    [
        ({0: 2.1, 10: 1.6, 20: 1.1, 30: 1.0}, 20.0),  # exactly there at an evaluation
        ({0: 2.1, 10: 1.3, 20: 0.9, 30: 2.0}, 15.0),  # half-way, and the first time counts
        ({0: 2.1, 10: 1.3, 20: 1.2, 30: 1.0}, 25.0),
        ({0: 2.1, 10: 1.3, 20: 1.2, 30: 1.101}, 60.0),  # never: twice its steps
        ({0: 1.05, 10: 1.3}, 1.0),  # there from the start
        ({5: 1.05, 15: 1.3}, 5.0),  # there where it was rewound to, before its dense network was
        ({20: 1.05, 30: 1.3}, 10 + 10 / 3),  # its dense network, whose steps it has had, was there before
        ({0: NAN, 10: NAN, 20: NAN}, 40.0),  # diverged
        ({0: 2.0, 10: NAN, 20: 1.0, 30: 1.0}, 20.0),  # no number to interpolate from
    ],
)
def test_the_step_at_which_the_dense_networks_loss_is_reached(losses, wanted):
    rounds, curves = tables({**DENSE, (0, 1, "ticket"): losses})
    table = with_derived(rounds, curves)
    assert table["steps_to_dense_loss"].tolist()[-1] == pytest.approx(wanted)
    assert table["last_step"].tolist() == [30, 30, max(losses)]
    # The dense networks themselves: (1.2 - 1.1) / (1.2 - 0.9) of the way from 10 to 20, and 10.
    assert table["steps_to_dense_loss"].tolist()[:2] == pytest.approx([10 + 10 / 3, 10.0])


def test_a_dense_network_that_diverged_sets_no_loss():
    lost = {(2, 0, "ticket"): {0: 0.1, 10: NAN, 20: NAN, 30: NAN}}
    rounds, curves = tables({**DENSE, **lost, (0, 1, "ticket"): {0: 2.1, 10: 1.6, 20: 1.1, 30: 1.0}})
    rounds.loc[rounds["replicate"] == 2, "diverged"] = True
    table = with_derived(rounds, curves)
    assert table["steps_to_dense_loss"].tolist() == pytest.approx([10 + 10 / 3, 10.0, 60.0, 20.0])


def test_without_a_dense_network_there_is_no_loss_to_reach():
    rounds, curves = tables({(0, 1, "ticket"): {0: 2.0, 10: 1.0}})
    table = with_derived(rounds, curves)
    assert table["steps_to_dense_loss"].isna().all()
    assert table["last_step"].tolist() == [10]


def test_saved_rounds_have_it_and_the_files_do_not(campaign_file, tmp_path):
    saved = tickets.run(campaign_file(tmp_path), out=tmp_path / "out")
    assert list(saved.rounds.columns)[-3:] == ["last_step", "steps_to_dense_loss", "untrained_test_accuracy"]
    assert saved.rounds["last_step"].eq(20).all()
    on_disk = pd.read_parquet(next((tmp_path / "out").glob("*/cohort-000/round-000/rounds.parquet")))
    assert "steps_to_dense_loss" not in on_disk
    rounds, curves = saved.rounds, saved.curves
    dense = rounds[(rounds["round"] == 0) & (rounds["arm"] == "ticket")]
    target = 1.1 * dense["early_stop_validation_loss"].mean()
    for row in rounds.to_dict("records"):
        mine = curves.merge(pd.DataFrame([row])[["replicate", "round", "arm", "draw"]]).sort_values("step")
        loss, step = mine["validation_loss"].to_numpy(), mine["step"].to_numpy()
        there = np.flatnonzero(loss <= target)
        if there.size == 0:
            wanted = 40.0
        else:
            first = there[0]
            wanted = np.interp(target, loss[first - 1 : first + 1][::-1], step[first - 1 : first + 1][::-1])
        assert row["steps_to_dense_loss"] == pytest.approx(wanted)


def test_the_accuracy_before_training_is_that_of_the_first_evaluation_unless_the_values_were_trained():
    losses = {0: 2.0, 10: 1.0}
    rounds, curves = tables(
        {(0, 0, "ticket"): losses, (0, 1, "ticket"): {5: 2.0, 10: 1.0}, (0, 1, "reinit"): {5: 3.0, 10: 1.0}}
    )
    rounds.loc[2, "diverged"] = True  # later: it had an accuracy before
    curves["test_accuracy"] = [0.1, 0.9, 0.7, 0.8, 0.2, 0.6]
    before = curves.copy()
    table = with_untrained(rounds, curves, lambda run, arm: (run, arm) == ("a", "ticket"))
    np.testing.assert_equal(table["untrained_test_accuracy"].to_numpy(), [0.1, NAN, 0.2])
    pd.testing.assert_frame_equal(curves, before)
    assert "untrained_test_accuracy" not in rounds
