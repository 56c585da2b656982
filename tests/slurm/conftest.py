"""The cluster of the tests: started once for a file, and stopped at its end."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

_SPEC = importlib.util.spec_from_file_location("slurm_cluster", Path(__file__).with_name("cluster.py"))
cluster_module = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(cluster_module)


@pytest.fixture(scope="session")
def running():
    """`running(...)` of cluster.py, where a cluster can be started."""
    if reason := cluster_module.why_not():
        pytest.skip(reason)
    return cluster_module.running
