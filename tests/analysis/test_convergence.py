"""Convergence by width: every number of the claims, the table and the chapter again from the saved tables."""

from __future__ import annotations

import math
import shutil

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from tickets.analysis.claims import claims
from tickets.analysis.convergence import (
    as_predicted,
    converging,
    level_of,
    no_slower_than_predicted,
    why_no_convergence,
    width_of,
)
from tickets.analysis.report import convergence_by_run, converging_study, draw_convergence, make_report
from tickets.analysis.report.convergence import chapter_of

import tickets

NORMAL, EQUAL = {"name": "normal", "scale": 1.0}, {"name": "constant", "value": 0.1}
MODULE = "tickets.analysis.convergence"


def claim(id, **options):
    return {"id": id, "says": f"about {id}", "density": 1, **options}


@pytest.fixture(scope="module")
def saved(campaign_file, tmp_path_factory):
    folder = tmp_path_factory.mktemp("converging")
    wide = {"model.widths": [64], "model.init": NORMAL}
    given = [
        claim("faster", metric="convergence.rate", trend="model.widths", where={"model.init": NORMAL}, expect="more"),
        claim(
            "reach", metric="convergence.training_loss", where=wide, against=0.05, expect="no more",
        ),
        claim(
            "equal", metric="convergence.training_loss", where={"model.widths": [64], "model.init": EQUAL},
            against={"model.init": NORMAL}, expect="more",
        ),
        {"id": "slow", "says": "no slower", "where": wide, "function": f"{MODULE}:no_slower_than_predicted"},
        {"id": "linear", "says": "as its linearisation", "where": wide, "function": f"{MODULE}:as_predicted"},
    ]  # fmt: skip
    train = {
        "optimizer": "sgd", "learning_rate": 4.0, "batch_size": 20, "steps": 120, "evaluate_every": 10,
        "loss": "mse_one_hot",
    }  # fmt: skip
    file = campaign_file(
        folder,
        name="converging", replicates=3, rounds=0, arms=["ticket"], claim=given,
        data={"name": "digits", "validation": 1277}, train=train,
        model={"name": "mlp", "bias": False, "parametrisation": "ntk"},
        probes=[{"name": "convergence", "loss": 0.05}, {"name": "gram", "examples": 20, "loss": 0.05}],
        sweep={"model.widths": [[64], [4], [16]], "model.init": [NORMAL, EQUAL]},
    )  # fmt: skip
    return tickets.load(tickets.run(file, out=folder / "out").folder, trust_code=True)


def run_of(saved, width, init):
    return next(run for run in saved.runs if saved.swept(run) == {"model.widths": [width], "model.init": init})


def the(saved, id):
    (row,) = [row for row in claims(saved).to_dict("records") if row["id"] == id]
    return row


def last(saved, run, column):
    table = saved.probe("convergence", run)
    return table[table["step"] == 120].set_index("replicate")[column].sort_index()


def test_the_table_is_of_the_last_step_and_of_both_probes(saved):
    table = converging(saved)
    assert len(table) == 6 * 3
    for run, rows in table.groupby("run"):
        gram = saved.probe("gram", run).set_index("replicate").sort_index()
        for name in ("training_loss", "rate", "relative_distance", "steps"):
            np.testing.assert_array_equal(rows[name], last(saved, run, name))
        for name, column in {"smallest": "smallest", "rate": "predicted_rate", "steps": "predicted_steps"}.items():
            np.testing.assert_array_equal(rows[column], gram[name])


def test_what_the_probe_measures_is_in_the_curves(saved):
    """Of the rate: numpy's line through the later half of the logarithms of the curve's own training loss."""
    for run in saved.runs:
        for replicate, curve in saved.curves[saved.curves["run"] == run].groupby("replicate"):
            probe = saved.probe("convergence", run)
            probe = probe[probe["replicate"] == replicate]
            np.testing.assert_allclose(probe["training_loss"], curve["train_loss"], rtol=1e-5)
            low = curve[curve["train_loss"] <= 0.05]["step"]
            end = low.min() if len(low) else 120
            half = curve[(curve["step"] >= end / 2) & (curve["step"] <= end)]
            if len(half) >= 3:
                slope = stats.linregress(half["step"], np.log(half["train_loss"])).slope
                assert probe["rate"].iloc[-1] == pytest.approx(-slope, rel=1e-3, abs=1e-7)
            assert probe["reached"].iloc[-1] == (len(low) > 0)


