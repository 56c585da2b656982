"""A small trained network, an approximation of it, and searches that are interrupted."""

from __future__ import annotations

from pathlib import Path

import pytest

import tickets
from tickets.approximation import Listener, blocks
from tickets.approximation.approximating import approximate


@pytest.fixture(scope="session")
def trained(tmp_path_factory, campaign_file) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    file = campaign_file(folder, replicates=1, rounds=1, train={"steps": 60, "evaluate_every": 30})
    tickets.run(file, out=folder / "out")
    return folder / "out"


@pytest.fixture(scope="session")
def whole(trained, tmp_path_factory):
    return approximate(trained, 10, 0.01, round=1, out=tmp_path_factory.mktemp("whole") / "a")


@pytest.fixture
def in_blocks(monkeypatch):
    """Blocks of two output units of the first layer."""
    monkeypatch.setattr(blocks, "_SUBSETS_AT_ONCE", 140)


class Stop(Listener):
    """Interrupts after so many advances, and counts subsets."""

    def __init__(self, after=None):
        self.after, self.found, self.promised = after, 0, 0

    def begin(self, total, missing):
        self.total, self.promised = total, missing

    def advance(self, count):
        self.found += count
        if self.after is not None:
            self.after -= 1
            if self.after < 0:
                raise KeyboardInterrupt


@pytest.fixture(scope="session")
def stop():
    return Stop


@pytest.fixture(scope="session")
def arrays():
    """arrays(folder): the content of every safetensors file, by path."""

    def read(folder: Path) -> dict[str, bytes]:
        files = [path for path in folder.rglob("*.safetensors") if path.is_file()]
        return {str(path.relative_to(folder)): path.read_bytes() for path in files}

    return read
