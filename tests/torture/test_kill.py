"""Campaigns that are killed again and again, wherever they happen to be, end up bit for bit as if they never were."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from quick_folders import quick_folder

from tickets.store import status, verify

# The number of kills, over all kinds; `TICKETS_KILLS=200 make torture` for a quicker look.
KILLS = int(os.environ.get("TICKETS_KILLS", "2000"))

OWN_MODEL = """
from torch import nn
def net():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Linear(12, 10))
"""
REWIND = {"rewind": {"step": 5}, "train": {"optimizer": "sgd", "momentum": 0.9, "learning_rate": 0.1}}
COMMON = {"rounds": 2, "replicates": 2, "train": {"steps": 10, "evaluate_every": 5}}
# Stages of a campaign, how many processes train, and the share of all kills.
KINDS = {
    "rewinding, a cohort for each replicate": ([{**REWIND, "cohort_size": 1}], 1, 0.3),
    "an own model with batch norm": ([{**REWIND, "model": {"name": "OWN"}}], 1, 0.25),
    "growing": (
        [{"rounds": 1, "arms": ["ticket"]}, {"rounds": 2, "arms": ["ticket", {"name": "reinit", "draws": 2}]}],
        1,
        0.25,
    ),
    "probes": ([{"probes": ["signs", "overlap"], "store": {"trained": "all"}}], 1, 0.15),
    "two workers": ([{"cohort_size": 1}], 2, 0.05),
}


@pytest.mark.torture
@pytest.mark.parametrize("kind", KINDS)
def test_a_campaign_killed_at_random_moments_gives_the_same_bits(kind, campaign_file, contents, module, tmp_path):
    stages, workers, share = KINDS[kind]
    own = module("nets", OWN_MODEL)
    files = []
    for number, changes in enumerate(stages):
        table = {**COMMON, **changes, "train": {**COMMON["train"], **changes.get("train", {})}}
        if table.get("model") == {"name": "OWN"}:
            table["model"] = f"{own}:net"
        files.append(campaign_file(tmp_path / str(number), **table))
    script, kills = Path(__file__).with_name("campaign_killer.py"), max(1, round(KILLS * share))
    with quick_folder(tmp_path) as folder:
        command = [sys.executable, script, Path(__file__).parents[1], folder, kills, workers, 1, *files]
        began = time.monotonic()
        # Threads of OpenBLAS and OpenMP would be forked.
        alone = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, env=alone)
        assert done.returncode == 0, done.stderr
        print(f"\n{kind}: {done.stdout.strip()}; {time.monotonic() - began:.0f} s")
        wanted = contents(folder / "whole")
        for campaign in folder.glob("campaign-*"):
            # A process that is killed after its last commit leaves its lease, which nobody needs to take over.
            found = {name: content for name, content in contents(campaign).items() if "/.lease-" not in name}
            other = [name for name in {**wanted, **found} if found.get(name) != wanted.get(name)]
            assert not other, f"{campaign.name}: {other}: {[(found.get(name), wanted.get(name)) for name in other[:2]]}"
            assert not list(campaign.rglob(".tmp-*"))
            assert [one.state for one in status(campaign)] == ["done"]
            assert verify(campaign) == []
