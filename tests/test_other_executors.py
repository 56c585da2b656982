"""Executors of other packages give the bits of one process."""

from __future__ import annotations

import pytest

import tickets

SMALL = {"replicates": 2, "cohort_size": 1, "rounds": 1, "arms": ["ticket", "reinit"]}


def loky():
    package = pytest.importorskip("loky", reason="loky is not installed")
    return package.get_reusable_executor(max_workers=1)


def executorlib():
    package = pytest.importorskip("executorlib", reason="executorlib is not installed")
    return package.SingleNodeExecutor(max_workers=1, block_allocation=True)


@pytest.mark.filterwarnings("ignore")  # their own
@pytest.mark.parametrize("make", [loky, executorlib])
def test_executors_of_other_packages_give_the_bits_of_one_process(make, campaign_file, contents, tmp_path):
    file = campaign_file(tmp_path, **SMALL)
    with make() as executor:
        tickets.run(file, out=tmp_path / "out", executor=executor)
    tickets.run(file, out=tmp_path / "whole")
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
