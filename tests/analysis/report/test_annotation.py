"""Labels that lie apart, names that stay different, and figures that hold all of them, with axes within bounds."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from tickets.analysis.report import (
    by_density,
    draw_by_density,
    draw_initial_values,
    draw_learning_curves,
    draw_overlap,
    draw_surviving,
    initial_values,
    learning_curves,
    overlap,
    surviving,
)
from tickets.analysis.report.annotation import short_names, spread

ACCURACY, STEP = "early_stop_test_accuracy", "early_stop_step"
LONG = [f"pruned_at_init_by_snip_with_global_scope_{number}" for number in range(8)]
ARMS = [["ticket"], ["ticket", "reinit"], ["ticket", *LONG], ["ticket", "_hidden", "costs $1 to $2"]]
TENSORS = [f"encoder.layers.{number}.self_attention.in_projection_weight" for number in range(12)]


def test_labels_that_are_far_enough_apart_stay():
    assert spread([0.5, 0.1, 0.9], 0.2) == [0.5, 0.1, 0.9]


def test_labels_that_coincide_go_apart_evenly():
    assert spread([0.5, 0.5, 0.5], 0.1) == pytest.approx([0.4, 0.5, 0.6])
    assert spread([], 0.1) == []


@given(st.lists(st.floats(0, 1), max_size=9))
def test_labels_are_apart_and_in_the_same_order(heights):
    placed = sorted(zip(heights, spread(heights, 0.07), strict=True))
    assert all(other[1] - one[1] > 0.07 - 1e-9 for one, other in pairwise(placed) if one[0] < other[0])
    ends = sorted(end for _, end in placed)
    assert all(other - one > 0.07 - 1e-9 for one, other in pairwise(ends))


def test_labels_stay_within_bounds_if_there_is_room():
    assert spread([0.9, 0.95, 1.0], 0.2, (0, 1)) == pytest.approx([0.6, 0.8, 1.0])
    assert spread([0.0, 0.5, 0.0], 0.1, (0, 1)) == pytest.approx([0.0, 0.5, 0.1])
    assert spread([1.0, 1.0, 1.0], 0.6, (0, 1)) == pytest.approx([0.0, 0.6, 1.2])


def test_short_names_stay_different():
    assert short_names(["reinit", "ticket", "reinit"]) == {"reinit": "reinit", "ticket": "ticket"}
    assert list(short_names(["abcdefghij", "abcdefghik"], 5).values()) == ["ab…ij", "ab…ik"]
    assert list(short_names(["abcdefghij", "abcXefghij"], 5).values()) == ["abcd…", "abcX…"]
    assert list(short_names(["abcdefghij", "abcdefXhij"], 5).values()) == ["…ghij", "…Xhij"]
    both = ["abcdefghij", "abcdXfghij"]
    assert short_names(both, 5) == dict(zip(both, ["abc…1", "abc…2"], strict=True))


def holds_all(figure):
    """Whether everything that is drawn lies on the figure's canvas, and no two labels of an axis touch."""
    figure.draw_without_rendering()
    box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert min(box.x0, box.y0) > -0.01, box
    assert box.x1 < width + 0.01, (box, width)
    assert box.y1 < height + 0.01, (box, height)
    for axes in figure.axes:
        assert isinstance(axes, Axes)
        for ticks, axis, ends in (
            (axes.get_xticklabels(), axes.get_xlim(), "x"), (axes.get_yticklabels(), axes.get_ylim(), "y"),
        ):  # fmt: skip
            low, high = sorted(axis)
            place = (lambda tick: tick.get_position()[0]) if ends == "x" else (lambda tick: tick.get_position()[1])
            shown = [tick.get_window_extent() for tick in ticks if tick.get_text() and low <= place(tick) <= high]
            spans = sorted((box.x0, box.x1) if ends == "x" else (box.y0, box.y1) for box in shown)
            assert all(one[1] <= other[0] for one, other in pairwise(spans)), spans
        texts = [text.get_window_extent() for text in axes.texts]
        assert not any(one.overlaps(other.padded(-1)) for one in texts for other in texts if one is not other)


