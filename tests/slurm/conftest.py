"""A real Slurm for the tests, where one can be started."""

from __future__ import annotations

import pytest

from slurm import cluster


@pytest.fixture(scope="session")
def running():
    """`running(...)` of cluster.py."""
    if reason := cluster.why_not():
        pytest.skip(reason)
    return cluster.running
