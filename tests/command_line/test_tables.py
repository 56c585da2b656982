from __future__ import annotations

import io
import re
import sys

import pytest

import tickets
from tickets.command_line.tables import print_results, print_status
from tickets.store import RunStatus


def a_status(**changes):
    values = {
        "run": "digits-mlp-adam-0.01-seed0-0123456789",
        "state": "done",
        "why": None,
        **{f"{what}_{how}": 18 for what in ("rounds", "replicates", "trainings") for how in ("done", "wanted")},
        "diverged": 0,
        "missing_arms": [],
        "asked": True,
    }
    return RunStatus(**{**values, **changes})


def test_a_run_is_a_line_and_reasons_stand_below(capsys):
    why = "RuntimeError: [strange] " + "long reason " * 20 + "ends"
    lacking = a_status(run="third", state="partial", missing_arms=["reinit", "constant"])
    print_status([a_status(), a_status(run="other", state="failed", why=why, trainings_done=5), lacking])
    printed = capsys.readouterr().out.splitlines()
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in printed if line.startswith("│")]
    assert rows == [
        ["digits-mlp-adam-0.01-seed0-0123456789", "done", "18/18", "18/18", "18/18"],
        ["other", "failed", "18/18", "18/18", "5/18"],
        ["third", "partial", "18/18", "18/18", "18/18"],
    ]
    assert printed[-2:] == [f"other: {why}", "third: lacks reinit, constant"]  # [strange] is not taken for markup


def test_diverged_is_a_column_only_where_trainings_diverged(capsys):
    print_status([a_status()])
    assert "diverged" not in capsys.readouterr().out
    print_status([a_status(), a_status(run="other", diverged=3)])
    out = capsys.readouterr().out
    assert re.search(r"trainings +┃ diverged", out)
    assert re.search(r"│ other .*│ +3 │", out)


def test_the_results_are_a_table_a_run(campaign_file, tmp_path, capsys):
    file = campaign_file(tmp_path, rounds=1, replicates=1, arms=["ticket"], sweep={"seed": [0, 1]})
    saved = tickets.run(file, out=tmp_path / "out")
    print_results(tmp_path / "out", saved.runs)
    printed = capsys.readouterr().out
    for run in saved.runs:
        assert f"{run}: test accuracy at early stop, %, 1 replicate\n" in printed
    value = 100 * saved.rounds["early_stop_test_accuracy"].iloc[0]
    assert f"{value:.2f}" in printed
    assert printed.endswith(f"saved in {tmp_path / 'out'}\n")
    print_results(tmp_path / "out", saved.runs[:1])
    assert saved.runs[1] not in capsys.readouterr().out


def test_what_diverged_is_counted_below_the_table(campaign_file, tmp_path, capsys):
    arms = ["ticket", {"name": "constant", "value": 1e30}]
    saved = tickets.run(campaign_file(tmp_path, rounds=0, arms=arms), out=tmp_path / "out")
    print_results(tmp_path / "out", saved.runs)
    printed = capsys.readouterr().out
    assert "2 of 4 trainings diverged; the means leave them out" in printed
    assert "diverged │" in printed or "diverged |" in printed


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "ascii"])
def test_any_encoding_of_the_output_will_do(encoding, campaign_file, tmp_path, monkeypatch):
    file, raw = campaign_file(tmp_path, rounds=0), io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding, write_through=True))
    monkeypatch.setattr(sys, "argv", ["tickets", "run", str(file), "--out", str(tmp_path / "out")])
    from tickets.command_line.app import main

    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code
    assert b"1.0000" in raw.getvalue()


@pytest.mark.parametrize("columns", [40, 80, 100, 200])
def test_status_has_each_id_whole_in_a_line_on_any_terminal(columns, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", Terminal())
    runs = [f"mnist1d-mlp-train.learning_rate-0.0{number}-seed0-0123456789" for number in (1, 2)]
    print_status([a_status(run=run, rounds_done=number) for number, run in enumerate(runs)])
    text = re.sub(r"\x1b\[[0-9;]*m", "", sys.stdout.getvalue())
    assert "…" not in text
    for number, run in enumerate(runs):
        lines = [line for line in text.splitlines() if run in line]
        assert lines
        cells = " ".join(line.partition(run)[2] for line in lines).replace("│", " ").split()
        assert cells == ["done", f"{number}/18", "18/18", "18/18"]
