"""The README's examples, run as a reader would: in a folder that holds `runs/`, one after the other."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import tomli_w

from tickets.config import read_campaign

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


ONE_AFTER_ANOTHER = """
import sys
from tickets.command_line.app import main
for sys.argv in {commands}:
    try:
        main()
    except SystemExit as ended:
        print("\\n-- " + str(ended.code or 0), flush=True)
"""


def blocks(language):
    """The code blocks in a language, but for those that are files of their own (see test_outsider.py)."""
    found = re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE)
    return [block for block in found if not re.match(r"# \w+\.\w+\n", block)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("reader")
    (place / "runs").mkdir()
    for campaign in (ROOT / "runs").glob("*.toml"):
        shutil.copy(campaign, place / "runs")
    # Fewer replicates, rounds and arms: what is tested is that the examples run.
    demo = place / "runs" / "mnist1d.toml"
    table = tomllib.loads(demo.read_text())
    arms = [arm for arm in table["arms"] if arm in ("ticket", "reinit", "random_mask")]
    demo.write_text(tomli_w.dumps({**table, "replicates": 4, "rounds": 11, "arms": arms}))
    return place


def run(arguments, folder):
    done = subprocess.run(arguments, cwd=folder, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_python_examples_run_and_their_asserts_hold(folder):
    examples = blocks("python")
    assert len(examples) == 2
    assert all("assert" in example for example in examples)
    printed = run([sys.executable, "-W", "error", "-c", "\n".join(examples)], folder)
    assert "early_stop_test_accuracy" in printed


def test_commands_run(folder, preloaded):
    commands = [line for block in blocks("console") for line in block.splitlines() if line.startswith("$ tickets ")]
    wanted = {"run", "status", "compare", "claims", "report", "verify", "probe", "list"}
    assert {line.split()[2] for line in commands} == wanted
    # In one process, which imports torch once.
    given = repr([line.split()[1:] for line in commands])
    printed = run([sys.executable, "-c", ONE_AFTER_ANOTHER.format(commands=given)], folder)
    assert printed.count("\n-- 0\n") == len(commands)


def test_the_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text()
    targets = re.findall(r"^\$ make (\w+)", README, flags=re.MULTILINE)
    assert targets == ["demo", "test"]
    assert all(re.search(rf"^{target}:", makefile, flags=re.MULTILINE) for target in targets)


def test_the_campaign_file_is_one(tmp_path):
    (campaign,) = blocks("toml")
    path = tmp_path / "lenet.toml"
    path.write_text(campaign, encoding="utf-8")
    runs = read_campaign(path).runs
    assert [run.train.learning_rate for run in runs] == [1.2e-3, 1e-2]


def test_every_command_and_column_that_is_named_exists(folder):
    help_text = run([sys.executable, "-m", "tickets", "--help"], folder)
    for command in ("run", "status", "compare", "claims", "report", "verify", "probe", "list", "fetch"):
        assert f"tickets {command}" in README
        assert command in help_text
