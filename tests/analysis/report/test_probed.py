"""The figures of probes: their numbers by hand, their axes, and the text in place of a figure."""

from __future__ import annotations

import math
from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from tickets.analysis import report
from tickets.analysis.report.figure import NotMeasured, plots_of
from tickets.analysis.report.figures import gradients, sharpness, signs, structure
from tickets.analysis.report.run_data import RunData

KEYS = ["run", "replicate", "round", "density", "arm", "draw"]


def networks(**columns: object) -> pd.DataFrame:
    """Rounds 0 and 1 of a ticket and a control with two draws, by three replicates."""
    rows = [
        ("a", replicate, number, 1.0 - number / 2, arm, draw)
        for replicate in range(3)
        for number in (0, 1)
        for arm, draw in (("ticket", 0), ("reinit", 0), ("reinit", 1))
    ]
    return pd.DataFrame(rows, columns=KEYS).assign(**columns)


def run_with(**tables: pd.DataFrame) -> SimpleNamespace:
    """What a figure uses of a run."""
    saved = SimpleNamespace(probes={name: ["a"] for name in tables}, probe=tables.__getitem__)
    run = SimpleNamespace(saved=saved, run="a", rounds=networks())
    run.probe = partial(RunData.probe, run)
    return run


def test_means_are_over_replicates_of_the_means_of_draws() -> None:
    table = networks(value=np.arange(18.0) ** 2)
    table.loc[table["replicate"] == 2, "value"] = math.nan
    data = report.probe_means(table, ["value"])
    assert list(data.columns) == ["quantity", "round", "density", "arm", "n", "mean", "low", "high"]
    (found,) = data[(data["round"] == 1) & (data["arm"] == "reinit")].to_dict("records")
    each = [(4**2 + 5**2) / 2, (10**2 + 11**2) / 2]
    assert (found["n"], found["mean"], found["density"]) == (2, np.mean(each), 0.5)
    half = stats.t.ppf(0.975, 1) * np.std(each, ddof=1) / math.sqrt(2)
    assert found["high"] - found["mean"] == pytest.approx(half, rel=1e-12)
    assert report.probe_means(table.assign(value=math.nan), ["value"]).empty


def test_the_tables_of_the_figures_by_hand() -> None:
    steps = pd.DataFrame({"step": [0, 5, 9], "norm": [4.0, 2.0, 1.0], "tensor": "all"})
    once = pd.DataFrame({"step": [0], "norm": [7.0], "tensor": "all"})
    label = networks().iloc[[0, 1]].reset_index(drop=True)
    table = pd.concat([label.iloc[[0]].merge(steps, how="cross"), label.iloc[[1]].merge(once, how="cross")])
    ends = report.gradients_at_ends(pd.concat([table, table.assign(tensor="0.weight", norm=0.5)]))
    assert ends["at_start"].tolist() == [4.0, 7.0]
    assert ends["at_end"].tolist()[0] == 1.0
    assert math.isnan(ends["at_end"].tolist()[1])
    assert report.last_signs(table)["step"].tolist() == [9, 0]
    row = {"tensor": "all", "units": 8, "dead": 2.0, "inputs": 4, "inputs_cut": 1, "survivors": 10, "effective": 4.0}
    shares = report.structure_shares(label.assign(**row, paths=[1000.0, 0.0]))
    assert shares[["dead_units", "inputs_not_read", "not_on_a_path"]].values.tolist() == [[0.25, 0.25, 0.6]] * 2
    assert shares["log10_paths"].tolist()[0] == pytest.approx(3)
    assert math.isnan(shares["log10_paths"].tolist()[1])


def test_the_figures_have_labelled_axes_and_code_that_draws_them() -> None:
    at = pd.concat([networks(step=step, norm=float(step + 1), flipped=step / 20, as_dense=0.5) for step in (0, 10)])
    at = at.assign(tensor="all")
    whole = {"tensor": "all", "units": 8, "dead": 2.0, "inputs": 4, "inputs_cut": 1, "survivors": 9, "effective": 9.0}
    run = run_with(
        signs=at,
        gradients=at,
        structure=networks(**whole, paths=5.0),
        sharpness=networks(sharpness=2.0, converged=True),
    )
    for record, panels, unit in (
        (signs.FIGURE, 2, "share of survivors"),
        (signs.BY_STEP, 2, ""),
        (structure.FIGURE, 4, "share of units"),
        (gradients.FIGURE, 2, "norm of the gradient"),
        (gradients.BY_STEP, 2, ""),
        (sharpness.FIGURE, 1, "largest eigenvalue"),
    ):
        drawn = record.make(run)
        assert not isinstance(drawn, str), drawn
        assert len(drawn.figure.axes) == panels
        assert drawn.figure.axes[0].get_ylabel() == unit
        assert "n = 3" in drawn.caption
        assert "n = 3 replicates" in drawn.description
        names = {"report": report, "saved": run.saved, "run": "a"}
        exec(drawn.code, names)
        pd.testing.assert_frame_equal(names["data"], drawn.data)


