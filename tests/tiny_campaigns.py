"""Variants of the tiny campaign, and the files that a second start must leave as they are."""

from __future__ import annotations

VARIANTS = {
    "plain": {},
    "rewind": {"rewind": {"step": 5}, "train": {"optimizer": "sgd", "momentum": 0.9, "learning_rate": 0.1}},
    "rewind, nothing kept": {"rewind": {"step": 5}, "store": {"trained": "none"}},
    "cohorts, all kept": {"replicates": 3, "cohort_size": 2, "store": {"trained": "all", "units": True}},
    "from the start again": {"rewind": {"step": 5}, "arms": ["ticket", {"name": "constant", "start": 0}]},
}


def stamps(folder):
    """Every file but the lock, with its bytes and time."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != ".lock"]
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def committed(folder):
    return {path: stamp for path, stamp in stamps(folder).items() if "cohort-" in str(path)}
