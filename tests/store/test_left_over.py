"""What is saved and no longer in the campaign file: said by hand, by a campaign, and by every command."""

from __future__ import annotations

import itertools
import json

import pytest

import tickets
from tickets.config import parse_run
from tickets.store import left_over, status
from tickets.store.left_over import Trained

ARMS = ["ticket", {"name": "reinit", "draws": 2}, "shuffle"]
STAY = "are saved and no longer in the campaign file; they stay and are shown"
STAYS = "is saved and no longer in the campaign file; it stays and is shown"


def run(**changes):
    return parse_run(
        {"name": "t", "data": "digits", "model": "mlp", "replicates": 2, "rounds": 1, "arms": ARMS} | changes
    )


def grid(replicates=2, rounds=2, arms=(("ticket", 1), ("reinit", 2), ("shuffle", 1))):
    pairs = [(arm, draw) for arm, draws in arms for draw in range(draws)]
    return [Trained(r, n, *pair) for r, n, pair in itertools.product(range(replicates), range(rounds), pairs)]


@pytest.mark.parametrize(
    ("there", "lines"),
    [
        (grid(), []),
        ([], []),
        (grid(replicates=1, rounds=1), []),
        (grid(replicates=3), [f"replicate 2 {STAYS}"]),
        (grid(replicates=4), [f"replicates 2 and 3 {STAY}"]),
        (grid(replicates=9), [f"replicates 2 to 8 {STAY}"]),
        ([Trained(number, 0, "ticket", 0) for number in (2, 5, 7)], [f"replicates 2, 5 and 7 {STAY}"]),
        (grid(rounds=17), [f"rounds 2 to 16 {STAY}"]),
        (grid(arms=[("ticket", 1), ("constant", 1)]), [f"arm constant {STAYS}"]),
        (grid(arms=[("random_mask", 2), ("constant", 1)]), [f"arms constant and random_mask {STAY}"]),
        (grid(arms=[("reinit", 3), ("shuffle", 3)]), [f"draw 2 of reinit {STAYS}", f"draws 1 and 2 of shuffle {STAY}"]),
        (
            grid(3, 3, [("reinit", 3), ("repeat", 1)]),
            [f"replicate 2 {STAYS}", f"round 2 {STAYS}", f"arm repeat {STAYS}", f"draw 2 of reinit {STAYS}"],
        ),
    ],
)
def test_by_hand(there, lines):
    assert left_over(run(), there) == lines


@pytest.fixture(scope="module")
def lowered(tmp_path_factory, campaign_file):
    """A campaign that asked for more, and then less: in the same folder, and its file as it is now."""
    folder = tmp_path_factory.mktemp("lowered")
    train = {"steps": 3}
    more = campaign_file(
        folder, train=train, replicates=4, rounds=2, arms=[*ARMS, "constant"], sweep={"seed": [0, 1, 2]}
    )
    tickets.run(more, out=folder / "out")
    now = campaign_file(
        folder, train=train, replicates=2, rounds=1, arms=["ticket", "reinit", "shuffle"], sweep={"seed": [0, 1]}
    )
    return folder / "out", now


KINDS = [f"replicates 2 and 3 {STAY}", f"round 2 {STAYS}", f"arm constant {STAYS}", f"draw 1 of reinit {STAYS}"]


@pytest.mark.usefixtures("page_only")
def test_every_command_says_it(lowered, watcher, command):
    out, file = lowered
    all_runs = tickets.load(out).runs
    rows = len(tickets.load(out).rounds)
    listener = watcher()
    saved = tickets.run(file, out=out, listener=listener)
    assert listener.promised == 0
    asked = [one.run for one in status(out) if one.asked]
    (dropped,) = set(all_runs) - set(asked)
    wanted = [f"{run}: {line}" for run in asked for line in KINDS] + [f"run {dropped} {STAYS}"]
    assert listener.said == wanted
    # Everything that is saved is shown.
    assert saved.runs == all_runs
    assert len(saved.rounds) == rows
    assert saved.left_over(asked[0]) == KINDS
    assert saved.left_over(dropped) == [f"run {dropped} {STAYS}"]

    ended = command("run", file, "--out", out)
    assert all(line in ended.out for line in wanted)
    printed = ended.out.partition("test accuracy at early stop")[2]
    assert all(f"({line})" in printed for line in KINDS), "under the heading of the results"

    ended = command("status", out)
    assert ended.code == 0
    assert all(line in ended.out for line in wanted)
    found = {one["run"]: one for one in json.loads(command("status", out, "--json").out)}
    assert all(found[run]["left_over"] == KINDS for run in asked)
    assert found[dropped]["left_over"] == [f"run {dropped} {STAYS}"]

    ended = command("compare", out)
    assert all(line in ended.out for line in wanted)
    ended = command("compare", out, "--json")
    assert all(line in ended.err for line in wanted)
    json.loads(ended.out)


def test_a_campaign_that_grew_says_nothing(campaign_file, watcher, command, tmp_path):
    tickets.run(campaign_file(tmp_path, replicates=1, train={"steps": 3}), out=tmp_path / "out")
    listener = watcher()
    arms = ["ticket", {"name": "reinit", "draws": 3}, "random_mask", "shuffle"]
    tickets.run(
        campaign_file(tmp_path, rounds=3, arms=arms, train={"steps": 3}), out=tmp_path / "out", listener=listener
    )
    assert [line for line in listener.said if "prunable" not in line] == []
    for name in ("status", "compare"):
        assert "no longer" not in command(name, tmp_path / "out").out
    # The folder of a run by itself has no campaign file to be left out of.
    (run_folder,) = (path.parent for path in (tmp_path / "out").glob("*/run.json"))
    assert [one.left_over for one in status(run_folder)] == [[]]
