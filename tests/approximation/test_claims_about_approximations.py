"""The table of saved approximations, and the claims about them, again from their results."""

from __future__ import annotations

import json
import shutil

import pytest
from tickets.analysis.approximations import COLUMNS, approximations, constructed, equal_numbers_fail

import tickets
from tickets.approximation.approximating import approximate
from tickets.errors import InputError


@pytest.fixture(scope="module")
def folder(trained, tmp_path_factory):
    """A campaign with approximations of both kinds, one of them unfinished."""
    out = tmp_path_factory.mktemp("approximated") / "out"
    shutil.copytree(trained, out, ignore=shutil.ignore_patterns("approximations"))
    approximate(out, 14, 0.01)
    approximate(out, 6, 0.01, values="constant")
    unfinished = out / "approximations" / "unfinished"
    unfinished.mkdir()
    return out


def test_the_table_is_what_was_measured(folder):
    saved = tickets.load(folder)
    table = approximations(saved)
    assert list(table.columns) == COLUMNS
    assert sorted(table["values"]) == ["constant", "uniform"]
    for row in table.to_dict("records"):
        result = json.loads((folder / "approximations" / row["folder"] / "result.json").read_bytes())["result"]
        for name in ("accuracy", "target_accuracy", "worst_error", "kept_per_weight", "candidates", "seconds"):
            assert row[name] == result[name]
        assert (row["run"], row["round"], row["arm"], row["replicate"]) == (saved.runs[0], 0, "ticket", 0)
    # A run's own folder, and the table of a run that has none.
    assert len(approximations(tickets.load(folder / saved.runs[0]))) == 2
    assert approximations(saved, "other").empty


def test_answers_follow_from_the_accuracies(folder, monkeypatch):
    saved = tickets.load(folder)
    table = approximations(saved)
    run = saved.runs[0]
    for claim, values, holds in (
        (constructed, "uniform", lambda lost: lost <= 0.001),
        (equal_numbers_fail, "constant", lambda lost: lost > 0.001),
    ):
        (row,) = table[table["values"] == values].to_dict("records")
        found = claim(saved, run)
        assert found["answer"] == ("yes" if holds(row["target_accuracy"] - row["accuracy"]) else "no")
        assert found["estimate"] == pytest.approx(row["accuracy"] - row["target_accuracy"])
        assert f"{100 * row['accuracy']:.2f} % of {100 * row['target_accuracy']:.2f} %" in found["why"]
        for accuracy, expected in ((0.90, {"uniform": "no"}), (0.9791, {"uniform": "yes"})):
            made = table.assign(accuracy=accuracy, target_accuracy=0.98)
            monkeypatch.setattr("tickets.analysis.approximations.approximations", lambda saved, run, made=made: made)
            opposite = {"yes": "no", "no": "yes"}[expected["uniform"]]
            assert claim(saved, run)["answer"] == (expected["uniform"] if claim is constructed else opposite)
        monkeypatch.undo()


def test_nothing_is_said_without_an_approximation(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "out", ignore=shutil.ignore_patterns("approximations"))
    saved = tickets.load(tmp_path / "out")
    assert approximations(saved).empty
    assert constructed(saved, saved.runs[0])["answer"] == "cannot tell"
    assert "`tickets approximate` makes one" in equal_numbers_fail(saved, saved.runs[0])["why"]


def test_a_damaged_result_is_an_error(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "out")
    result = next((tmp_path / "out" / "approximations").glob("*/result.json"))
    result.write_bytes(result.read_bytes().replace(b'"uniform"', b'"normal"').replace(b'"constant"', b'"normal"'))
    with pytest.raises(InputError, match=r"result\.json"):
        approximations(tickets.load(tmp_path / "out"))
