"""After a power cut at any step, whatever the disk has forgotten: no acknowledged round is lost, none is torn."""

from __future__ import annotations

import pytest
from played_campaign import Checks, contents, lost_or_torn, play
from simulated_disk import SimulatedDisk, files_of, make
from stepped import stepped


class FoundError(Exception):
    """What a power cut would have destroyed."""


class Cuts:
    """Plays the campaign on a simulated disk. `tree(content, acknowledged)` is called with all that cuts may leave."""

    def __init__(self, root, tree, forgets=None):
        self.acknowledged, self.steps, self.tree = [], 0, tree
        root.mkdir()
        self.disk = SimulatedDisk(root, self.cut, forgets)
        with stepped(root, self.disk):
            play(root / "campaign", self.acknowledge)

    def acknowledge(self, name):
        self.acknowledged.append(name)
        self.cut("acknowledged")

    def cut(self, name):
        self.steps += 1
        for tree in self.disk.trees():
            self.tree(tree, tuple(self.acknowledged))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "campaign"
    play(folder)
    return contents(folder)


def test_a_power_cut_at_any_step_loses_no_acknowledged_round(whole, tmp_path):
    found = {}
    cuts = Cuts(tmp_path / "disk", lambda tree, acknowledged: found.update({repr(tree): (tree, acknowledged)}))
    assert contents(tmp_path / "disk" / "campaign") == whole
    assert len(cuts.acknowledged) == 5
    check, resumed = Checks(whole), set()
    for number, (tree, acknowledged) in enumerate(found.values()):
        campaign = make(tree, tmp_path / str(number)) / "campaign"
        check(campaign, acknowledged)
        there = frozenset(contents(campaign))
        if there not in resumed:
            resumed.add(there)
            play(campaign)
            assert contents(campaign) == whole
    print(f"{cuts.steps} cuts, {len(found)} different disks, {len(resumed)} resumed")
    assert cuts.steps > 250
    assert len(resumed) > 8


FORGOTTEN = {
    "files": lambda path: path.endswith((".parquet", ".safetensors")),
    "the manifest": lambda path: path.endswith("manifest.json"),
    "the folder before it is renamed": lambda path: ".tmp-" in path and path.count("/") == 4,
    "the folder around it": lambda path: path.endswith("/cohort-000"),
    "the name of the cohort": lambda path: path.endswith("/digits-mlp-example"),
    "the name of the run": lambda path: path.endswith("/campaign"),
}


@pytest.mark.parametrize("what", FORGOTTEN)
def test_a_store_that_forgets_to_sync_is_found_out(what, whole, tmp_path):
    root = tmp_path / "disk"

    def look(tree, acknowledged):
        if wrong := lost_or_torn(files_of(tree.get("campaign", {})), acknowledged, whole):
            raise FoundError(wrong)

    def forgets(name, path):
        return FORGOTTEN[what](f"/{path.removeprefix(str(root)).lstrip('/')}")

    with pytest.raises(FoundError, match=r"was acknowledged and is lost|torn|is there in part"):
        Cuts(root, look, forgets)
