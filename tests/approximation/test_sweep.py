"""Sweeps: the table of several approximations, its figure and its files."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from tickets.analysis.report import describe_sweep, draw_sweep

import tickets
from tickets.approximation import sweep as sweeps
from tickets.approximation.approximating import approximate
from tickets.errors import InputError


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    monkeypatch.setattr(sweeps, "DRAWS", 60)
    monkeypatch.setattr(sweeps, "REACH_DRAWS", 5)
    monkeypatch.setattr(sweeps, "REACH_COUNTS", range(2, 9))


def test_each_row_is_what_one_approximation_measures(trained, tmp_path):
    made = sweeps.sweep(trained, [2, 9], [0.1, 0.01], ["uniform", "constant"])
    rows = made.networks.set_index(["values", "candidates", "tolerance"])
    assert len(rows) == 8
    for values in ("uniform", "constant"):
        alone = approximate(trained, 9, 0.01, values, out=tmp_path / values).result
        for key in ("worst_error", "mean_error", "within_tolerance", "accuracy", "kept_per_weight", "output_bound"):
            assert rows.loc[(values, 9, 0.01)][key] == pytest.approx(alone[key], abs=1e-12), key
    assert rows.loc[("uniform", 9, 0.1)]["within_tolerance"] > rows.loc[("uniform", 9, 0.01)]["within_tolerance"]
    assert (rows["exists_low"] <= rows["exists"]).all()
    assert rows["bound_holds"].all()
    figure = draw_sweep(made.networks, made.every, 0.01, made.needed(0.01))
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "error of a weight: worst; dotted: mean", "share of weights within 0.01", "test accuracy, %",
        "[-1, 1] within 0.01: share of draws",
    ]  # fmt: skip
    beyond = rows.loc[("uniform", 9, 0.01)]["beyond_tolerance"]
    said = describe_sweep(made.networks, 0.01)
    assert "With 9 candidates: uniform: worst error" in said
    assert 0 < beyond < 610
    assert f"{beyond:.0f} of 610 weights not within 0.01" in said


def test_the_command_writes_tables_and_a_figure(trained, tmp_path, command):
    said = command(
        "approximate", trained, "--candidates", 5, "--tolerance", 0.05, "--sweep", "--out", tmp_path / "s", "--json"
    )
    assert said.code == 0, said.err
    found = json.loads(said.out)
    assert {row["values"] for row in found["networks"]} == {"uniform", "normal", "signed_constant", "constant"}
    table = pd.read_csv(tmp_path / "s" / "sweep.csv")
    assert sorted(table["candidates"].unique()) == [2, 4, 5]
    assert sorted(table["tolerance"].unique()) == pytest.approx([0.005, 0.05, 0.5])
    assert sorted(path.name for path in (tmp_path / "s").iterdir()) == [
        "every.csv", "sweep.csv", "sweep.json", "sweep.pdf", "sweep.svg"
    ]  # fmt: skip
    about = json.loads((tmp_path / "s" / "sweep.json").read_text())
    assert (about["target"]["run"], about["target"]["round"]) == (tickets.load(trained).runs[0], 0)
    assert "candidates a weight" in (tmp_path / "s" / "sweep.svg").read_text()
    text = command("approximate", trained, "--candidates", 3, "--tolerance", 0.05, "--sweep")
    assert "worst error" in text.out
    row = command(
        "approximate", trained, "--candidates", 2, "--tolerance", 0.05, "--sweep", "--construction", "row", "--json"
    )
    assert {one["width_factor"] for one in json.loads(row.out)["networks"]} == {10 * 2 / 64}
    assert f"written to {trained / 'approximations' / 'sweep-'}" in text.out


def test_what_a_sweep_cannot_have_is_refused(trained, command):
    with pytest.raises(InputError, match=r"tolerances = 1\.5: must be above 0 and below 1"):
        sweeps.sweep(trained, [2], [0.1, 1.5])
    said = command("approximate", trained, "--candidates", 5, "--tolerance", 0.1, "--sweep", "--choose", "fewest")
    assert (said.code, said.err) == (2, "error: --choose fewest: goes without --sweep, which takes the nearest sums\n")
