"""Tiny campaigns, and what of their folders must be equal bit for bit."""

from __future__ import annotations

import functools
import gc
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import tomli_w
import torch
from hypothesis import settings
from longest_first import longest_first
from preloaded import OWN_SERVER, Preloaded, preloaded_server, start_preloaded
from quick_reports import page_alone
from tiny_campaigns import TINY, VARIANTS

import tickets
from tickets.listener import Begun, Event, RoundDone, Steps

settings.register_profile("any machine", deadline=None)  # a busy machine is no failure
settings.load_profile("any machine")

# `python -m tickets`, but for this: whoever runs the tests in the background of a shell has Ctrl-C ignored, and so
# would every process that they start.
COMMAND = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from tickets.command_line.app import main
main()
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    longest_first(items)


def pytest_collection_finish() -> None:
    """Leave what is imported to itself: looking through it for garbage takes a seventh of all time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


class Watcher:
    """A listener that records events. Raises KeyboardInterrupt after `stop` = (commits, steps since the last one)."""

    def __init__(self, stop: tuple[int, int] | None = None) -> None:
        self.stop = stop
        self.ticks = self.networks = self.promised = self.there = 0
        self.rounds: list[RoundDone] = []
        self.said: list[str] = []

    def __call__(self, event: Event) -> None:
        if isinstance(event, Begun):
            self.promised, self.there = event.steps, event.rounds_done
        elif isinstance(event, Steps):
            self.ticks += 1
            self.networks += event.count
            self._stop()
        elif isinstance(event, RoundDone):
            self.round_done(event)
        else:
            self.said.append(event.text)

    def round_done(self, done: RoundDone) -> None:
        self.rounds.append(done)
        self.ticks = 0
        self._stop()

    def _stop(self) -> None:
        if self.stop == (len(self.rounds), self.ticks):
            raise KeyboardInterrupt

    @property
    def trained(self) -> list[str]:
        """The folders that were committed: cohort-000/round-000, ..."""
        return [done.folder for done in self.rounds]


@pytest.fixture(autouse=True)
def warnings_are_errors_in_campaigns_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A campaign shows the warnings that its caller has raised as errors; these tests want them raised."""
    monkeypatch.setattr("tickets.process_state._warnings_stay_warnings", nullcontext)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """A plain loop sums in the same order; and small networks only wait for the threads, long on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def watcher() -> type[Watcher]:
    return Watcher


@pytest.fixture(scope="session")
def campaign_file() -> Callable[..., Path]:
    """campaign_file(folder, train={"steps": 5}, ...) writes the tiny campaign, changed, and gives its path."""

    def write(folder: Path, **changes: Any) -> Path:
        table = dict(TINY)
        for key, value in changes.items():
            both = isinstance(value, dict) and isinstance(table.get(key), dict) and key != "model"
            table[key] = {**table[key], **value} if both else value
        path = folder / f"{table['name']}.toml"
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(tomli_w.dumps(table))
        return path

    return write


@pytest.fixture(scope="session")
def contents() -> Callable[[Path], dict[str, Any]]:
    """What every run of a campaign must give bit for bit: each file, less the clock's readings in it."""

    def comparable(path: Path) -> Any:
        if path.suffix == ".parquet":
            # As text: every digit of every number, and NaN equals NaN.
            return pd.read_parquet(path).drop(columns="seconds", errors="ignore").to_csv()
        if path.name == "manifest.json":
            manifest = json.loads(path.read_bytes())
            manifest["files"].pop("rounds.parquet", None)  # its hash covers the seconds
            manifest.pop("sha256", None)  # which covers that hash
            manifest.get("execution", {}).pop("free_memory_bytes", None)
            return manifest
        return path.read_bytes()

    def read(folder: Path) -> dict[str, Any]:
        files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        return {
            str(path.relative_to(folder)): comparable(path) for path in files if path.name not in (".lock", "log.jsonl")
        }

    return read


@pytest.fixture(scope="module")
def uninterrupted(
    tmp_path_factory: pytest.TempPathFactory,
    campaign_file: Callable[..., Path],
    contents: Callable[[Path], dict[str, Any]],
) -> Callable[[str], tuple[Path, dict[str, Any]]]:
    """By variant: the campaign's file, and the contents of its folder when nothing interrupts it."""

    @functools.cache
    def run(name: str) -> tuple[Path, dict[str, Any]]:
        folder = tmp_path_factory.mktemp("uninterrupted")
        file = campaign_file(folder, **VARIANTS[name])
        tickets.run(file, out=folder / "out")
        return file, contents(folder / "out")

    return run


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], str]:
    """module("nets", source) makes a module that a campaign file can name, in this process and in others."""

    def make(name: str, source: str) -> str:
        folder = tmp_path / "modules"
        folder.mkdir(exist_ok=True)
        unique = f"{name}_{uuid.uuid4().hex}"  # a module once imported stays
        (folder / f"{unique}.py").write_text(source)
        monkeypatch.syspath_prepend(str(folder))
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]))
        return unique

    return make


@dataclass(frozen=True)
class Said:
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """command("run", file, ...) runs the command in this process."""

    def call(*arguments: object) -> Said:
        from tickets.command_line.app import main

        monkeypatch.setattr(sys, "argv", ["tickets", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_:
            main()
        printed = capsys.readouterr()
        return Said(int(exit_.value.code or 0), printed.out, printed.err)

    return call


@pytest.fixture
def page_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports have their page and tables, and empty files for figures; see test_page.py for these."""
    page_alone(monkeypatch)


@pytest.fixture(scope="session")
def preloading() -> Iterator[Preloaded | None]:
    with preloaded_server() as server:
        yield server


@pytest.fixture
def preloaded(preloading: Preloaded | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python programs that the test starts, and processes that `multiprocessing` spawns, have imported all they need.

    See preloaded.py.
    """
    start_preloaded(monkeypatch, preloading)


@pytest.fixture
def preloaded_workers(preloaded: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `preloaded`, and so are the processes that those programs spawn. They all have the server's command line."""
    monkeypatch.setenv(OWN_SERVER, "yes")


@pytest.fixture
def started(preloaded: None) -> Any:
    """started("run", file, ...) starts the command as a process of its own, in a process group of its own."""
    processes: list[subprocess.Popen[str]] = []

    def start(*arguments: object, **options: Any) -> subprocess.Popen[str]:
        given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
        process = subprocess.Popen(
            [sys.executable, "-c", COMMAND, *map(str, arguments)], start_new_session=True, **given
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()