def test_claims_again_from_the_tables(saved):
    rates = pd.DataFrame({width: last(saved, run_of(saved, width, NORMAL), "rate") for width in (4, 16, 64)})
    rhos = [stats.spearmanr(rates.columns, row).statistic for _, row in rates.iterrows()]
    row = the(saved, "faster")
    assert (row["estimate"], row["n"], row["run"]) == (pytest.approx(np.mean(rhos)), 3, run_of(saved, 4, NORMAL))
    wide = last(saved, run_of(saved, 64, NORMAL), "training_loss")
    assert the(saved, "reach")["estimate"] == pytest.approx((wide - 0.05).mean())
    equal = last(saved, run_of(saved, 64, EQUAL), "training_loss")
    row = the(saved, "equal")
    assert (row["estimate"], row["answer"]) == (pytest.approx((equal - wide).mean()), "yes")


def test_claims_that_need_both_probes(saved):
    run = run_of(saved, 64, NORMAL)
    gram = saved.probe("gram", run).set_index("replicate").sort_index()
    difference = last(saved, run, "rate") - gram["rate"]
    half = stats.t.ppf(0.975, 2) * difference.std() / math.sqrt(3)
    row = the(saved, "slow")
    assert (row["estimate"], row["low"]) == (pytest.approx(difference.mean()), pytest.approx(difference.mean() - half))
    assert row["answer"] == ("yes" if row["low"] >= 0 else "cannot tell")
    found = the(saved, "linear")
    steps = last(saved, run, "steps")
    if steps.notna().all():
        later = [next(step for step in range(0, 10**6, 10) if step >= one) for one in gram["steps"]]
        assert found["estimate"] == pytest.approx(np.exp(np.log(steps / later).mean()))
    else:
        assert found["answer"] == "no"
    # Equal units never get there.
    other = as_predicted(saved, run_of(saved, 64, EQUAL))
    assert other["answer"] in ("no", "cannot tell")


def test_answers_of_made_up_tables(saved, monkeypatch):
    def answer(claim, **columns):
        run = saved.runs[0]  # evaluated every 10 steps
        table = pd.DataFrame({"run": run, "replicate": [0, 1, 2], **columns})
        monkeypatch.setattr(f"{MODULE}.converging_of_run", lambda saved, run: table)
        return claim(saved, run)["answer"]

    predicted = {"predicted_steps": [100.0, 200.0, 300.0]}
    assert answer(as_predicted, steps=[100.0, 200.0, 300.0], predicted_steps=[91.0, 200.0, 295.0]) == "yes"
    assert answer(as_predicted, steps=[101.0, 201.0, 302.0], **predicted) == "yes"
    assert answer(as_predicted, steps=[130.0, 250.0, 390.0], **predicted) == "no"
    assert answer(as_predicted, steps=[60.0, 200.0, 400.0], **predicted) == "cannot tell"
    # The run has 120 steps: enough for 100 and a tenth more, too few for 200.
    early = {"predicted_steps": [100.0, 100.0, 300.0]}
    assert answer(as_predicted, steps=[101.0, math.nan, 302.0], **early) == "no"
    assert answer(as_predicted, steps=[101.0, math.nan, 302.0], **predicted) == "cannot tell"
    assert answer(as_predicted, steps=[101.0, 200.0, 302.0], predicted_steps=[math.nan] * 3) == "cannot tell"
    rates = {"predicted_rate": [0.1, 0.2, 0.3]}
    assert answer(no_slower_than_predicted, rate=[0.2, 0.3, 0.41], **rates) == "yes"
    assert answer(no_slower_than_predicted, rate=[0.05, 0.15, 0.24], **rates) == "no"
    assert answer(no_slower_than_predicted, rate=[0.05, 0.3, 0.3], **rates) == "cannot tell"
    assert answer(no_slower_than_predicted, rate=[math.nan] * 3, **rates) == "cannot tell"


def test_why_there_is_no_prediction(saved, monkeypatch):
    """Without the probe gram or with one of some examples, the reader learns which it must be."""
    table = pd.DataFrame({"run": "a", "replicate": [0], "steps": [10.0], "rate": [0.1]})
    nothing = table.assign(predicted_steps=math.nan, predicted_rate=math.nan)
    monkeypatch.setattr(f"{MODULE}.converging_of_run", lambda saved, run: nothing)
    for claim in (as_predicted, no_slower_than_predicted):
        assert "the probe gram of all training examples" in claim(saved, saved.runs[0])["why"]


