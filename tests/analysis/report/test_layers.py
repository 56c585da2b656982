"""The chapter and the figures of what untrained layers do: numbers in plain pandas, and what a page needs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from tickets.analysis import report
from tickets.analysis.layers import MEASURES, layers, why_no_layers
from tickets.analysis.report.figure import NotMeasured
from tickets.analysis.report.figures import geometry
from tickets.analysis.report.run_data import RunData

import tickets
from tickets.errors import InputError


@pytest.fixture(scope="module")
def saved(tmp_path_factory, campaign_file):
    """Two starts and two widths of two hidden layers, three replicates, one pruning."""
    folder = tmp_path_factory.mktemp("layers")
    file = campaign_file(
        folder,
        replicates=3,
        rounds=1,
        data="digits",
        model="mlp",
        arms=["ticket", "random_mask"],
        train={"steps": 2, "evaluate_every": 2},
        prune={"density": 0.3},
        probes=["geometry"],
        sweep={"model.widths": [[16, 16], [4, 4]], "model.init": ["kaiming_normal", "dct"]},
    )
    return tickets.run(file, out=folder / "out")


def test_means_and_intervals_are_of_the_dense_networks(saved) -> None:
    data = layers(saved)
    assert len(data) == 4 * 2 * len(MEASURES)
    assert set(data["setting"]) == {"digits"}
    assert set(zip(data["start"], data["kind"], strict=True)) == {
        ("kaiming_normal", "random"),
        ("dct", "deterministic"),
    }
    table = saved.probe("geometry")
    dense = table[(table["round"] == 0) & (table["arm"] == "ticket")]
    for row in data[data["measure"] == "deviation"].to_dict("records"):
        values = dense.loc[(dense["run"] == row["run"]) & (dense["place"] == row["place"]), "deviation"]
        assert len(values) == row["n"] == 3
        assert row["mean"] == pytest.approx(values.mean())
        half = stats.t.ppf(0.975, 2) * values.std() / np.sqrt(3)
        assert row["high"] - row["mean"] == pytest.approx(half, abs=1e-12)
        assert (row["depth"], row["widths"]) == (2, f"{row['width']}-{row['width']}")
        if row["start"] == "dct":
            assert row["low"] == pytest.approx(row["high"])


def test_by_width_is_the_last_layer_and_by_depth_the_widest_network(saved) -> None:
    data = layers(saved)
    wide, deep = report.layers_by_width(data), report.layers_by_depth(data)
    assert set(zip(wide["place"], wide["width"], strict=True)) == {(2, 16), (2, 4)}
    assert set(zip(deep["place"], deep["width"], strict=True)) == {(1, 16), (2, 16)}
    for rows, along in ((wide, "width"), (deep, "place")):
        assert not rows.duplicated(["setting", "start", along, "measure"]).any()
        figure = report.draw_layers(rows, along)
        assert [axes.get_title(loc="left") for axes in figure.axes] == ["digits: deviation", "digits: effective rank"]
        lines = [line for line in figure.axes[0].lines if len(line.get_xdata()) == 2]
        wanted = rows[(rows["measure"] == "deviation") & (rows["start"] == "kaiming_normal")].sort_values(along)
        assert lines[0].get_ydata().tolist() == wanted["mean"].tolist()
        text = report.describe_layers(rows, along)
        assert f"kaiming_normal {wanted['mean'].iloc[0]:.3g} at {wanted[along].iloc[0]}" in text


def test_the_chapter_has_its_figures_and_a_table_and_its_code_draws_them(saved, tmp_path, monkeypatch) -> None:
    chapter = report.chapter_of_layers(saved)
    assert [plot.name for plot in chapter.plots] == ["layers_by_width", "layers_by_depth"]
    assert chapter.missing == []
    (table,) = chapter.tables
    assert len(table.data) == 4 * 2, "runs and layers"
    row = table.data.iloc[-1]
    numbers = layers(saved).set_index(["start", "widths", "place", "measure"])["mean"]
    assert row["angle_after"] == numbers[row["start"], row["widths"], row["place"], "angle_after"]
    assert "deviation from Gaussian layers" in chapter.summary.sentence
    monkeypatch.chdir(tmp_path)
    for plot in chapter.plots:
        code = plot.drawn.code.replace(f"runs/saved/{saved.config(saved.runs[0])['name']}", str(saved.folder))
        exec(compile(code, plot.name, "exec"), {})
        assert (tmp_path / f"{plot.name}.pdf").read_bytes().startswith(b"%PDF")
    assert "layers_by_width.svg" in report.make_figure(saved, "layers_by_width")


def test_the_figure_of_a_run_is_of_its_last_layer_by_density(saved) -> None:
    run = RunData(saved, saved.runs[0])
    drawn = geometry.FIGURE.make(run)
    table = saved.probe("geometry", saved.runs[0])
    rows = table[(table["place"] == 2) & (table["round"] == 1) & (table["arm"] == "random_mask")]
    found = drawn.data.set_index(["quantity", "round", "arm"])["mean"]
    for quantity in report.GEOMETRY:
        assert found[quantity.column, 1, "random_mask"] == pytest.approx(rows[quantity.column].mean())
    assert (report.last_layers(table)["place"] == 2).all()


def test_what_a_campaign_lacks_is_said(campaign_file, tmp_path) -> None:
    one = {"rounds": 0, "replicates": 1, "data": "digits", "train": {"steps": 1, "evaluate_every": 1}}
    bare = tickets.run(campaign_file(tmp_path, **one), out=tmp_path / "bare")
    assert why_no_layers(bare) == 'no run has the probe "geometry"'
    with pytest.raises(InputError, match='no run has the probe "geometry"'):
        layers(bare)
    assert isinstance(geometry.FIGURE.make(RunData(bare, bare.runs[0])), NotMeasured)
    alone = tickets.run(campaign_file(tmp_path, **one, probes=["geometry"]), out=tmp_path / "alone")
    assert why_no_layers(alone) == "it has one start of one width and depth; sweep model.init or model.widths"
    assert str(geometry.FIGURE.make(RunData(alone, alone.runs[0]))).startswith("only the dense round is measured")
    assert why_no_layers(bare, bare.runs) == 'no run has the probe "geometry"'
