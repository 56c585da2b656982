"""The identity of a run: the settings that decide its tickets' numbers, and the run id made from them."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from tickets.config.schema import Run
from tickets.config.tables import VALIDATION

SCHEMA_VERSION = 1  # of saved runs; raised when their meaning changes, and part of every run id

# The keys of a Run that decide a ticket's numbers.
IDENTITY_KEYS = ("seed", "data", "model", "train", "prune", "rewind", "fine_tune")


def identity(run: Run) -> dict[str, Any]:
    """The settings that decide a ticket's numbers, defaults included.

    A run's name, replicates, rounds, arms, probes, cohort_size, store, compute and verdict are not among them: they
    decide which tickets are made, how they are computed and what is measured. `prune.density` is not among them either,
    since it stands for `prune.rate`; `prune.densities` is, so that a longer list makes another run. Keys that were
    added later are left out at their defaults (`types.AddedLater`), so that the ids of older runs are unchanged.

    A number of validation examples that is not known before the data is loaded counts as VALIDATION; a run that trains
    has a number.
    """
    values = run.model_dump(mode="json", include=set(IDENTITY_KEYS))
    del values["prune"]["density"]
    if values["data"]["validation"] is None:
        values["data"]["validation"] = VALIDATION
    return {"schema_version": SCHEMA_VERSION, **values}


def run_id(run: Run) -> str:
    """A run's folder name: `<data>-<model>-<optimizer>-<learning rate>-seed<seed>-<hash>`.

    The hash is the first 10 hexadecimal digits of the SHA-256 of `identity` as JSON with sorted keys and no spaces.
    Two runs have the same id only if their tickets are the same.
    """
    return _named(run, identity(run))


def run_ids(runs: Sequence[Run]) -> list[str]:
    """The ids of several runs, as `run_id` gives them; runs that share all sections as objects are written once."""
    known: dict[tuple[int, ...], dict[str, Any]] = {}
    names = []
    for run in runs:
        sections = tuple(id(getattr(run, key)) for key in IDENTITY_KEYS if key != "seed")
        if sections not in known:
            known[sections] = identity(run)
        names.append(_named(run, {**known[sections], "seed": run.seed}))
    return names


def _named(run: Run, decides: Mapping[str, Any]) -> str:
    text = json.dumps(decides, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    digest = hashlib.sha256(text.encode("ascii")).hexdigest()[:10]
    train = run.train
    names = f"{_safe(run.data.name)}-{_safe(run.model.name)}-{train.optimizer}-{train.learning_rate:g}"
    return f"{names}-seed{run.seed}-{digest}"


def _safe(name: str) -> str:
    # Not every file system allows names like "my.nets:wide"; 40 letters each keep the id below 255 bytes.
    return re.sub(r"[^A-Za-z0-9_]", "_", name)[:40]
