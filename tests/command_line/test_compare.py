"""`tickets compare`: the table, the line, JSON, and what it says about folders that cannot be compared."""

import json
import shutil

import pytest

import tickets

CONTRACT = [
    "run", "round", "density", "arm", "metric", "n", "difference", "low", "high", "p", "p_adjusted", "verdict",
]  # fmt: skip
SIMULTANEOUS = ["band_low", "band_high", "margin"]


@pytest.fixture
def compared(campaign_file, tmp_path):
    """compared(...) trains the tiny campaign, changed, and gives its folder."""

    def make(**changes):
        tickets.run(campaign_file(tmp_path, **{"rounds": 1, **changes}), out=tmp_path / "out")
        return tmp_path / "out"

    return make


def test_a_table_and_the_winning_ticket_line_for_each_run(command, compared):
    out = compared(sweep={"seed": [0, 1]})
    said = command("compare", out)
    assert (said.code, said.err) == (0, "")
    for run in tickets.load(out).runs:
        heading = "test accuracy at early stop, ticket minus control, points; margin of equivalence: "
        assert f"{run}: {heading}" in said.out
        (line,) = (line for line in said.out.splitlines() if line.startswith(f"{run}: Cannot tell"))
        assert "(2 replicates; no density was named before training, so 95 % intervals are simultaneous over" in line
    rows = [line for line in said.out.splitlines() if line.startswith(("│ reinit", "│ random_mask"))]
    assert len(rows) == 2 * 2 * 2  # runs, rounds, controls
    assert "no p: with 2 replicates none could fall below 0.5 (exact sign flips); 6 are needed" in said.out


def test_the_numbers_shown_are_those_of_python(command, compared):
    out = compared()
    said = command("compare", out).out
    rounds = tickets.load(out).rounds
    for row in tickets.analysis.compare(rounds).to_dict("records"):
        (line,) = (
            line for line in said.splitlines() if f"│ {row['arm']} " in line and f" {row['density']:.4f} " in line
        )
        cells = [cell.strip() for cell in line.split("│")[3:]]
        interval = f"[{100 * row['band_low']:+.2f}, {100 * row['band_high']:+.2f}]"
        assert cells[:4] == ["2", f"{100 * row['difference']:+.2f}", interval, row["verdict"]]
        last = rounds[(rounds["round"] == row["round"])].groupby("arm")["final_test_accuracy"].mean()
        assert float(cells[4]) == pytest.approx(100 * (last["ticket"] - last[row["arm"]]), abs=0.0051)
        assert cells[5] == f"{100 * row['smallest']:.2f}"


def test_json_is_a_list_of_objects_with_null_for_what_there_is_not(command, compared):
    out = compared()
    said = command("compare", out, "--json")
    assert (said.code, said.err) == (0, "")
    found = json.loads(said.out, parse_constant=pytest.fail)  # no NaN, which is not JSON
    assert [list(one) for one in found] == [[*CONTRACT, *SIMULTANEOUS]] * 4
    assert {one["p"] for one in found} == {one["p_adjusted"] for one in found} == {None}
    wanted = tickets.analysis.compare(tickets.load(out).rounds)
    assert [one["difference"] for one in found] == wanted["difference"].tolist()
    assert found[0]["metric"] == "early_stop_test_accuracy"


def test_with_six_replicates_there_is_a_p(command, compared):
    out = compared(replicates=6, train={"steps": 5, "evaluate_every": 5})
    assert all(0 < one["p"] <= one["p_adjusted"] <= 1 for one in json.loads(command("compare", out, "--json").out))
    said = command("compare", out).out
    assert "p adjusted" in said
    assert "no p:" not in said


def test_another_metric_and_margin(command, compared):
    out = compared()
    said = command("compare", out, "--metric", "early_stop_step", "--margin", "0.2")
    assert "early-stop step, ticket / control, ratio; margin of equivalence: 20 %" in said.out
    (first, *_) = json.loads(command("compare", out, "--json", "--metric", "early_stop_step").out)
    assert list(first) == [*CONTRACT, *SIMULTANEOUS, "ratio", "ratio_low", "ratio_high"]
    assert first["metric"] == "early_stop_step"
    losses = command("compare", out, "--metric", "early_stop_validation_loss", "--margin", "1000").out
    assert "lowest validation loss, ticket minus control, nats; margin of equivalence: 1000 nats" in losses
    wide = json.loads(command("compare", out, "--json", "--margin", "1").out)
    assert {one["verdict"] for one in wide} <= {"equivalent", "cannot tell"}
    assert {one["verdict"] for one in wide} != {"cannot tell"}


