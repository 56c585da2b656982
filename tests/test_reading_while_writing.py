"""What reads a campaign's folder while it is written never fails, and sees whole rounds only."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from tickets.analysis import compare, rules_of
from tickets.analysis.report import make_report

import tickets
from tickets.store import run_folders, status, verify

pytestmark = pytest.mark.usefixtures("preloaded", "page_only")

PROGRAM = Path(__file__).with_name("campaign_that_grows.py")
STEPS = [0, 5, 10, 15]
FIRST, MORE = ["ticket", {"name": "reinit", "draws": 2}], ["random_mask", "constant"]
IN_FIRST = {("ticket", 0), ("reinit", 0), ("reinit", 1)}
IN_ALL = IN_FIRST | {("random_mask", 0), ("constant", 0)}
CAMPAIGN = {
    "name": "growing",
    "replicates": 2,
    "rounds": 2,
    "cohort_size": 1,
    "data": "digits",
    "model": {"name": "mlp", "widths": [8]},
    "arms": FIRST,
    "train": {"steps": 15, "evaluate_every": 5, "batch_size": 50, "learning_rate": 1e-2},
    "rewind": {"step": 5},
    "compute": {"threads": 1, "memory_gib": 0.5},
}


def stage(killed=None, workers=1, **changes):
    return {"campaign": {**CAMPAIGN, **changes}, "workers": workers, "killed": killed}


def growing(workers=1, rounds=4, seeds=1):
    """Killed in the middle of a commit, begun again, then with more rounds, then with more arms, replicates, probes."""
    sweep = {"sweep": {"seed": list(range(seeds))}} if seeds > 1 else {}
    return [
        stage(killed=33, **sweep),
        stage(workers=workers, **sweep),
        stage(rounds=rounds, **sweep),
        stage(rounds=rounds, arms=[*FIRST, *MORE], replicates=3, probes=["units"], workers=workers, **sweep),
    ]


class Readers:
    """Reads a folder in every way, and checks each answer by itself and against those before it."""

    def __init__(self, folder):
        self.folder = folder
        self.trained = Counter()  # by run: the trainings that `status` and `load` had
        self.reads = Counter()
        self.states = set()

    def status(self):
        for one in status(self.folder):
            assert one.state in ("waiting", "partial", "done"), one
            assert one.left_over == [], one
            self.not_fewer("status", one.run, one.trainings_done)
            self.states.add((one.trainings_done, one.trainings_wanted))

    def load(self):
        self.whole(tickets.load(self.folder))

    def verify(self):
        assert verify(self.folder) == []

    def compare(self):
        saved = tickets.load(self.folder)
        if saved.rounds.empty:
            return
        compared = compare(saved.rounds, rules=rules_of(saved))
        assert set(compared["arm"]) <= {arm for arm, _ in IN_ALL}
        for run in saved.runs:
            assert saved.left_over(run) == []

    def report(self):
        files, left_out = make_report(tickets.load(self.folder, skip_damaged=True))
        assert not left_out or all("no round" in why for why in left_out.values()), left_out
        assert all(files.values())

    def all_but_report(self):
        for name in ("status", "load", "verify", "compare"):
            self.read(name)

    def read(self, name):
        getattr(self, name)()
        self.reads[name] += 1

    def not_fewer(self, how, run, count):
        assert count >= self.trained[how, run], (how, run)
        self.trained[how, run] = count

    def whole(self, saved):
        """Every round has all arms of the campaign as it was, or as it is; each curve is whole; densities nest."""
        rounds, curves, units = saved.rounds, saved.curves, saved.units
        keys = ["run", "replicate", "round", "arm", "draw"]
        assert not rounds.duplicated(keys).any()
        assert rounds["early_stop_test_accuracy"].notna().all()
        steps = curves.groupby(keys)["step"].apply(list)
        assert set(steps.index) == set(rounds.set_index(keys).index)
        assert all(found in (STEPS, STEPS[1:]) for found in steps)
        for run, of_run in rounds.groupby("run"):
            self.not_fewer("load", run, len(of_run))
            for _, of_replicate in of_run.groupby("replicate"):
                tickets_ = of_replicate[of_replicate["arm"] == "ticket"].sort_values("round")
                assert list(tickets_["round"]) == list(range(len(tickets_)))
                assert tickets_["density"].is_monotonic_decreasing
                assert tickets_["density"].is_unique
                for _, of_round in of_replicate.groupby("round"):
                    assert set(zip(of_round["arm"], of_round["draw"], strict=True)) in (IN_FIRST, IN_ALL)
                    assert of_round["density"].nunique() == 1
        measured = units.groupby(keys).size()
        assert set(measured.index) <= set(steps.index)


def read_beside(stages, tmp_path, readers, once):
    """Start the process, call `readers.all_but_report` until it ends, and each of `once` in between."""
    (tmp_path / "stages.json").write_text(json.dumps(stages))
    enough = tmp_path / "enough"
    arguments = [sys.executable, str(PROGRAM), str(tmp_path / "stages.json"), str(readers.folder), str(enough)]
    with subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        try:
            once = list(once)
            while process.poll() is None:
                if not readers.folder.is_dir() or not run_folders(readers.folder):
                    time.sleep(0.01)
                    continue
                readers.all_but_report()
                if once and len(readers.states) > 1:
                    once.pop(0)()
                if not once:
                    enough.touch()
        finally:
            process.kill()
        _, said = process.communicate()
    assert process.returncode == 0, said
    assert once == []
    readers.all_but_report()
    assert [one.state for one in status(readers.folder)] == ["done"] * len(run_folders(readers.folder))


def commands(command, folder, out):
    """Each reading command once."""

    def call(*arguments):
        def read():
            said = command(*arguments)
            assert (said.code, said.err) == (0, "")

        return read

    named = [("status", "--json"), ("compare",), ("verify",), ("claims",), ("report", "--out", str(out))]
    return [call(name, str(folder), *options) for name, *options in named]


def test_readers_beside_a_campaign_never_fail_and_never_see_half_a_round(command, tmp_path):
    readers = Readers(tmp_path / "out")
    read_beside(growing(), tmp_path, readers, commands(command, readers.folder, tmp_path / "report"))
    # All reads before or after the work would prove nothing.
    assert len(readers.states) > 3
    print(dict(readers.reads), sorted(readers.states))


@pytest.mark.torture
def test_500_reads_beside_campaigns_that_are_killed_and_grow(command, tmp_path):
    reads, states = Counter(), set()
    number = 0
    while sum(reads.values()) < 500:
        place = tmp_path / str(number)
        place.mkdir()
        readers = Readers(place / "out")
        once = [*commands(command, readers.folder, place / "report"), *[lambda each=readers: each.read("report")] * 2]
        read_beside(growing(workers=2, rounds=8, seeds=2), place, readers, once)
        reads.update(readers.reads)
        states |= readers.states
        number += 1
    assert len(states) > 10
    print(f"{sum(reads.values())} reads {dict(reads)} beside {number} campaigns; {len(states)} states seen")
