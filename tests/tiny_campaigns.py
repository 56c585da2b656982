"""The tiny campaigns of the tests, and the files that a second start must leave as they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# One that is trained.
TINY: Mapping[str, Any] = {
    "name": "tiny",
    "replicates": 2,
    "rounds": 2,
    "data": "digits",
    "model": {"name": "mlp", "widths": [8]},
    "arms": ["ticket", {"name": "reinit", "draws": 2}, "random_mask"],
    "train": {"steps": 20, "evaluate_every": 10, "batch_size": 50, "learning_rate": 1e-2},
    # What is chosen by the free memory and the number of cores would differ from one start to the next.
    "compute": {"threads": 1, "memory_gib": 0.5},
}

# One whose runs are made up.
EXAMPLE: Mapping[str, Any] = {
    "name": "example",
    "replicates": 2,
    "rounds": 2,
    "data": "digits",
    "model": {"name": "mlp", "widths": [4]},
    "arms": ["ticket", {"name": "reinit", "draws": 2}, {"name": "constant", "value": 0.5}, "random_mask"],
    "train": {"steps": 100},
}

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
