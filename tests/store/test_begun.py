"""runs.json: a run that is gone as a whole, or a campaign.toml that is gone or another one's, is found."""

from __future__ import annotations

import json
import shutil

import pytest

import tickets
from tickets.errors import InputError
from tickets.store import run_folders, verify
from tickets.store.begun import Begun, read_begun, record_begun
from tickets.store.sealed import sealed_json, sealed_toml

TINY = {
    "rounds": 0,
    "replicates": 1,
    "arms": ["ticket"],
    "train": {"steps": 2, "evaluate_every": 2},
    "compute": {"strategy": "layered"},
}


@pytest.fixture(scope="module")
def two_runs(campaign_file, tmp_path_factory):
    """A campaign of two runs that differ in the learning rate alone: their networks begin with the same values."""
    folder = tmp_path_factory.mktemp("begun")
    file = campaign_file(folder, **TINY, sweep={"train.learning_rate": [0.1, 0.01]})
    tickets.run(file, out=folder / "out")
    return file, folder / "out"


@pytest.fixture
def copied(two_runs, tmp_path):
    file, folder = two_runs
    return file, shutil.copytree(folder, tmp_path / "out")


def found(folder):
    return [(problem.path.removeprefix(f"{folder}/"), problem.what) for problem in verify(folder)]


def repaired(file, folder):
    notes = []
    tickets.run(file, out=folder, repair=True, listener=lambda event: notes.append(getattr(event, "text", "")))
    assert verify(folder) == []
    return notes


def test_it_names_the_runs_and_the_campaign_file(copied):
    _, folder = copied
    begun = read_begun(folder)
    assert begun.runs == {run.name for run in run_folders(folder)}
    assert len(begun.campaigns) == 1
    assert verify(folder) == []


def test_a_run_that_is_gone_is_found_said_and_trained_again(copied, contents):
    file, folder = copied
    wanted, run = contents(folder), run_folders(folder)[0]
    shutil.rmtree(run)
    assert found(folder) == [(run.name, "missing: runs.json says that this run has begun")]
    notes = []
    tickets.run(file, out=folder, listener=lambda event: notes.append(getattr(event, "text", "")))
    assert f"{run}: was begun and is not there; it is trained again if the campaign file asks for it" in notes
    assert contents(folder) == wanted


def test_all_runs_may_be_gone(copied):
    _, folder = copied
    for run in run_folders(folder):
        shutil.rmtree(run)
    assert len(found(folder)) == 2


def test_a_run_that_nobody_asks_for_any_more_is_struck_off_by_a_repair(copied, campaign_file, tmp_path):
    _file, folder = copied
    one = campaign_file(tmp_path, **{**TINY, "train": {**TINY["train"], "learning_rate": 0.1}})
    tickets.run(one, out=folder)
    assert verify(folder) == []
    (lost,) = read_begun(folder).runs - {tickets.run(one, out=tmp_path / "one").runs[0]}
    shutil.rmtree(folder / lost)
    tickets.run(one, out=folder)
    assert found(folder) == [(lost, "missing: runs.json says that this run has begun")]
    repaired(one, folder)


def test_a_campaign_file_that_is_gone_is_found_and_written_anew(copied, contents):
    file, folder = copied
    wanted = contents(folder)
    (folder / "campaign.toml").unlink()
    assert found(folder) == [("campaign.toml", "missing: runs.json says that it was written")]
    with pytest.raises(InputError, match=r"holds runs .* and no campaign\.toml; .*--repair"):
        tickets.run(file, out=folder)
    repaired(file, folder)
    assert contents(folder) == wanted


def test_a_campaign_file_of_another_folder_is_found(copied, campaign_file, tmp_path):
    file, folder = copied
    (folder / "campaign.toml").write_bytes(sealed_toml('name = "tiny"\n'))
    assert found(folder) == [("campaign.toml", "is not the one that was written last: runs.json has another SHA-256")]
    repaired(file, folder)


