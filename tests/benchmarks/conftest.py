"""What the timings share: the device, the threads, the processes, and the printing at the end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from .processes import Processes
from .race import ROWS, Race
from .tables import tables


@pytest.fixture
def race(benchmark: BenchmarkFixture, pytestconfig: pytest.Config) -> Race:
    return Race(benchmark, pytestconfig)


@pytest.fixture(scope="session")
def threads() -> int:
    """As many as the library would use, which is also how many lanes a campaign would have."""
    return torch.get_num_threads()


@pytest.fixture(autouse=True)
def all_threads(threads: int) -> Iterator[None]:
    """A campaign is planned by the number of threads as it finds it."""
    torch.set_num_threads(threads)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def processes(threads: int) -> Iterator[Processes]:
    started = Processes(threads)
    yield started
    started.end()


@pytest.fixture(params=["cpu", "cuda"])
def device(request: pytest.FixtureRequest) -> torch.device:
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip(f"no GPU that PyTorch {torch.__version__} can use")
    return torch.device("cuda", 0) if request.param == "cuda" else torch.device("cpu")


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    """What decides the numbers, and not whose machine it was."""
    machine_info.pop("node", None)
    machine_info.update(_machine())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    rows = config.stash.get(ROWS, [])
    if rows:
        terminalreporter.section("timings")
        told = ", ".join(f"{name} {value}" for name, value in _machine().items())
        terminalreporter.write_line(f"{told}; medians of {len(next(iter(rows[0].seconds.values())))} rounds\n")
        terminalreporter.write_line(tables(rows))


def _machine() -> dict[str, Any]:
    gpu = {"gpu": torch.cuda.get_device_name()} if torch.cuda.is_available() else {}
    capability = torch.backends.cpu.get_cpu_capability()
    return {"torch": torch.__version__, "threads": torch.get_num_threads(), "cpu_capability": capability, **gpu}
