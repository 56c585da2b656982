"""Several campaigns as one, and their settings as a table."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib

import pandas as pd
import pytest

import tickets
from tickets.errors import InputError
from tickets.store.configs import config_table

QUICK = {"replicates": 1, "rounds": 1, "train": {"steps": 3}, "arms": ["ticket", {"name": "reinit", "draws": 2}]}


@pytest.fixture(scope="module")
def campaigns(tmp_path_factory, campaign_file):
    """Two campaigns: `a` sweeps the learning rate, `b` counts units and has another model."""
    folder = tmp_path_factory.mktemp("campaigns")
    a = campaign_file(folder, **QUICK, name="a", sweep={"train.learning_rate": [0.01, 0.02]})
    b = campaign_file(
        folder, **{**QUICK, "replicates": 2}, name="b", model={"name": "mlp", "widths": [4, 5]}, seed=3,
        store={"units": True},
    )  # fmt: skip
    tickets.run(a, out=folder / "out" / "a")
    tickets.run(b, out=folder / "out" / "b")
    return folder / "out"


def test_several_campaigns_are_one(campaigns):
    a, b = (tickets.load(campaigns / name) for name in "ab")
    both = tickets.load([campaigns / "a", str(campaigns / "b")])
    assert both.runs == sorted([*a.runs, *b.runs])
    assert len(both.runs) == 3
    for name in ("rounds", "curves", "units"):
        parts = pd.concat([getattr(a, name), getattr(b, name)]).sort_values("run", kind="stable", ignore_index=True)
        pd.testing.assert_frame_equal(getattr(both, name), parts)
    (run,) = b.runs
    one, other = both.ticket(replicate=1, round=1, run=run), b.ticket(replicate=1, round=1)
    assert all((one.mask[name] == other.mask[name]).all() for name in other.mask)
    assert both.config(run) == b.config()
    assert both.folders == (campaigns / "a", campaigns / "b")
    with pytest.raises(InputError, match=r"/a, .*/b: say which run"):
        both.ticket(replicate=0, round=0)


def test_runs_folders_may_stand_in_the_list(campaigns):
    a = tickets.load(campaigns / "a")
    first, second = (campaigns / "a" / run for run in a.runs)
    assert tickets.load([first]).runs == [first.name]
    assert tickets.load((second, campaigns / "b", first)).runs == sorted([*a.runs, *tickets.load(campaigns / "b").runs])
    # What the list names twice is there once.
    pd.testing.assert_frame_equal(tickets.load([first, campaigns / "a", campaigns / "a"]).rounds, a.rounds)
    assert tickets.load([campaigns / "a", campaigns / "b" / ".." / "a" / first.name]).runs == a.runs


def test_a_run_that_two_campaigns_hold_is_refused(campaigns, tmp_path):
    shutil.copytree(campaigns / "a", tmp_path / "copy")
    run = tickets.load(campaigns / "a").runs[0]
    told = f"{campaigns / 'a' / run} and {tmp_path / 'copy' / run} both hold run {run}"
    with pytest.raises(InputError, match=told):
        tickets.load([campaigns / "a", tmp_path / "copy"])


def test_folders_that_hold_nothing(campaigns, tmp_path):
    with pytest.raises(InputError, match="names no folder"):
        tickets.load([])
    with pytest.raises(InputError, match=f"{tmp_path}/none: no such folder"):
        tickets.load([campaigns / "a", tmp_path / "none"])
    with pytest.raises(InputError, match=f"{tmp_path}: no saved run in it"):
        tickets.load([campaigns / "a", tmp_path])


def test_damage_is_left_out_run_by_run(campaigns, tmp_path):
    for name in "ab":
        shutil.copytree(campaigns / name, tmp_path / name)
    whole = tickets.load([tmp_path / "a", tmp_path / "b"]).rounds
    first, *others = tickets.load(tmp_path / "a").runs
    (tmp_path / "a" / first / "cohort-000" / "round-001" / "rounds.parquet").write_bytes(b"torn")
    found = tickets.load([tmp_path / "a", tmp_path / "b"], skip_damaged=True)
    assert list(found.damaged) == [first]
    wanted = whole[whole["run"] != first].reset_index(drop=True)
    pd.testing.assert_frame_equal(found.rounds, wanted)
    (tmp_path / "a" / others[0] / "run.json").write_bytes(b"torn")
    found = tickets.load([tmp_path / "a", tmp_path / "b"], skip_damaged=True)
    assert sorted(found.damaged) == sorted([first, others[0]])


def test_settings_merge_with_rounds(campaigns):
    saved = tickets.load([campaigns / "a", campaigns / "b"])
    configs = saved.configs
    assert configs["run"].tolist() == saved.runs
    by_run = configs.set_index("run")
    for run in saved.runs:
        config = saved.config(run)
        row = by_run.loc[run]
        assert row["train.learning_rate"] == config["train"]["learning_rate"]
        assert row["model.name"] == "mlp"
        assert row["model.widths"] == tuple(config["model"]["widths"])
        assert row["model.init"] == "pytorch"
        assert row["data.validation"] == 200
        assert row["seed"] == config["seed"]
        assert dict(row["arms"][1])["draws"] == 2
    merged = saved.rounds.merge(configs, on="run", validate="many_to_one")
    assert len(merged) == len(saved.rounds)
    rates = merged.groupby("train.learning_rate")["run"].nunique()
    assert rates.to_dict() == {0.01: 2, 0.02: 1}
    assert merged.groupby("model.widths")["seed"].unique().map(list).to_dict() == {(8,): [0], (4, 5): [3]}


def test_no_torch_is_imported(campaigns):
    code = (
        f"import sys, tickets; saved = tickets.load([{str(campaigns / 'a')!r}, {str(campaigns / 'b')!r}]); "
        "saved.rounds.merge(saved.configs); print('torch' in sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (ended.stdout, ended.stderr) == ("False\n", "")


def test_every_key_of_the_file_has_its_column(campaigns):
    written = tomllib.loads((campaigns / "b" / "campaign.toml").read_text())
    columns = set(tickets.load(campaigns / "b").configs)
    for key, value in written.items():
        names = [f"{key}.{inner}" for inner in value] if isinstance(value, dict) else [key]
        assert set(names) <= columns


def test_a_name_with_options_in_one_run_and_without_in_another_has_one_column():
    plain, table = {"prune": {"score": "magnitude"}}, {"prune": {"score": {"name": "snip", "examples": 5}}}
    configs = config_table({"a": plain, "b": table})
    assert list(configs["prune.score"]) == list(configs["prune.score.name"]) == ["magnitude", "snip"]
    assert list(configs["prune.score.examples"].dropna()) == [5]
    assert list(config_table({"a": plain}).columns) == ["run", "prune.score"]
