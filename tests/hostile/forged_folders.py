"""A saved campaign in which one thing is forged and everything is sealed again, and everything that reads it.

All hashes are right, so that only the form of the content is wrong.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tickets
from tickets.errors import InputError
from tickets.store import run_folders, status, verify
from tickets.store.sealed import sealed_json

NOT_JSON = object()  # NaN, which JSON does not have
GONE = object()

VALUES: Mapping[str, Any] = {
    "5": 5,
    "-1": -1,
    "2**63": 2**63,
    "1e308": 1e308,
    "true": True,
    "null": None,
    "{}": {},
    "[]": [],
    "x": "x",
    "path": "../../x",
    "absolute": "/etc/passwd",
    "NUL": "a\0b",
    "list": [5],
    "table": {"name": 5, "0": None},
    "deep": "DEEP",
    "long": "a" * 100_000,
    "NaN": NOT_JSON,
    "gone": GONE,
}


def content(path: Path) -> dict[str, Any]:
    """A JSON file of the store, without its own SHA-256."""
    value = json.loads(path.read_bytes())
    value.pop("sha256", None)
    return value


def sealed(value: Mapping[str, Any]) -> bytes:
    """As `sealed_json`, for values too that no version writes: "DEEP" is a list of lists, NOT_JSON is NaN."""
    if isinstance(value, Mapping) and next(iter(value), None) == "schema":
        try:
            text = sealed_json(value)
        except (TypeError, ValueError):
            text = sealed_json(json.loads(json.dumps(value, default=lambda _: "NAN")))
    else:
        return json.dumps(value, default=lambda _: "NAN").encode()
    text = text.replace(b'"DEEP"', b"[" * 900 + b"]" * 900).replace(b'"NAN"', b"NaN")
    head, rest = text[: len(b'{\n "sha256": "')], text[len(b'{\n "sha256": "') + 64 :]
    return head + hashlib.sha256(rest).hexdigest().encode() + rest


@contextmanager
def forged(files: Mapping[Path, bytes | None]) -> Iterator[None]:
    """Files that have another content for a while; None: that are not there. Manifests are to be among them."""
    before = {path: path.read_bytes() if path.exists() else None for path in files}
    _write(files)
    try:
        yield
    finally:
        _write(before)


def _write(files: Mapping[Path, bytes | None]) -> None:
    for path, data in files.items():
        path.unlink(missing_ok=True)
        if data is not None:
            path.write_bytes(data)


def listed(folder: Path, files: Mapping[str, bytes], **more: Any) -> dict[Path, bytes | None]:
    """These files of a committed folder, and a manifest that has their sizes and hashes."""
    manifest = content(folder / "manifest.json") | more
    for name, data in files.items():
        manifest["files"][name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    return {folder / "manifest.json": sealed(manifest)} | {folder / name: data for name, data in files.items()}


def refused_or_none(read: Callable[[], object]) -> InputError | None:
    """The toolkit's own error, if reading raises it; any other exception passes."""
    try:
        read()
    except InputError as error:
        return error
    return None


def readings(folder: Path) -> dict[str, Callable[[], object]]:
    """Everything in Python that reads a campaign's folder, by name."""
    load = tickets.load
    found: dict[str, Callable[[], object]] = {
        "load": lambda: load(folder),
        "verify": lambda: verify(folder),
        "notes": lambda: tickets.store.notes_of(folder),
        "status": lambda: status(folder),
        "skip_damaged": lambda: load(folder, skip_damaged=True).rounds,
        "damaged": lambda: load(folder, skip_damaged=True).damaged,
    }
    for name in ("rounds", "curves", "units", "probes", "configs", "runs"):
        found[name] = lambda name=name: getattr(load(folder), name)
    for name in ("config", "registered", "roles", "notes", "coverage", "left_over", "file"):
        found[f"{name}()"] = lambda name=name: getattr(load(folder), name)()
    for arm, draw in (("ticket", 0), ("reinit", 1), ("random_mask", 0), ("small_dense", 0)):
        found[f"arm {arm}"] = lambda arm=arm, draw=draw: load(folder).arm(arm, 0, 1, draw=draw)
    found["build"] = lambda: load(folder).ticket(0, 1).build()
    return found


def saved_copy(source: Path, target: Path) -> Path:
    """A copy of a campaign's folder."""
    return Path(shutil.copytree(source, target))


def run_of(folder: Path) -> Path:
    """The folder of its only run."""
    (run,) = run_folders(folder)
    return run
