"""Accuracy, steps and learning curves: their numbers by plain pandas and scipy, what is drawn, what is said."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from scipy import stats
from tickets.analysis.report import (
    by_density,
    chosen_rounds,
    describe_by_density,
    describe_learning_curves,
    draw_by_density,
    draw_learning_curves,
    learning_curves,
)
from tickets.analysis.report.figures.early_stop_step import _without_step, drawn

from tickets.errors import InputError

METRIC = "early_stop_test_accuracy"


@pytest.mark.parametrize("metric", [METRIC, "early_stop_step"])
def test_means_and_intervals_are_those_of_plain_pandas_and_scipy(saved, metric):
    data = by_density(saved.rounds, metric)
    each = saved.rounds.groupby(["round", "arm", "replicate"])[metric].mean()  # draws first
    assert len(data) == 3 * 3
    for row in data.to_dict("records"):
        values = each[row["round"], row["arm"]]
        assert row["n"] == len(values) == 3
        assert row["mean"] == pytest.approx(values.mean(), abs=1e-12)
        half = stats.t.ppf(0.975, 2) * stats.sem(values)
        assert (row["low"], row["high"]) == pytest.approx((values.mean() - half, values.mean() + half), abs=1e-9)
    densities = saved.rounds.groupby("round")["density"].first()
    assert data.drop_duplicates("round")["density"].tolist() == densities.tolist()


def test_what_diverged_is_left_out_and_one_value_has_no_interval(made):
    nan = np.nan
    data = by_density(made({(0, "ticket"): [0.5, 0.7, nan], (0, "reinit"): [0.6, nan, nan], (1, "ticket"): [nan] * 3}))
    dense, reinit, later = data.to_dict("records")
    assert (dense["n"], dense["mean"]) == (2, pytest.approx(0.6))
    assert (reinit["n"], reinit["mean"]) == (1, 0.6)
    assert np.isnan([reinit["low"], reinit["high"], later["mean"], later["low"]]).all()
    assert later["n"] == 0


def test_a_stop_at_step_0_is_no_value_as_in_the_comparison(made):
    frame = made({(0, "ticket"): [0.5, 0.7]}, steps={(0, "ticket"): [0, 40]})
    assert by_density(frame, "early_stop_step")[["n", "mean"]].to_numpy().tolist() == [[1, 40.0]]


def test_a_best_step_of_0_is_not_called_diverged(made):
    frame = made({(0, "ticket"): [0.5, 0.7, np.nan], (1, "ticket"): [0.5, 0.7, 0.9]}, steps={
        (0, "ticket"): [0, 0, np.nan], (1, "ticket"): [0, 20, 40]})  # fmt: skip
    assert _without_step(frame) == "1 training that diverged and 3 trainings best before the first step"
    assert drawn(frame).caption.endswith(f" Left out: {_without_step(frame)}.")
    assert "Left out" not in drawn(frame[frame["early_stop_step"] > 0]).caption
    none = frame[frame["round"] == 0]
    assert drawn(none) == "no training has one (1 training that diverged and 2 trainings best before the first step)"
    told = describe_by_density(by_density(none, "early_stop_step"), "early_stop_step")
    assert told.endswith("ticket: no value, all diverged or were best before their first step.")


def test_an_unknown_metric_is_said(made):
    with pytest.raises(InputError, match="did you mean 'final_test_accuracy'"):
        by_density(made({(0, "ticket"): [0.5]}), "final_accuracy")


def test_the_axis_is_logarithmic_and_falls_and_each_arm_is_one_line_with_its_band(made):
    values = {(k, arm): [0.5 + 0.01 * k, 0.6] for k in range(5) for arm in ("ticket", "reinit")}
    data = by_density(made(values))
    (axes,) = draw_by_density(data).axes
    assert axes.get_xscale() == "log"
    assert axes.get_xlim()[0] > 1 > 0.8**4 > axes.get_xlim()[1]
    drawn = {
        tuple(line.get_ydata()): line
        for line in axes.lines
        if len(line.get_xdata()) == 5 and line.get_linestyle() == "-"
    }
    assert len(drawn) == 1  # both arms have the same values
    (means,) = drawn
    assert means == pytest.approx(100 * data[data["arm"] == "ticket"]["mean"])
    assert len(axes.collections) == 2
    dense = [line for line in axes.lines if line.get_linestyle() == "--"]
    assert [line.get_ydata()[0] for line in dense] == [pytest.approx(55)]
    assert {text.get_text() for text in axes.texts} == {"ticket", "reinit", "dense (dashed)"}


def test_an_arm_has_the_same_colour_in_every_figure(made):
    few = by_density(made({(k, arm): [0.5, 0.6] for k in (0, 1) for arm in ("ticket", "random_mask")}))
    many = by_density(made({(k, arm): [0.5, 0.6] for k in (0, 1) for arm in ("reinit", "constant", "random_mask")}))
    colours = [
        {to_hex(band.get_facecolor()[0]) for band in draw_by_density(data).axes[0].collections} for data in (few, many)
    ]
    assert len(colours[0] & colours[1]) == 1
    assert len(colours[1]) == 3


def test_the_text_alternative_has_the_figures_numbers(made):
    values = {
        (0, "ticket"): [0.5, 0.6],
        (1, "ticket"): [0.7, 0.8],
        (2, "ticket"): [0.4, 0.5],
        (2, "reinit"): [np.nan] * 2,
    }
    told = describe_by_density(by_density(made(values)))
    assert told.startswith(
        "Test accuracy at early stop against density 1 to 0.64, mean over 0 to 2 replicates with 95 %"
    )
    assert "ticket: 55.0 % [-8.5, 118.5] at 1, highest 75.0 % [11.5, 138.5] at 0.8, 45.0 %" in told
    assert "reinit: no value, all diverged." in told


def test_learning_curves_are_those_of_plain_pandas(saved):
    data = learning_curves(saved.curves, [0, 2])
    assert data["round"].unique().tolist() == [0, 2]
    each = saved.curves.groupby(["round", "arm", "step", "replicate"])["test_accuracy"].mean()
    assert len(data) == 2 * 3 * 4
    for row in data.to_dict("records"):
        values = each[row["round"], row["arm"], row["step"]]
        assert row["mean"] == pytest.approx(values.mean(), abs=1e-12)
        half = stats.t.ppf(0.975, 2) * values.std() / np.sqrt(3)
        assert row["high"] - row["mean"] == pytest.approx(half, abs=1e-12)
    figure = draw_learning_curves(data)
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        f"density {d:.4g}" for d in data["density"].unique()
    ]
    last = data[(data["step"] == 60) & (data["arm"] == "reinit") & (data["round"] == 2)]["mean"].item()
    assert f"reinit {100 * last:.1f} %" in describe_learning_curves(data)


@pytest.mark.parametrize(
    ("there", "count", "wanted"),
    [(range(17), 4, [0, 5, 11, 16]), ([0, 1], 4, [0, 1]), ([0], 4, [0]), (range(3), 2, [0, 2])],
)
def test_chosen_rounds_are_evenly_spread_with_both_ends(there, count, wanted):
    frame = pd.DataFrame({"round": list(there) * 2, "arm": "ticket"})
    assert chosen_rounds(frame, count) == wanted
