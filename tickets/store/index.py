"""An index of the status of many runs, which spares reading their files again while these are as they were.

It is derived from the saved runs and is never the truth: it may be removed at any time, and one that is damaged, of
another version or for another campaign.toml is ignored. A run is found in it only while every file and folder from
which its status was made has the inode, the size and the times that it had then.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from tickets.errors import InputError
from tickets.opening import open_regular
from tickets.store.commit import replace_file
from tickets.store.layout import Layout
from tickets.store.sealed import parse_json
from tickets.version import __version__

FEWEST_RUNS = 100  # a folder with fewer runs has no index: reading them takes less than a second

_FORMAT = 1  # raised when the file's form changes, or the meaning of a status
_LARGEST = 2**27  # bytes; 10,000 runs take about 1 MB
# A file that is changed twice within one tick of the file system's clock may keep its times: 2 s on FAT.
TICK_NS = 2 * 10**9

Json = dict[str, Any]


class Signature(NamedTuple):
    """Tells whether a run's files have changed.

    Attributes
    ----------
    places
        The paths, below the run's folder, of its cohorts and their manifests.
    digest
        A hash of the inodes, sizes and times of these, of the folder itself, of run.json and of the log.
    newest_ns
        The last of the times, in nanoseconds.
    """

    places: tuple[str, ...]
    digest: str
    newest_ns: int


class Index:
    """The index of a campaign's folder: what was read of it, and what is to be written.

    Parameters
    ----------
    folder
        The campaign's folder.
    campaign
        The content of its campaign.toml, on which every status depends; None if there is none.
    checked
        Checks a value that the index holds and returns it; raises ValueError, TypeError or LookupError.

    Attributes
    ----------
    asked
        The ids of the runs that campaign.toml asks for; None if the index does not have them.
    """

    def __init__(self, folder: Path, campaign: bytes | None, checked: Callable[[Any], Json]) -> None:
        self.asked: list[str] | None = None
        self._path = folder / Layout.INDEX
        # Also its inode and times: an index that was sent with a folder must not say what its campaign.toml asks for.
        stamp = _stamp(folder / Layout.CAMPAIGN)
        self._campaign = hashlib.sha256(repr((campaign, stamp)).encode()).hexdigest()
        self._campaign_newest_ns = 0 if stamp is None else max(stamp[2:])
        self._started = time.monotonic()
        self._known: dict[str, tuple[str, tuple[str, ...], Json]] = {}
        self._kept: dict[str, tuple[Signature, Json]] = {}
        self._changed = False
        self._trusted_until_ns = 0
        wrong = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)
        with suppress(InputError, OSError, *wrong):
            self._read(checked)

    def find(self, run: Path) -> Json | None:
        """What was kept of a run, if its files are as they were; else None.

        Parameters
        ----------
        run
            The run's folder.
        """
        if run.name not in self._known:
            return None
        digest, places, value = self._known[run.name]
        now = signed(run, places)
        if now is None or now.digest != digest or now.newest_ns >= self._trusted_until_ns:
            return None
        self._kept[run.name] = now, value
        return value

    def keep(self, run: Path, before: Signature | None, value: Json) -> None:
        """Keep something of a run.

        Parameters
        ----------
        run
            The run's folder.
        before
            The signature of its files, from before they were read; None to keep nothing.
        value
            JSON values.
        """
        if before is not None:
            self._kept[run.name] = before, value
            self._changed = True

    def write(self, asked: list[str] | None) -> None:
        """Write what was found and kept, if there is anything new. Nothing happens if the folder is not writable.

        Parameters
        ----------
        asked
            The ids of the runs that campaign.toml asks for; None if they depend on more than that file.
        """
        if not self._changed and asked == self.asked:
            return
        places: dict[tuple[str, ...], int] = {}
        values: dict[str, int] = {}
        runs = {}
        for run, (signature, value) in self._kept.items():
            place = places.setdefault(signature.places, len(places))
            runs[run] = signature.digest, place, values.setdefault(json.dumps(value), len(values))
        body = json.dumps(
            {
                "campaign": self._campaign,
                "asked": asked,
                "seconds": time.monotonic() - self._started,
                "places": list(places),
                "values": list(map(json.loads, values)),
                "runs": runs,
            }
        ).encode()
        with suppress(InputError, OSError):
            if self._path.parent.is_dir():  # which `replace_file` would make
                replace_file(self._path, _head(body) + body)

    def _read(self, checked: Callable[[Any], Json]) -> None:
        with open_regular(self._path, at_most=_LARGEST) as file:
            written_ns = os.fstat(file.fileno()).st_mtime_ns
            head, body = file.readline(), file.read(_LARGEST)
        if head != _head(body):
            return
        content = parse_json(body)
        if content["campaign"] != self._campaign:
            return
        # By the clock of the file system, which may not be this machine's.
        self._trusted_until_ns = written_ns - int(content["seconds"] * 1e9) - TICK_NS
        places = [tuple(map(str, paths)) for paths in content["places"]]
        values = [checked(value) for value in content["values"]]
        if self._campaign_newest_ns >= self._trusted_until_ns:
            return
        known = {run: (digest, places[at], values[value]) for run, (digest, at, value) in content["runs"].items()}
        asked = content["asked"]
        self._known, self.asked = known, None if asked is None else list(map(str, asked))


def signature(run: Path, files: Sequence[str] = (Layout.MANIFEST,)) -> Signature | None:
    """The signature of a run's files as they are; None if it has no run.json.

    Parameters
    ----------
    run
        The run's folder.
    files
        The files of each committed folder that count, beside run.json and the log.
    """
    # Strings and not paths, and no look at what is there: of 10,000 runs, each microsecond counts.
    places = []
    for cohort in _names(str(run)):
        inside = _names(f"{run}/{cohort}")
        places += [cohort, *(f"{cohort}/{name}/{file}" for name in inside for file in files)]
    return signed(run, tuple(places))


def _names(folder: str) -> list[str]:
    """The names of the committed folders in a run's folder or a cohort's, and of other folders that are there."""
    with suppress(OSError), os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir())
    return []


def signed(run: Path, places: tuple[str, ...]) -> Signature | None:
    """The signature of some files and folders of a run as they are; None if it has no run.json."""
    stamps: list[tuple[int, ...] | None] = []
    newest = 0
    for place in ("", Layout.RUN, Layout.LOG, *places):
        stamp = _stamp(f"{run}/{place}")
        if stamp is not None:
            newest = max(newest, *stamp[2:])
        elif place == Layout.RUN:
            return None
        stamps.append(stamp)
    return Signature(places, hashlib.sha256(repr(stamps).encode()).hexdigest()[:32], newest)


def _stamp(path: str | Path) -> tuple[int, int, int, int] | None:
    """The inode, the size and the times of a file or folder; None if there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _head(body: bytes) -> bytes:
    """The first line: what the file is, by which version, and the hash of the rest."""
    return f"tickets {__version__} index {_FORMAT} {hashlib.sha256(body).hexdigest()}\n".encode()