def test_widths_that_stand_for_a_number():
    assert [width_of({"model": {"widths": widths}}) for widths in ([8], [8, 8], [8, 4], [])] == [8, 8, None, None]
    assert width_of({"model": {}}) is None


def test_the_chapter_and_its_figure(saved):
    study = converging_study(saved)
    data = convergence_by_run(study)
    assert list(data.columns[:8]) == ["setting", "start", "kind", "width", "run", "n", "reached", "steps"]
    run = run_of(saved, 16, NORMAL)
    (row,) = data[data["run"] == run].to_dict("records")
    for name in ("training_loss", "rate", "relative_distance"):
        values = last(saved, run, name)
        ends = (row[name], row[f"{name}_least"], row[f"{name}_most"])
        assert ends == (pytest.approx(values.mean()), values.min(), values.max())
    assert row["reached"] == last(saved, run, "reached").sum()
    figure = draw_convergence(data, study.levels)
    assert len(figure.axes) == 4
    drawn = [list(line.get_ydata()) for line in figure.axes[3].lines]
    assert drawn == [list(rows["relative_distance"]) for _, rows in data.groupby("start", sort=False)]
    chapter = chapter_of(saved)
    (table,) = chapter.tables
    assert table.data["reached"].tolist() == [f"{a} of {b}" for a, b in zip(data["reached"], data["n"], strict=True)]
    files, left_out = make_report(saved)
    assert not left_out
    assert [name for name in files if name.endswith("convergence.svg")] != []


def test_a_campaign_that_measures_no_convergence_has_no_such_chapter(campaign_file, tmp_path):
    other = tickets.load(tickets.run(campaign_file(tmp_path, replicates=1, rounds=0), out=tmp_path / "out").folder)
    assert why_no_convergence(other) == 'no run measures its convergence; set probes = ["convergence", "gram"]'
    with pytest.raises(tickets.errors.InputError, match="no run measures its convergence"):
        converging_study(other)


def test_runs_that_differ_in_something_else_of_the_model_are_lines_of_their_own(campaign_file, tmp_path):
    file = campaign_file(
        tmp_path, replicates=1, rounds=0, probes=["convergence"],
        sweep={"model.widths": [[4], [8], [8, 8]], "model.dropout": [0.0, 0.2]},
    )  # fmt: skip
    other = tickets.load(tickets.run(file, out=tmp_path / "out").folder)
    data = convergence_by_run(converging_study(other))
    for _, row in data.iterrows():
        model = other.config(row["run"])["model"]
        depth = "2 hidden layers" if len(model["widths"]) == 2 else "1 hidden layer"
        assert row["start"] == f"pytorch [dropout {model.get('dropout', 0):g}, {depth}]"
    assert not data.duplicated(["start", "width"]).any()


def test_a_network_that_begins_below_the_loss_is_as_predicted(saved, monkeypatch):
    run = saved.runs[0]
    table = pd.DataFrame({"run": run, "replicate": [0, 1], "steps": [0.0, 0.0], "predicted_steps": [0.0, 0.0]})
    monkeypatch.setattr(f"{MODULE}.converging_of_run", lambda saved, run: table)
    found = as_predicted(saved, run)
    assert (found["answer"], found["estimate"]) == ("yes", 1.0)


def test_a_level_that_is_not_given_is_that_of_the_probe():
    assert level_of({"probes": ["units", "convergence"]}) == 1e-3
    assert level_of({"probes": [{"name": "convergence", "loss": 0.2}]}) == 0.2
    assert level_of({"probes": [{"name": "convergence", "examples": 5}]}) == 1e-3


def test_a_damaged_table_is_an_error_and_not_a_missing_one(saved, tmp_path):
    shutil.copytree(saved.folder, tmp_path / "out")
    table = next((tmp_path / "out").glob("*/cohort-000/round-000/convergence.parquet"))
    table.write_bytes(table.read_bytes()[:-9] + b"123456789")
    with pytest.raises(tickets.errors.InputError, match=r"convergence\.parquet"):
        converging(tickets.load(tmp_path / "out"))