@pytest.mark.parametrize("arms", ARMS, ids=len)
@pytest.mark.parametrize("rounds", [1, 2, 17, 30])
def test_accuracy_and_steps_by_density(made, arms, rounds):
    rng = np.random.default_rng(0)
    keys = [(number, arm) for number in range(rounds) for arm in arms]
    frame = made(
        {key: rng.uniform(0.9, 1, 3).tolist() for key in keys},
        steps={key: rng.integers(1, 4, 3).tolist() for key in keys},
    )
    data = by_density(frame)
    assert data["high"].max() > 1 or rounds == 1  # the numbers stay, the axis is cut
    figure = draw_by_density(data)
    low, high = figure.axes[0].get_ylim()
    assert 0 <= low < high <= 100
    names = {text.get_text() for text in figure.axes[0].texts}
    assert names == {*short_names(arms).values(), "dense (dashed)"}
    holds_all(figure)
    figure = draw_by_density(by_density(frame, STEP), STEP, 3)
    assert 0 <= figure.axes[0].get_ylim()[0] < figure.axes[0].get_ylim()[1] <= 3
    holds_all(figure)


@pytest.mark.parametrize(
    "arms", [["ticket"], [f"arm_{number}" for number in range(24)], ["ticket", "_x", *LONG]], ids=len
)
def test_learning_curves(arms):
    rows = [
        {"run": "x", "replicate": replicate, "round": number, "density": 0.8**number, "arm": arm, "draw": 0,
         "step": step, "test_accuracy": min(1.0, 0.1 * (replicate + step))}
        for replicate in range(2) for number in range(4) for arm in arms for step in range(0, 20, 4)
    ]  # fmt: skip
    figure = draw_learning_curves(learning_curves(pd.DataFrame(rows), range(4)))
    low, high = figure.axes[0].get_ylim()
    assert 0 <= low < high <= 100
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [short_names(arms)[arm] for arm in arms]
    holds_all(figure)


@pytest.mark.parametrize("names", [["a"], ["1.weight", "3.weight"], TENSORS], ids=len)
@pytest.mark.parametrize("rounds", [1, 2, 30])
def test_masks_and_initial_values(names, rounds):
    rng = np.random.default_rng(0)
    masks = {
        number: {k: {name: rng.permutation(np.arange(2000) < 2000 * 0.8**number) for name in names} for k in (0, 1)}
        for number in range(rounds)
    }
    (axes,) = draw_surviving(surviving(masks)).axes
    assert axes.get_ylim()[1] == 1
    holds_all(axes.figure)
    figure = draw_overlap(overlap(masks))
    assert figure.axes[0].get_ylim() == (0, 1)
    assert figure.axes[1].get_ylim()[0] >= 0
    holds_all(figure)
    values = {k: {name: np.full(2000, 0.5) for name in names} for k in (0, 1)}  # one bin holds all
    figure = draw_initial_values(initial_values(values, masks, [0, rounds - 1]))
    assert all(axes.get_ylim() == (0, 100) for axes in figure.axes)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert len(set(titles)) == len(titles)
    holds_all(figure)


def test_a_loss_of_the_users_own_may_be_negative(made):
    data = by_density(made({(0, "ticket"): [0.5, 0.6]}), "final_test_loss").assign(mean=-2.0, low=-3.0, high=-1.0)
    low, high = draw_by_density(data, "final_test_loss").axes[0].get_ylim()
    assert low < -3 < -1 < high


def test_accuracies_of_exactly_0_and_1_are_drawn(made):
    for value in (0.0, 1.0):
        (axes,) = draw_by_density(by_density(made({(k, "ticket"): [value, value] for k in (0, 1)}))).axes
        low, high = axes.get_ylim()
        assert 0 <= low < high <= 100
        assert low <= 100 * value <= high
