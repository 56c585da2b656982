"""The plan that a run began with, on a machine with fewer cores or less memory."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from fitted_runs import fitted

import tickets
from tickets.machine import cores, place, with_threads_here
from tickets.planning import Plan, memory_needed
from tickets.store import run_folders

CPU = torch.device("cpu")
BEGAN = Plan("looped", "", lanes=3, networks_at_once=9, threads=8)


@pytest.mark.parametrize(("there", "torchs", "wanted", "threads"), [
    (2, 2, None, 2), (16, 16, None, 8), (2, 4, None, 4), (4, 1, None, 4), (2, 2, 8, 8),
])  # fmt: skip
def test_no_more_threads_than_there_are_unless_the_file_states_them(monkeypatch, there, torchs, wanted, threads):
    monkeypatch.setattr("tickets.machine.cores", lambda: there)
    monkeypatch.setattr("torch.get_num_threads", lambda: torchs)
    assert with_threads_here(BEGAN, wanted) == replace(BEGAN, threads=threads), "the lanes stay"


def test_the_cores_are_those_that_the_process_may_use() -> None:
    assert 1 <= cores() <= 4096


def test_a_plan_that_fits_stays_and_another_has_the_networks_that_half_the_memory_holds(monkeypatch) -> None:
    one = fitted(replicates=3, arms=["ticket", {"name": "reinit", "draws": 2}])  # 9 networks
    needed = {n: memory_needed(one, replace(BEGAN, networks_at_once=n, lanes=min(3, n)), CPU) for n in range(10)}
    assert list(needed.values()) == sorted(set(needed.values()))
    fixed = needed.pop(0)  # what a round holds

    def networks(free: int, at_once: int = 9) -> tuple[int, int, int]:
        monkeypatch.setattr("tickets.machine.free_bytes", lambda device: free)
        placed = place(one, replace(BEGAN, networks_at_once=at_once), CPU)
        return placed.plan.networks_at_once, placed.plan.lanes, placed.free_memory

    assert networks(needed[9]) == (9, 3, needed[9])
    assert networks(needed[9], at_once=100) == (100, 3, needed[9]), "no more than 9 are there to train"
    for free in (needed[9] - 1, needed[6], needed[4]):
        count = networks(free)[0]
        assert count == max(n for n in needed if needed[n] - fixed <= (free - fixed) // 2 or n == 1)
    assert networks(needed[9] - 1)[0] > 1, "what a round holds is not halved"
    assert networks(1) == (1, 1, 1), "one network trains whether it fits or not"


@pytest.mark.parametrize("count", [2, 5])
def test_half_the_free_memory_holds_exactly_so_many(monkeypatch, count) -> None:
    one = fitted(replicates=3, arms=["ticket", {"name": "reinit", "draws": 2}])
    # A network takes 100 bytes, so that what is free decides alone.
    monkeypatch.setattr(
        "tickets.machine.memory_needed", lambda fitted, plan, device, pruned: 100 * plan.networks_at_once
    )
    for free in (200 * count, 200 * count + 199):
        monkeypatch.setattr("tickets.machine.free_bytes", lambda device, free=free: min(free, 899))
        if free < 899:
            assert place(one, BEGAN, CPU).plan == replace(BEGAN, networks_at_once=count, lanes=min(3, count))


FROZEN = {"name": "held", "values": "tickets.arms:rewound", "pruned": "initial"}


def test_the_plan_for_pruned_weights_that_keep_their_values_fits_the_machine_too(monkeypatch) -> None:
    one = fitted(replicates=3, arms=["ticket", FROZEN])
    plan = replace(BEGAN, pruned_initial=BEGAN)
    monkeypatch.setattr("tickets.machine.cores", lambda: 2)
    monkeypatch.setattr("torch.get_num_threads", lambda: 2)
    assert with_threads_here(plan, None).pruned_initial == replace(BEGAN, threads=2)
    zero, initial = (memory_needed(one, BEGAN, CPU, pruned) for pruned in ("zero", "initial"))
    assert zero < initial == memory_needed(one, plan, CPU), "the initial values take memory too"
    monkeypatch.setattr("tickets.machine.free_bytes", lambda device: zero)
    placed = place(one, plan, CPU)
    assert replace(placed.plan, pruned_initial=None) == BEGAN
    assert placed.plan.pruned_initial.networks_at_once < 6
    recorded = placed.record()
    assert recorded["networks_at_once"] == 9
    assert recorded["pruned_initial"]["networks_at_once"] == placed.plan.pruned_initial.networks_at_once
    assert set(recorded) - set(recorded["pruned_initial"]) == {"pruned_initial", "free_memory_bytes"}


def test_fewer_networks_at_once_are_noted_and_recorded_and_the_run_goes_on_as_it_began(
    campaign_file, watcher, tmp_path, monkeypatch
) -> None:
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr("tickets.machine.free_bytes", lambda device: 2**20)
        listener = watcher()
        tickets.run(campaign_file(tmp_path, rounds=0), out=out, listener=listener)
    (run,) = run_folders(out)
    began = json.loads((run / "run.json").read_bytes())["execution"]
    (said,) = [text for text in listener.said if "at once" in text]
    assert said == (
        f"{run.name}: networks trained at once: 1 here, {began['networks_at_once']:,} as planned when the run began; "
        "0.00098 GiB of memory are free; rounds that are added may differ in the last bits"
    )
    tickets.run(campaign_file(tmp_path, rounds=1), out=out)
    records = [
        json.loads((run / "cohort-000" / name / "manifest.json").read_bytes())["execution"]
        for name in ("round-000", "round-001")
    ]
    assert [record["networks_at_once"] for record in records] == [1, began["networks_at_once"]]
    assert records[0]["free_memory_bytes"] == 2**20
    assert json.loads((run / "run.json").read_bytes())["execution"] == began
