"""A regression in every command, figure and line of progress; and interrupted."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from small_regressions import SMALL, TRAIN

import tickets
from tickets.store import status, verify


def test_every_command_reads_a_regression(trained, command, tmp_path):
    file, saved = trained("mse")
    folder = tmp_path / "out"
    (run,) = saved.runs
    again = command("run", file, "--out", folder)
    assert (again.code, again.err) == (0, "")
    assert "test R2 at early stop, mean ± standard deviation over 3 replicates" in again.out
    for text in (again.out, command("compare", folder).out, command("claims", folder).out):
        assert "points" not in text
        assert "accuracy" not in text.replace(run, "")
    assert "test R2 at early stop, ticket minus control; margin of equivalence: 0." in command("compare", folder).out
    compared = json.loads(command("compare", folder, "--json").out)
    assert {row["metric"] for row in compared} == {"early_stop_test_accuracy"}
    losses = command("compare", folder, "--metric", "final_test_loss").out
    assert "test loss at the last step, ticket minus control; margin of equivalence: " in losses
    assert "nats" not in losses
    (claim,) = json.loads(command("claims", folder, "--json").out)
    assert (claim["id"], claim["n"]) == ("winning_ticket", 0 if claim["density"] is None else 3)
    assert command("status", folder).code == 0
    assert [one.state for one in status(folder)] == ["done"]
    assert verify(folder) == []
    assert command("report", folder).code == 0
    page = (folder / "report" / "index.html").read_text()
    words = re.sub(r"<style>.*?</style>|<[^>]*>", "", page, flags=re.DOTALL)
    assert "Test R2 at early stop" in words
    assert "points" not in words
    numbers = next((folder / "report" / "tables").rglob("accuracy.csv")).read_text()
    assert numbers.startswith("round,density,arm,n,mean,low,high")
    (code,) = (folder / "report" / "figures").rglob("curves.py")
    assert "labels=labels" in code.read_text()


def test_the_lines_of_a_figure_draw_it(trained, tmp_path, monkeypatch):
    _, saved = trained("mse")
    from tickets.analysis.report.run_chapter import chapter_of_run

    plots = chapter_of_run(saved, saved.runs[0]).plots
    monkeypatch.chdir(tmp_path)
    Path("runs/saved").mkdir(parents=True)
    Path("runs/saved/tiny").symlink_to(tmp_path / "out")
    for plot in plots:
        if plot.name in ("accuracy", "curves"):
            exec(plot.drawn.code, {})
            assert Path(f"{plot.name}.pdf").stat().st_size > 1000


def test_an_interrupted_regression_goes_on_with_the_same_bits(name, campaign_file, watcher, contents, tmp_path):
    train = {**TRAIN, "loss": "mse", "evaluate_on": 10}
    options = {"data": f"{name}:data", "model": f"{name}:net", "train": train, "rewind": {"step": 10}, **SMALL}
    file = campaign_file(tmp_path, **options)
    tickets.run(file, out=tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        tickets.run(file, out=tmp_path / "broken", listener=watcher(stop=(1, 20)))
    assert [one.state for one in status(tmp_path / "broken")] == ["partial"]
    tickets.run(file, out=tmp_path / "broken")
    assert contents(tmp_path / "broken") == contents(tmp_path / "whole")


def test_what_is_said_while_it_trains(name, campaign_file, watcher, tmp_path):
    from tickets.command_line.progress import line

    listener = watcher()
    options = {"data": f"{name}:data", "model": f"{name}:net", **SMALL}
    file = campaign_file(tmp_path, train={**TRAIN, "loss": "mse"}, **options)
    saved = tickets.run(file, out=tmp_path / "out", listener=listener)
    r2 = saved.rounds.query("round == 2").groupby("arm", sort=False)["early_stop_test_accuracy"].mean()
    assert f"test R2: ticket {r2['ticket']:.4f}  reinit {r2['reinit']:.4f}" in line(listener.rounds[2])
