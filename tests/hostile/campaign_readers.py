"""Readers of text that somebody else may have written: a campaign file, `--set`, a run's configuration, an id's parts.

Each is a function of a file that returns, or raises InputError. READERS has them by name, for tests and for fuzzers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from tickets.config import Campaign, Run, parse_campaign, parse_run, read_campaign
from tickets.errors import InputError
from tickets.probed_runs import table_of_probe

GOOD = {"name": "good", "data": "digits", "model": "mlp"}


def campaign_file(path: Path) -> None:
    """A campaign file."""
    assert isinstance(read_campaign(path), Campaign)


def settings(path: Path) -> None:
    """Each line as a setting of the command line."""
    lines = path.read_text(encoding="utf-8", errors="surrogateescape").split("\n")
    assert isinstance(read_campaign(GOOD, lines[:20]), Campaign)


def campaign_of_json(path: Path) -> None:
    """A mapping, as given to `tickets.run`."""
    table = _json(path)
    if isinstance(table, dict):
        assert isinstance(parse_campaign(table), Campaign)


def saved_config(path: Path) -> None:
    """The configuration in a run.json."""
    table = _json(path)
    if isinstance(table, dict):
        assert isinstance(parse_run(table), Run)


def probe_option(path: Path) -> None:
    """The argument of `tickets probe`."""
    assert isinstance(table_of_probe(path.read_text(encoding="utf-8", errors="surrogateescape")), dict)


def _json(path: Path) -> object:
    """JSON as Python reads it, NaN and numbers of any size among it; None for what is no JSON, which others test."""
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return None


READERS: Mapping[str, Callable[[Path], None]] = {
    "campaign_file": campaign_file,
    "settings": settings,
    "campaign_of_json": campaign_of_json,
    "saved_config": saved_config,
    "probe_option": probe_option,
}


def refused(reader: Callable[[Path], None], path: Path) -> InputError | None:
    """The toolkit's own error for a file, if it is refused; any other exception passes."""
    try:
        reader(path)
    except InputError as error:
        return error
    return None
