"""A folder that is moved, removed or replaced while it is written to."""

from __future__ import annotations

import shutil

import pytest
from played_campaign import EXAMPLE, contents, play

from tickets.errors import DiskError
from tickets.store import unmoved

SAID = r"was moved, removed or replaced while the campaign ran, .*move it back and run the same command to go on"


def moved(folder):
    folder.rename(folder.with_name("elsewhere"))


def removed(folder):
    shutil.rmtree(folder)


def replaced(folder):
    shutil.copytree(folder, folder.with_name("copy"))
    shutil.rmtree(folder)
    folder.with_name("copy").rename(folder)


def hidden_by_a_file(folder):
    shutil.rmtree(folder)
    folder.write_text("")


@pytest.mark.parametrize("change", [moved, removed, replaced, hidden_by_a_file])
@pytest.mark.parametrize("which", ["the run's folder", "the campaign's folder"])
def test_nothing_is_committed_to_a_folder_that_is_no_longer_the_same(change, which, tmp_path):
    campaign = tmp_path / "campaign"
    commits = []

    def then(name):
        commits.append(name)
        if len(commits) == 1:
            change(campaign if which == "the campaign's folder" else campaign / EXAMPLE.run_id)

    after = SAID if change is replaced else "cannot be written|" + SAID
    with pytest.raises(DiskError, match=after):
        play(campaign, then)
    assert len(commits) == 1
    found = {path.parent.name for path in tmp_path.rglob("manifest.json")}
    assert found == (set() if change in (removed, hidden_by_a_file) else {"initial", "rewind", "round-000"})
    if change is removed:
        assert not list(tmp_path.rglob("*.json"))
    if change is moved:
        elsewhere = campaign.with_name("elsewhere")
        (campaign / "elsewhere").rename(campaign / EXAMPLE.run_id) if not elsewhere.exists() else elsewhere.rename(
            campaign
        )
        play(tmp_path / "whole")
        play(campaign)
        assert contents(campaign) == contents(tmp_path / "whole")


def test_a_new_folder_of_the_same_name_is_another_one(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    with unmoved(folder) as check:
        check()
        folder.rmdir()
        folder.mkdir()  # many file systems give it the number of the one that was removed, if that is free
        with pytest.raises(DiskError, match=SAID):
            check()


def test_a_folder_that_is_not_there(tmp_path):
    with (
        pytest.raises(DiskError, match=r"run: cannot be written \(No such file or directory\)"),
        unmoved(tmp_path / "run"),
    ):
        raise AssertionError