def test_a_lost_or_damaged_one_is_found_and_written_anew(copied, contents):
    file, folder = copied
    wanted, path = contents(folder), folder / "runs.json"
    data = path.read_bytes()
    path.unlink()
    assert found(folder) == [("runs.json", "missing, though there are runs that were in it")]
    path.write_bytes(data.replace(b"seed", b"weed"))
    ((name, what),) = found(folder)
    assert (name, what[:26]) == ("runs.json", "damaged or changed by hand")
    with pytest.raises(InputError, match=r"runs\.json: take it from a backup, or have it written anew \(.*--repair"):
        tickets.run(file, out=folder)
    assert any("runs.json: damaged or changed by hand" in note for note in repaired(file, folder))
    (aside,) = folder.glob("set-aside-runs.json-*")
    aside.unlink()
    assert contents(folder) == wanted


@pytest.mark.parametrize("content", [{"runs": 1}, {"runs": "ab", "campaigns": []}, {"runs": [1], "campaigns": []}, {}])
def test_one_of_another_form_is_damage_and_no_crash(tmp_path, content):
    (tmp_path / "runs.json").write_bytes(sealed_json({"schema": 1, **content}))
    with pytest.raises(InputError, match=r"runs\.json: damaged, \w+ is no list of texts"):
        read_begun(tmp_path)


def test_names_that_lead_out_of_the_folder_are_passed_over(tmp_path):
    (tmp_path / "runs.json").write_bytes(
        sealed_json({"schema": 1, "campaigns": [], "runs": ["../elsewhere", "/etc", "."]})
    )
    assert found(tmp_path) == [("campaign.toml", "missing: runs.json says that it was written")]


def test_runs_that_are_copied_alone_and_folders_of_earlier_versions_verify(copied, tmp_path):
    _, folder = copied
    run = run_folders(folder)[0]
    shutil.copytree(run, tmp_path / "copies" / "of another name")
    assert verify(tmp_path / "copies") == []
    (folder / "runs.json").unlink()
    for one in run_folders(folder):
        content = json.loads((one / "run.json").read_bytes())
        del content["listed"], content["sha256"]
        (one / "run.json").write_bytes(sealed_json(content))
    assert verify(folder) == []
    tickets.run(copied[0], out=folder)
    assert len(read_begun(folder).runs) == 2


def test_between_two_campaign_files_both_are_right(tmp_path):
    (tmp_path / "campaign.toml").write_bytes(b"old")
    record_begun(tmp_path, [], lambda: None, b"new")
    before = read_begun(tmp_path)
    assert len(before.campaigns) == 2
    (tmp_path / "campaign.toml").write_bytes(b"new")
    record_begun(tmp_path, [], lambda: None)
    assert read_begun(tmp_path).campaigns < before.campaigns
    assert read_begun(tmp_path) != Begun()


def test_a_run_is_durable_before_it_is_named(tmp_path, monkeypatch):
    """Its process may have been killed before it synced the run's folder; a power cut must not lose what is named."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").touch()
    done = []
    monkeypatch.setattr("tickets.store.begun.sync_folder", lambda path: done.append(path.name))
    monkeypatch.setattr("tickets.store.begun.replace_file", lambda path, *_: done.append(path.name))
    record_begun(tmp_path, ["run", "not begun"], lambda: None)
    assert done == ["run", "runs.json"]


def test_a_start_that_was_killed_before_anything_else_was_written_is_gone_on_with(two_runs, tmp_path):
    file, _ = two_runs
    (tmp_path / "out").mkdir()
    record_begun(tmp_path / "out", [], lambda: None, b"")
    tickets.run(file, out=tmp_path / "out")
    assert verify(tmp_path / "out") == []


def test_runs_whose_folders_are_exchanged_are_found_and_stay_as_they_are(copied, contents):
    file, folder = copied
    one, other = run_folders(folder)
    between = folder / "between"
    one.rename(between)
    other.rename(one)
    between.rename(other)
    wanted = contents(folder)
    said = f"is of run '{other.name}', and in the folder of another one; rename the folder"
    assert (one.name, said) in found(folder)
    for repair in (False, True):
        with pytest.raises(InputError, match=f"is of run '{other.name}', and in the folder of another one"):
            tickets.run(file, out=folder, repair=repair)
    assert contents(folder) == wanted


def test_a_link_to_a_run_is_found(copied, tmp_path):
    _, folder = copied
    run = run_folders(folder)[0]
    run.rename(tmp_path / "elsewhere")
    run.symlink_to(tmp_path / "elsewhere")
    assert dict(found(folder))[run.name] == "is a link to a run, and links in a campaign's folder are not followed"
