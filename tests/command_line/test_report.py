"""`tickets report`: where the page is, what stays as it was, wrong input."""

import os
import shutil

import pytest

import tickets
from tickets.store import run_folders


@pytest.fixture(scope="module")
def trained(campaign_file, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    tickets.run(campaign_file(folder, rounds=1), out=folder / "out")
    return folder


@pytest.fixture
def out(trained, tmp_path):
    """A tiny saved campaign, with its file beside it."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    return tmp_path / "out"


def test_it_prints_where_the_page_is_and_disturbs_no_other_command(command, out, campaign_file, contents):
    before = contents(out)
    runs = tickets.load(out).runs
    said = command("report", out)
    assert (said.code, said.out, said.err) == (0, f"{out / 'report' / 'index.html'}\n", "")
    assert (out / "report" / "index.html").read_text().startswith("<!doctype html>")
    after = {name: data for name, data in contents(out).items() if not name.startswith("report/")}
    assert after == before
    assert (tickets.load(out).runs, len(run_folders(out))) == (runs, 1)
    for name in ("status", "verify", "compare"):
        assert command(name, out).code == 0
    assert command("run", out.parent / "tiny.toml", "--out", out).code == 0
    first = {path: path.read_bytes() for path in (out / "report").rglob("*") if path.is_file()}
    assert command("report", out).code == 0
    assert {path: path.read_bytes() for path in (out / "report").rglob("*") if path.is_file()} == first


@pytest.mark.usefixtures("page_only")
def test_of_one_runs_folder_and_elsewhere(command, out, tmp_path):
    (run,) = tickets.load(out).runs
    said = command("report", out / run, "--out", tmp_path / "a" / "b")
    assert (said.code, said.out) == (0, f"{tmp_path / 'a' / 'b' / 'index.html'}\n")
    assert command("report", out / run).code == 0  # inside the run's own folder
    assert command("verify", out).code == 0
    assert tickets.load(out).runs == [run]


def test_only_one_figure(command, out, tmp_path):
    said = command("report", out, "--out", tmp_path / "one", "--only", "accuracy")
    names = ["accuracy.svg", "accuracy.csv", "accuracy.txt", "verdict.txt"]
    assert (said.code, said.out.splitlines()) == (0, [str(tmp_path / "one" / name) for name in names])
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == sorted(names)
    said = command("report", out, "--only", "acuracy")
    assert said.code == 2
    assert "--only = 'acuracy'" in said.err
    assert "did you mean 'accuracy'?" in said.err


@pytest.mark.parametrize(
    "surroundings",
    [
        {"MPLBACKEND": "module://matplotlib_inline.backend_inline", "MPLCONFIGDIR": os.devnull},
        {"MPLBACKEND": "no such thing", "HOME": os.devnull},
        {"MATPLOTLIBRC": "matplotlibrc"},
    ],
)
def test_a_notebooks_backend_and_the_users_settings_do_not_matter(command, started, out, tmp_path, surroundings):
    (tmp_path / "matplotlibrc").write_text("backend: nonsense\ntext.usetex: True\nfont.size: 30\nsvg.fonttype: path\n")
    assert command("report", out, "--out", tmp_path / "plain", "--only", "accuracy").code == 0
    where = {name: str(tmp_path / value) if name == "MATPLOTLIBRC" else value for name, value in surroundings.items()}
    process = started("report", out, "--out", tmp_path / "there", "--only", "accuracy", env={**os.environ, **where})
    _, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (0, "")
    drawn = [(tmp_path / name / "accuracy.svg").read_bytes() for name in ("plain", "there")]
    assert drawn[0] == drawn[1]


def test_a_settings_file_that_is_no_text_is_said(started, out, tmp_path):
    (tmp_path / "matplotlibrc").write_bytes(b"\xff\xfe")
    process = started("report", out, env={**os.environ, "MATPLOTLIBRC": str(tmp_path / "matplotlibrc")})
    printed, errors = process.communicate(timeout=120)
    assert (process.returncode, printed) == (2, "")
    assert errors.startswith("error: matplotlib cannot be loaded: ")
    assert len(errors.splitlines()) == 1


@pytest.mark.usefixtures("page_only")
def test_wrong_input_is_said(command, out, tmp_path):
    said = command("report", tmp_path / "nowhere")
    assert (said.code, said.out) == (2, "")
    assert "no such folder" in said.err
    (tmp_path / "empty").mkdir()
    assert command("report", tmp_path / "empty").code == 2
    (tmp_path / "file").write_text("")
    said = command("report", out, "--out", tmp_path / "file")
    assert (said.code, said.out) == (2, "")
    assert "is in the way" in said.err


def test_a_run_without_rounds_is_no_report(command, out):
    (run,) = tickets.load(out).runs
    shutil.rmtree(out / run / "cohort-000")
    said = command("report", out)
    assert (said.code, said.out) == (2, "")
    assert f"{run}: no round is saved yet" in said.err
    assert not (out / "report").exists()


@pytest.mark.usefixtures("page_only")
def test_a_damaged_run_is_named_on_the_terminal_too(command, campaign_file, tmp_path):
    tickets.run(campaign_file(tmp_path, rounds=0, sweep={"seed": [0, 1]}), out=tmp_path / "out")
    bad = tickets.load(tmp_path / "out").runs[0]
    (tmp_path / "out" / bad / "cohort-000" / "round-000" / "rounds.parquet").unlink()
    said = command("report", tmp_path / "out")
    assert said.code == 1
    assert said.err.startswith(f"{bad}: left out: ")
    assert said.out.endswith("index.html\n")
