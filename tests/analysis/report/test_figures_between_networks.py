"""Figures of probes that compare networks: what is computed, drawn, said and left out."""

from __future__ import annotations

import math
from itertools import pairwise, product

import pandas as pd
import pytest
from tickets.analysis.report import (
    RUN_FIGURES,
    RunData,
    barriers,
    describe_barriers,
    describe_disagreements,
    describe_mask_distances,
    describe_mask_overlaps,
    disagreements,
    draw_barriers,
    draw_disagreements,
    draw_mask_distances,
    draw_mask_overlaps,
    mask_distances,
    mask_overlaps,
    plots_of,
)

import tickets

FIGURES = ["connectivity", "mask_overlap", "early_bird", "predictions"]
DENSITIES = {0: 1.0, 1: 0.5, 2: 0.25}


@pytest.fixture(scope="module")
def probed(campaign_file, tmp_path_factory):
    """A folder with a saved run of the four probes, where the figures' lines read it, and the figures."""
    there = tmp_path_factory.mktemp("probed")
    file = campaign_file(
        there, rounds=1, replicates=2, arms=["ticket", "reorder"],
        probes=[{"name": "connectivity", "points": 3}, "overlap", {"name": "early_bird", "last": 1}, "predictions"],
    )  # fmt: skip
    plots, missing = figures_of(tickets.run(file, out=there / "runs" / "saved" / "tiny"))
    assert missing == []
    return there, {plot.name: plot.drawn for plot in plots}


def figures_of(saved):
    (run,) = saved.runs
    data = RunData(saved, run)
    return plots_of([record for record in RUN_FIGURES if record.name in FIGURES], data, data.head, data.reading)


def pairs(values: dict[tuple[str, str, int], list[float]], column: str, **more: object) -> pd.DataFrame:
    """{(between, arm, round): the column's value for each pair} as a probe's table."""
    rows = [
        {"run": "a", "replicate": place, "round": number, "density": DENSITIES[number], "arm": arm, "draw": 0,
         "between": between, column: value, **more}
        for (between, arm, number), found in values.items()
        for place, value in enumerate(found)
    ]  # fmt: skip
    return pd.DataFrame(rows)


BARRIERS = {
    ("order", "reorder", 0): [0.05, 0.03],
    ("order", "reorder", 1): [0.0, 0.01],
    ("dense", "ticket", 1): [0.02, math.nan],
    ("dense", "ticket", 2): [0.04, 0.06],
}
CONNECTIVITY = {"excess": 0.01, "stable": 0.5, "loss_barrier": 0.2, "metric": "error", "batch_norm": "none"}


def test_barriers_by_hand_and_what_is_drawn():
    data = barriers(pairs(BARRIERS, "barrier", **CONNECTIVITY))
    assert data[["between", "arm", "round", "density", "pairs"]].values.tolist() == [
        ["order", "reorder", 0, 1.0, 2], ["order", "reorder", 1, 0.5, 2],
        ["dense", "ticket", 1, 0.5, 1], ["dense", "ticket", 2, 0.25, 2],
    ]  # fmt: skip
    assert data["mean"].tolist() == pytest.approx([0.04, 0.005, 0.02, 0.05])
    assert data["least"].tolist() == [0.03, 0.0, 0.02, 0.04]
    assert data["most"].tolist() == [0.05, 0.01, 0.02, 0.06]
    above, below = draw_barriers(data).axes
    assert [axes.get_title(loc="left") for axes in (above, below)] == ["between data orders", "to the dense network"]
    assert above.get_ylabel() == "barrier, points"
    assert above.lines[0].get_ydata().tolist() == pytest.approx([4.0, 0.5])
    assert [text.get_text() for text in below.texts] == ["ticket", "stable below"]
    assert all(list(axes.lines[1].get_ydata()) == [2.0, 2.0] for axes in (above, below))
    told = describe_barriers(data)
    assert "against density 1 to 0.25; mean over 1 to 2 pairs" in told
    assert "reorder, between data orders: 4 at 1, 0.5 at 0.5; ticket, to the dense network: 2 at 0.5, 5 at 0.25" in told


def test_barriers_of_a_loss_have_no_threshold():
    data = barriers(pairs(BARRIERS, "barrier", **{**CONNECTIVITY, "metric": "loss"}))
    above, _ = draw_barriers(data).axes
    assert above.get_ylabel() == "barrier of the loss"
    assert [text.get_text() for text in above.texts] == ["reorder"]
    assert "Barrier of the loss" in describe_barriers(data)


