"""Where Numba compiles nothing: whatever needs kernels is computed without them, or refused in words."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
from made_workloads import workload
from torch import nn

import tickets
from tickets.errors import InputError
from tickets.stack.jit import jit_is_off
from tickets.stack.strategies import choose


@pytest.fixture
def off(monkeypatch):
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    monkeypatch.delitem(sys.modules, "numba.core.config", raising=False)


@pytest.mark.parametrize(
    ("value", "answer"), [("0", False), ("", False), ("1", True), (" 1 ", True), ("2", True), ("no", False)]
)
def test_it_is_asked_of_the_environment_and_then_of_numba(value, answer, monkeypatch):
    monkeypatch.delitem(sys.modules, "numba.core.config", raising=False)
    monkeypatch.setenv("NUMBA_DISABLE_JIT", value)
    assert jit_is_off() is answer
    for setting in (0, 1):
        monkeypatch.setitem(sys.modules, "numba.core.config", SimpleNamespace(DISABLE_JIT=setting))
        assert jit_is_off() is bool(setting)


def test_no_strategy_with_kernels_is_chosen(off):
    chain = nn.Sequential(nn.Linear(6, 7), nn.ReLU(), nn.Linear(7, 3))
    assert choose(workload(chain)).strategy == "layered"
    image = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 3))
    choice = choose(workload(image, (1, 4, 4)))
    assert (choice.strategy, choice.takes_over.get("sparse", 0.0)) == ("looped", 0.0)
    with pytest.raises(InputError, match=r"compute\.strategy = 'sparse': NUMBA_DISABLE_JIT is set"):
        choose(workload(chain), "sparse")


def test_a_run_that_began_with_kernels_is_not_gone_on_with(off, campaign_file, tmp_path):
    file = campaign_file(tmp_path, rounds=0)
    out = tmp_path / "out"
    with pytest.MonkeyPatch.context() as usual:
        usual.setenv("NUMBA_DISABLE_JIT", "0")
        tickets.run(file, out=out)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    with pytest.MonkeyPatch.context() as now:
        now.delitem(sys.modules, "numba.core.config", raising=False)
        with pytest.raises(InputError, match="began with kernels, and goes on with them; NUMBA_DISABLE_JIT is set"):
            tickets.run(file, out=out, settings=["rounds=1"])
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_batch_normalisation_is_pytorchs_own(off, campaign_file, tmp_path):
    model = {"name": f"{__name__}:normalised"}
    saved = tickets.run(campaign_file(tmp_path, rounds=1, model=model), out=tmp_path / "out")
    assert not saved.rounds["diverged"].any()
    assert "numba.core.config" not in sys.modules


def normalised(input_shape, classes):
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(72, classes))
