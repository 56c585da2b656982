"""Variants of the tiny campaign, and the files that a second start must leave as they are."""

from __future__ import annotations

VARIANTS = {
    "plain": {},
    "rewind": {"rewind": {"step": 5}, "train": {"optimizer": "sgd", "momentum": 0.9, "learning_rate": 0.1}},
    "rewind, nothing kept": {"rewind": {"step": 5}, "store": {"trained": "none"}},
    "cohorts, all kept": {"replicates": 3, "cohort_size": 2, "store": {"trained": "all", "units": True}},
    "learning rate": {
        "rewind": {"kind": "learning_rate", "step": 5},
        "train": {"optimizer": "sgd", "momentum": 0.9, "learning_rate": 0.1},
        "prune": {"densities": [0.5, 0.2]},
    },
    "fine-tuned": {
        "rewind": {"kind": "none"},
        "fine_tune": {"steps": 8},
        "train": {"schedule": "step", "milestones": [10]},
        "arms": ["ticket", "shuffle", "random_mask", {"name": "reinit", "label": "full", "start": 0}],
    },
    "from the start again": {"rewind": {"step": 5}, "arms": ["ticket", {"name": "constant", "start": 0}]},
}


def stamps(folder):
    """Every file but the lock, with its bytes and time."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != ".lock"]
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def committed(folder):
    return {path: stamp for path, stamp in stamps(folder).items() if "cohort-" in str(path)}