def test_overlaps_are_those_of_all_weights_with_chance_dashed():
    values = {("replicates", "ticket", 0): [1.0], ("replicates", "ticket", 1): [0.5], ("rounds", "ticket", 1): [0.25]}
    table = pd.concat([
        pairs(values, "jaccard", by_chance=0.125, tensor="all"), pairs(values, "jaccard", by_chance=0.9, tensor="a"),
    ])  # fmt: skip
    data = mask_overlaps(table)
    assert data["pairs"].tolist() == [1, 1, 1]
    assert data["chance"].tolist() == [0.125] * 3
    above, below = draw_mask_overlaps(data).axes
    assert above.lines[0].get_ydata().tolist() == [1.0, 0.5]
    assert above.lines[1].get_ydata().tolist() == [0.125, 0.125]
    assert {text.get_text() for text in below.texts} == {"ticket", "by chance"}
    assert above.get_ylim()[0] == 0
    assert above.get_ylim()[1] == 1
    assert "ticket, between replicates: 1.000 (0.125 by chance) at 1, 0.500" in describe_mask_overlaps(data)


def test_disagreements_and_squared_differences():
    more = {"kl": 0.1, "kl_reverse": 0.2, "ensemble_gain": 0.03}
    values = {("arms", "reinit", 0): [0.25, 0.5], ("dense", "ticket", 1): [0.125, 0.125]}
    classes = disagreements(pairs(values, "disagreement", squared_difference=math.nan, **more))
    above, _ = draw_disagreements(classes).axes
    assert above.get_ylabel() == "disagreement, %"
    assert above.lines[0].get_ydata().tolist() == [37.5]
    told = describe_disagreements(classes)
    assert "in percent, against density 1 to 0.5; mean over 2 pairs. reinit, with the ticket: 37.5 at 1;" in told
    assert told.endswith("reinit, with the ticket: +0.030; ticket, with the dense network: +0.030.")
    numbers = disagreements(pairs(values, "squared_difference", disagreement=math.nan, **more))
    assert draw_disagreements(numbers).axes[0].get_ylabel() == "squared difference"
    assert describe_disagreements(numbers).startswith("Mean squared difference")


def test_distances_of_masks_by_hand():
    rows = [
        {"run": "a", "replicate": replicate, "round": 0, "density": 1.0, "arm": "ticket", "draw": 0, "step": step,
         "distance": distance, "largest": distance, "drawn": step >= 20 + 10 * replicate, "threshold": 0.1,
         "by_chance": 0.5}
        for replicate, step in product((0, 1), (0, 10, 20, 30))
        for distance in [math.nan if step == 0 else 1 / step + 0.1 * replicate]
    ]  # fmt: skip
    data = mask_distances(pd.DataFrame(rows))
    assert data["step"].tolist() == [0, 10, 20, 30]
    assert data["n"].tolist() == [0, 2, 2, 2]
    assert data["mean"].tolist()[1:] == pytest.approx([0.15, 0.1, 1 / 30 + 0.05])
    assert data["drawn"].tolist() == [0.0, 0.0, 0.5, 1.0]
    (axes,) = draw_mask_distances(data).axes
    assert axes.lines[0].get_ydata().tolist() == pytest.approx([0.15, 0.1, 1 / 30 + 0.05])
    assert list(axes.lines[1].get_xdata()) == [30, 30], "drawn in every replicate"
    assert [line.get_ydata()[0] for line in axes.lines[2:]] == [0.1, 0.5]
    told = describe_mask_distances(data)
    assert "density 1: 0.150 at step 10 to 0.083 at step 30, drawn by step 30 in all" in told
    alone = describe_mask_distances(data[data["step"] <= 10])
    assert "0.150 at step 10, " in alone
    undrawn = mask_distances(pd.DataFrame(rows).assign(drawn=False))
    assert "drawn in 0 %" in describe_mask_distances(undrawn)


@pytest.mark.parametrize("name", FIGURES)
def test_the_lines_beside_a_figure_draw_it(probed, monkeypatch, name):
    there, figures = probed
    assert list(figures) == FIGURES
    assert "nan" not in figures[name].description
    monkeypatch.chdir(there)
    space: dict = {}
    exec(figures[name].code, space)
    assert (there / f"{name}.pdf").stat().st_size > 1000
    pd.testing.assert_frame_equal(space["data"], figures[name].data)


def test_runs_without_a_probe_and_with_a_users_table_of_its_name_have_no_figure(campaign_file, tmp_path, module):
    name = module("mine", "def overlap(networks):\n    return [{'network': 0, 'jaccard': 1.0}]\n")
    saved = tickets.run(campaign_file(tmp_path, rounds=0, probes=[f"{name}:overlap"]), out=tmp_path / "out")
    assert figures_of(saved) == ([], [])


@pytest.mark.parametrize(
    "arms", [["ticket"], ["ticket", *(f"pruned_at_init_by_score_{k}" for k in range(12))]], ids=len
)
def test_many_arms_have_room(arms):
    values = {("dense", arm, number): [0.01 * place] for number in (1, 2) for place, arm in enumerate(arms)}
    figure = draw_barriers(barriers(pairs(values, "barrier", **CONNECTIVITY)))
    figure.draw_without_rendering()
    (axes,) = figure.axes
    boxes = sorted((text.get_window_extent() for text in axes.texts), key=lambda box: box.y0)
    assert len(boxes) == len(arms) + 1
    assert all(one.y1 <= other.y0 + 1 for one, other in pairwise(boxes))