def test_a_log_axis_has_plain_numbers_and_lines_leave_it_at_0() -> None:
    norm = networks()["arm"].map({"ticket": 100.0, "reinit": 0.0})
    at = pd.concat([networks(step=step, norm=norm, tensor="all") for step in (0, 10)])
    drawn = gradients.FIGURE.make(run_with(gradients=at))
    assert not isinstance(drawn, str)
    (start, _), low = drawn.figure.axes, drawn.figure.axes[0].get_ylim()[0]
    drawn.figure.draw_without_rendering()
    assert start.get_yscale() == "log"
    assert {text.get_text() for text in start.get_yticklabels()} >= {"50", "100", "200"}
    lowest = [min(line.get_ydata()) for line in start.get_lines()]
    assert sorted(value < low for value in lowest) == [False, True]
    assert "A mean of 0 lies below the log axis." in drawn.caption


def test_the_words_of_the_figures_by_step_are_of_each_training_at_its_own_end() -> None:
    at = pd.concat([networks(step=step, norm=1.0, flipped=step / 100, as_dense=0.5, tensor="all") for step in (0, 10)])
    at.loc[(at["arm"] == "reinit") & (at["step"] == 10), "step"] = 7  # its own train settings
    at.loc[(at["round"] == 1) & (at["step"] == 10), ["step", "flipped"]] = 20, 0.2  # rewind.kind = "none" goes on
    said = signs.BY_STEP.make(run_with(signs=at)).description
    assert said.startswith("By step; at the last one, mean over n = 3 replicates. ")
    assert "ticket 0.1 at 1, 0.2 at 0.5; reinit 0.1 at 1, 0.1 at 0.5" in said
    assert "at the last one" in gradients.BY_STEP.make(run_with(gradients=at)).description


def test_arms_with_the_tickets_mask_have_no_line_in_the_figure_of_structure() -> None:
    row = {"tensor": "all", "units": 8, "inputs": 4, "inputs_cut": 1, "survivors": 9, "effective": 9.0, "paths": 5.0}
    for dead, arms in ((2.0, ["ticket"]), (3.0, ["ticket", "reinit"])):
        table = networks(**row)
        drawn = structure.FIGURE.make(
            run_with(structure=table.assign(dead=np.where(table["arm"] == "reinit", dead, 2)))
        )
        assert [len(axes.get_lines()) for axes in drawn.figure.axes] == [len(arms)] * 4
        assert [text.get_text() for text in drawn.figure.legends[0].get_texts()] == arms
        assert set(drawn.data["arm"]) == {"ticket", "reinit"}


def test_a_table_of_a_function_of_the_users_with_the_same_name_is_not_drawn() -> None:
    mine = networks(norm=1.0)
    run = run_with(signs=mine, gradients=mine, structure=mine, sharpness=mine)
    for record in (
        signs.FIGURE,
        signs.BY_STEP,
        structure.FIGURE,
        gradients.FIGURE,
        gradients.BY_STEP,
        sharpness.FIGURE,
    ):
        assert isinstance(record.make(run), NotMeasured)


def test_the_page_is_silent_about_probes_that_were_not_measured() -> None:
    records = (signs.FIGURE, signs.BY_STEP, structure.FIGURE, gradients.FIGURE, gradients.BY_STEP, sharpness.FIGURE)
    assert plots_of(records, run_with(), "", {}) == ([], [])
    assert all(isinstance(record.make(run_with()), NotMeasured) for record in records)
    lost = run_with(sharpness=networks(sharpness=math.nan, converged=False))
    _, (missing,) = plots_of((sharpness.FIGURE,), lost, "", {})
    assert missing.why == "no network has a value: none converged, or all diverged"
    by_unit = run_with(structure=networks(tensor="0.weight", side="unit", place=0, survivors=1, connected=1.0))
    assert "units = true" in structure.FIGURE.make(by_unit)
