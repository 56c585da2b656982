"""Small files that promise or unfold to a lot take no more memory than a few times their size to be read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hostile import bombs


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What each bomb took, in one process for all of them."""
    command = [sys.executable, "-W", "ignore", bombs.__file__, str(tmp_path_factory.mktemp("bombs"))]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300, env=environment)
    assert ended.stderr == ""
    return {one["name"]: one for one in map(json.loads, ended.stdout.splitlines())}


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux alone says how much was used at most")
@pytest.mark.parametrize("name", bombs.BOMBS)
def test_a_bomb_takes_no_more_than_a_few_times_its_size(name: str, taken: dict[str, dict[str, Any]]) -> None:
    one = taken[name]
    assert one["mib"] < bombs.CONSTANT + bombs.MORE.get(name, 0) + bombs.EACH * one["bytes"] / bombs.MIB, one


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux alone says how much was used at most")
def test_memory_that_is_used_is_seen() -> None:
    assert 90 < bombs.growth(lambda: bytearray(b"x" * (100 * bombs.MIB)).count(b"y")) < 300
