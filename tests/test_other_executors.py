"""Executors of other packages give the bits of one process, also after one of theirs was killed."""

from __future__ import annotations

import os
import signal

import pytest
from played_executors import Instant, once_training

import tickets
from tickets.errors import ExecutorError

SMALL = {"replicates": 2, "cohort_size": 1, "rounds": 1, "arms": ["ticket", "reinit"]}


def loky():
    package = pytest.importorskip("loky", reason="loky is not installed")
    return package.get_reusable_executor(max_workers=1)


def executorlib():
    package = pytest.importorskip("executorlib", reason="executorlib is not installed")
    return package.SingleNodeExecutor(max_workers=1, block_allocation=True)


pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.parametrize("make", [loky, executorlib])]  # their own


def test_executors_of_other_packages_give_the_bits_of_one_process(make, campaign_file, contents, tmp_path):
    file = campaign_file(tmp_path, **SMALL)
    with make() as executor:
        tickets.run(file, out=tmp_path / "out", executor=executor)
    tickets.run(file, out=tmp_path / "whole")
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_a_process_of_theirs_that_is_killed_breaks_them_and_loses_nothing(make, campaign_file, contents, tmp_path):
    file, out = campaign_file(tmp_path, **SMALL, train={"steps": 3000, "evaluate_every": 3000}), tmp_path / "out"
    with make() as executor:
        killer = once_training(out, lambda process: os.kill(process, signal.SIGKILL))
        with pytest.raises(
            ExecutorError, match=r"^executor .* has broken: .*; the same call with a new executor goes on$"
        ):
            tickets.run(file, out=out, executor=executor)
        killer.join()
    tickets.run(file, out=out, executor=Instant())
    tickets.run(file, out=tmp_path / "whole")
    assert contents(out) == contents(tmp_path / "whole")
