"""A chapter's texts and files, and a figure that is added from outside."""

import json
import shutil

import pandas as pd
import pytest
from matplotlib.figure import Figure
from resealed import write_sealed
from tickets.analysis import report
from tickets.analysis.report import Drawn, FigureRecord, Missing, Point, RunData, Summary, chapter_of_run, plots_of
from tickets.analysis.report.chapter import name_of
from tickets.analysis.report.page import files_of

import tickets


def test_a_summary_is_one_line_of_its_points_and_notes():
    points = [Point("A holds.", {}), Point("B", {"shown": "on digits", "cannot tell": "on mnist1d"})]
    summary = Summary("Yes.", points, ["Not part of it."], "yes")
    assert summary.sentence == "Yes. A holds. B: shown on digits; cannot tell on mnist1d. Not part of it."


def depth(run):
    """A figure of a user's own."""
    data = run.rounds.groupby("round", as_index=False)["density"].mean()
    figure = Figure()
    figure.subplots().plot(data["round"], data["density"])
    code = 'data = rounds.groupby("round", as_index=False)["density"].mean()\nfigure = None'
    return Drawn(figure, data, "Density by round.", "Mean over arms.", code)


def test_a_figure_is_a_record_and_its_code_reads_only_what_it_uses(saved):
    (run,) = saved.runs
    data = RunData(saved, run)
    records = (FigureRecord("depth", "Density", depth), FigureRecord("none", "Nothing", lambda run: "there is none"))
    (plot,), missing = plots_of(records, data, data.head, data.reading)
    assert missing == [Missing("Nothing", "there is none")]
    assert 'rounds = saved.rounds[saved.rounds["run"] == run]' in plot.drawn.code
    assert "curves =" not in plot.drawn.code
    assert "masks =" not in plot.drawn.code
    assert plot.drawn.code.endswith('Path("depth.pdf").write_bytes(report.to_pdf(figure))\n')


@pytest.mark.usefixtures("page_only")
def test_the_files_of_a_chapter_are_its_figures_and_tables(saved):
    (run,) = saved.runs
    chapter = chapter_of_run(saved, run)
    paths = set(files_of(chapter))
    assert {f"tables/{run}/{table.name}.{ext}" for table in chapter.all_tables for ext in ("csv", "tex")} <= paths
    assert {f"figures/{run}/{plot.name}.{ext}" for plot in chapter.plots for ext in ("svg", "pdf", "py")} <= paths
    assert len(paths) == 5 * len(chapter.plots) + 2 * len(chapter.all_tables)
    assert chapter.text == chapter.summary.sentence  # no claims


def test_each_table_of_intervals_says_that_the_other_has_others(saved):
    (run,) = saved.runs
    notes = {table.name: table.note for table in chapter_of_run(saved, run).tables}
    assert "“The criteria of a winning ticket” may show another interval" in notes["compared"]
    assert "“The ticket against each control” may show another interval" in notes["criteria"]


@pytest.mark.parametrize(("text", "name"), [("../../x y", "x-y"), ("1.0", "run-1.0"), ("///", "run")])
def test_names_are_safe_in_paths_and_links(text, name):
    assert name_of(text) == name


@pytest.mark.parametrize(
    ("measured", "title", "code"),
    [
        ("R2", "Test R2 at early stop", "report.draw_by_density(data, labels=labels)"),
        ("none", "Test loss at the last step", 'report.draw_by_density(data, "final_test_loss", labels=labels)'),
    ],
)
def test_a_run_without_accuracies_is_shown_by_what_it_has(folder, tmp_path, measured, title, code):
    shutil.copytree(folder, tmp_path / "tiny")
    (path,) = (tmp_path / "tiny").glob("*/run.json")
    write_sealed(path, {**json.loads(path.read_text()), "accuracy": measured})
    saved = tickets.load(tmp_path / "tiny")
    (run,) = saved.runs
    first, _, curves, *_ = chapter_of_run(saved, run).plots
    assert first.title == title
    assert code in first.drawn.code
    assert "labels = report.labels_of(saved.file(run))" in first.drawn.code
    assert f"Test {'R2' if measured == 'R2' else 'loss'} during training" in curves.drawn.caption
    for plot in (first, curves):
        space = {"saved": saved, "run": run, "report": report}
        exec("\n".join(plot.drawn.code.splitlines()[6:-1]), space)
        pd.testing.assert_frame_equal(space["data"], plot.drawn.data)
