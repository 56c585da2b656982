"""Out of memory is told from a crash, and the next try takes fewer networks at once."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import re

import numpy as np
import pytest
import torch

import tickets
from tickets.engines import one_after_another
from tickets.errors import UserCodeError
from tickets.groups import train
from tickets.out_of_memory import is_out_of_memory, oom_kills
from tickets.store import read_events, run_folders, status

HUGE = 2**46  # numbers: more bytes than an address space holds


def raised(function):
    try:
        function()
    except Exception as error:
        return error


def while_handled():
    try:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
    finally:
        raise RuntimeError("operation failed due to a previous error during capture")


def in_the_users_code():
    try:
        torch.empty(HUGE)
    except RuntimeError as error:
        raise UserCodeError("train.loss = 'mine:loss': fails") from error


@pytest.mark.parametrize("function", [lambda: torch.empty(HUGE), lambda: np.empty(HUGE), while_handled,
                                      in_the_users_code])  # fmt: skip
def test_errors_that_mean_too_little_memory(function):
    assert is_out_of_memory(raised(function))


@pytest.mark.parametrize(("error", "means"), [
    (MemoryError(), True),
    (torch.cuda.OutOfMemoryError("CUDA out of memory."), True),
    (RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported"), True),
    (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
    (OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)), True),
    (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), False),
    (RuntimeError("CUDA error: an illegal memory access was encountered"), False),
    (ValueError("out of memory"), False),
    (KeyboardInterrupt(), False),
])  # fmt: skip
def test_errors_by_type_and_text(error, means):
    assert is_out_of_memory(error) is means


def files(folder, **contents):
    for name, text in contents.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.mark.parametrize(("group", "mount", "counter"), [
    ("0::/user.slice/mine", "30 1 0:2 / {cg} rw - cgroup2 cgroup2 rw", "user.slice/mine/memory.events"),
    ("4:memory:/mine\n0::/", "30 1 0:2 / {cg} rw - cgroup cgroup rw,memory\n31 1 0:3 / /x rw - cgroup2 cgroup2 rw",
     "mine/memory.oom_control"),
    ("4:cpu,memory:/docker/abc", "30 1 0:2 /docker/abc {cg} rw - cgroup cgroup rw,cpu,memory", "memory.oom_control"),
])  # fmt: skip
def test_the_kernels_count_is_that_of_the_own_control_group(group, mount, counter, tmp_path):
    cg, proc = tmp_path / "cg", tmp_path / "proc"
    files(proc, self__cgroup=group + "\n", self__mountinfo=mount.format(cg=cg) + "\n", vmstat="pgfault 1\noom_kill 7\n")
    assert oom_kills(proc) == 7  # of the machine, where the group has no count
    files(cg, **{counter.replace("/", "__"): "oom 9\noom_kill 3\noom_group_kill 0\n"})
    assert oom_kills(proc) == 3
    assert oom_kills(tmp_path / "nowhere") is None


@pytest.fixture
def limited(monkeypatch):
    """limited(most) has more than `most` networks at once run out of memory, from round 1 on; gives what was tried."""

    def limit(most, error=torch.OutOfMemoryError):
        tried = []

        def instead(begin, stack, *given, networks_at_once, **options):
            together, dense = min(len(stack), networks_at_once), all(mask.all() for mask in stack.masks.values())
            if not dense:
                tried.append(together)
                if together > most:
                    raise error("CUDA out of memory. Tried to allocate 2 GiB")
            return train(begin, stack, *given, networks_at_once=networks_at_once, **options)

        monkeypatch.setattr("tickets.groups.train", instead)
        return tried

    return limit


SMALL = {"rounds": 2}  # 2 replicates of 4 networks


def test_a_round_that_runs_out_of_memory_is_tried_again_with_half_the_networks_and_a_quarter(
    campaign_file, watcher, contents, limited, tmp_path
):
    file, listener = campaign_file(tmp_path, **SMALL), watcher()
    tried = limited(2)
    tickets.run(file, out=tmp_path / "out", listener=listener)
    assert tried == [8, 4, 2, 2]
    (run,) = run_folders(tmp_path / "out")
    events = [event for event in read_events(run / "log.jsonl") if event["event"] != "round"]
    assert [event["event"] for event in events] == ["started", "retry", "retry"]
    assert [(event["try"], event["networks_at_once"]) for event in events[1:]] == [(2, 4), (3, 2)]
    for event, count in zip(events[1:], (8, 4), strict=True):
        assert event["why"].startswith(f"out of memory with {count} networks at once: OutOfMemoryError: CUDA out of")
        assert event["traceback"].startswith("Traceback")
    assert [text for text in listener.said if " of 3 begins" in text] == [
        f"{run.name}/cohort-000: {event['why']}; try {event['try']} of 3 begins, with {event['networks_at_once']} "
        "networks at once; rounds that are added may differ in the last bits"
        for event in events[1:]
    ]
    assert listener.networks == 8 * 20 * 3
    manifests = [json.loads((run / f"cohort-000/round-00{k}/manifest.json").read_bytes()) for k in range(3)]
    at_once = [manifest["execution"]["networks_at_once"] for manifest in manifests]
    assert at_once[0] >= 8
    assert at_once[1:] == [2, 2]

    # The bits are those of a training that has these limits, and that nothing disturbs.
    def capped(works, listener):
        (work,) = works
        first, most = dataclasses.replace(work.cohort, rounds=work.cohort.rounds[:1]), work.cohort
        engine = one_after_another()
        list(engine([dataclasses.replace(work, cohort=first)], listener))
        rest = dataclasses.replace(most, exists=True, rounds=most.rounds[1:])
        yield from engine([dataclasses.replace(work, cohort=rest, networks_at_most=2)], listener)

    tickets.run(file, out=tmp_path / "capped", engine=capped)
    assert contents(tmp_path / "out") == contents(tmp_path / "capped")


@pytest.mark.parametrize(("replicates", "why"), [
    (2, "try 1: out of memory with 8 networks at once; try 2: out of memory with 4 networks at once; try 3: out of "
        "memory with 2 networks at once: MemoryError: CUDA out of memory. Tried to allocate 2 GiB; what helps: a "
        "smaller compute.memory_gib, a smaller train.batch_size, fewer --workers, or more memory"),
    (1, "out of memory with 1 network at once: MemoryError: CUDA out of memory. Tried to allocate 2 GiB; what helps: "
        "a smaller train.batch_size, fewer --workers, or more memory (compute.memory_gib has no effect on a single "
        "network)"),
])  # fmt: skip
def test_what_does_not_fit_after_all_fails_and_says_what_helps(
    replicates, why, campaign_file, limited, command, tmp_path
):
    arms = {"arms": ["ticket"]} if replicates == 1 else {}
    file, out = campaign_file(tmp_path, **SMALL, replicates=replicates, **arms), tmp_path / "out"
    limited(0, MemoryError)
    said = command("run", file, "--out", out)
    assert said.code == 1
    (found,) = status(out)
    assert (found.state, found.rounds_done) == ("failed", 1)
    assert re.sub(r" \(at [^)]*\)", "", found.why) == why
    assert said.err.splitlines()[-2] == f"{found.run}: failed: {found.why}"


def test_memory_that_runs_out_before_training_begins_is_a_failure(campaign_file, tmp_path, monkeypatch):
    def place(*given):
        raise MemoryError

    monkeypatch.setattr("tickets.work.place", place)
    why = r"failed: out of memory before training began: MemoryError: .*; what helps: a smaller train.batch_size, fewer"
    with pytest.raises(RuntimeError, match=why):
        tickets.run(campaign_file(tmp_path, rounds=0), out=tmp_path / "out")
