"""Timing in turns: everyone once a round, so that a change of the machine's load meets them all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from .tables import Row

ROWS = pytest.StashKey[list[Row]]()
Measure = Callable[[], float]


class Race:
    """Times several in turns, round after round; the subject last, by way of pytest-benchmark."""

    def __init__(self, benchmark: BenchmarkFixture, config: pytest.Config) -> None:
        self._benchmark = benchmark
        self._rows = config.stash.setdefault(ROWS, [])
        self.rounds = int(config.getoption("benchmark_min_rounds"))
        self.lasting = float(config.getoption("benchmark_min_time"))

    def run(self, subject: str, measures: Mapping[str, Measure]) -> dict[str, list[float]]:
        """Seconds of every round, by name. Each measure gives the seconds of what it has just timed."""
        seconds: dict[str, list[float]] = {name: [] for name in measures}

        def once(name: str) -> None:
            seconds[name].append(measures[name]())

        def others() -> None:
            for name in measures:
                if name != subject:
                    once(name)

        self._benchmark.pedantic(once, args=(subject,), setup=others, rounds=self.rounds)
        return seconds

    def keep(self, row: Row) -> None:
        """Have a row printed at the end, and written to the JSON."""
        self._rows.append(row)
        self._benchmark.extra_info.update(asdict(row))