def test_one_replicate_is_told_why_there_is_no_interval(command, compared):
    out = compared(replicates=1)
    said = command("compare", out)
    assert said.code == 0
    assert "one replicate: no interval, since one difference has no spread; raise `replicates` to 2 or more" in said.out
    assert "Cannot tell whether there is a winning ticket (1 replicate; " in said.out
    assert "  One replicate gives no interval; raise `replicates` and give the same command again." in said.out
    for one in json.loads(command("compare", out, "--json").out):
        assert (one["n"], one["low"], one["high"], one["verdict"]) == (1, None, None, "cannot tell")
        assert one["difference"] is not None


def test_diverged_trainings_are_counted_and_the_other_verdict_is_told(command, compared):
    out = compared(replicates=3, arms=["ticket", "reinit", {"name": "constant", "value": 1e30}])
    said = command("compare", out).out
    assert (
        "6 trainings of 18 without a value (6 diverged) left out; counted as the worst possible value, constant" in said
    )
    assert ": better" in said
    assert "6 of 18 trainings diverged and are left out; counted as the worst possible value" in said


def test_one_damaged_run_is_named_and_the_rest_compared(command, compared):
    out = compared(sweep={"seed": [0, 1]})
    bad, good = tickets.load(out).runs
    path = out / bad / "cohort-000" / "round-001" / "rounds.parquet"
    path.write_bytes(path.read_bytes()[:-1])
    said = command("compare", out)
    assert said.code == 1
    assert said.err.startswith(f"{bad}: left out: ")
    assert "round-001/rounds.parquet" in said.err
    assert f"{good}: test accuracy" in said.out
    assert bad not in said.out
    found = command("compare", out, "--json")
    assert (found.code, {one["run"] for one in json.loads(found.out)}) == (1, {good})
    (out / good / "cohort-000" / "round-001" / "rounds.parquet").unlink()
    said = command("compare", out)
    assert (said.code, said.out) == (2, "")
    assert len(said.err.splitlines()) == 2


def test_a_run_without_controls_beside_one_with_them(command, campaign_file, tmp_path):
    for seed, arms in enumerate([["ticket"], ["ticket", "reinit"]]):
        tickets.run(campaign_file(tmp_path, rounds=1, seed=seed, arms=arms), out=tmp_path / str(seed))
        shutil.copytree(tmp_path / str(seed), tmp_path / "both", dirs_exist_ok=True)
    without, with_one = (tickets.load(tmp_path / name).runs[0] for name in "01")
    said = command("compare", tmp_path / "both")
    assert (said.code, said.err) == (0, "")
    assert f"{without}: no control to compare the ticket with\n" in said.out
    assert f"{with_one}: test accuracy at early stop, ticket minus control" in said.out
    for run in (without, with_one):
        assert any(f"{run}: {verdict}" in said.out for verdict in ("Cannot tell whether", "No winning", "A winning"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--metric", "final_accuracy"], "metric = 'final_accuracy': must be one of early_stop_test_accuracy, "),
        (["--metric", "final_accuracy"], "did you mean 'final_test_accuracy'?"),
        (["--margin", "-1"], "margin = -1.0: must be a number >= 0"),
    ],
)
def test_wrong_options_are_said(command, compared, options, message):
    said = command("compare", compared(rounds=0), *options)
    assert (said.code, said.out) == (2, "")
    assert message in said.err


def test_folders_with_nothing_to_compare_are_said(command, compared, tmp_path):
    (tmp_path / "empty").mkdir()
    said = command("compare", tmp_path / "empty")
    assert (said.code, said.out) == (2, "")
    assert "no saved run in it" in said.err
    said = command("compare", tmp_path / "none")
    assert (said.code, said.err.splitlines()) == (2, [said.err.strip()])
    said = command("compare", compared(arms=["ticket"]))
    assert (said.code, said.out) == (2, "")
    assert "no ticket with a control to compare it with; add one to `arms` in the campaign file" in said.err
