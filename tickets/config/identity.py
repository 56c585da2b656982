"""What decides a ticket's numbers, and the name of a run that is made from it."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from tickets.config.schema import Run
from tickets.config.tables import VALIDATION

SCHEMA_VERSION = 1  # raised when saved runs change their meaning; part of every run's id

# The keys of a Run that decide a ticket's numbers.
IDENTITY_KEYS = ("seed", "data", "model", "train", "prune", "rewind")


def identity(run: Run) -> dict[str, Any]:
    """Everything that decides a ticket's numbers, defaults included, and nothing else.

    Left out are a run's name, replicates, rounds, arms, cohort_size, store and compute: they say which
    tickets are made and how. `prune.density` is left out: the rate it stands for is in; so is an empty
    `prune.include`. `model.init` is a plain
    name where its rule has no options of its own, else a table of all of them. A number of validation examples that is
    not known before the data is loaded counts as VALIDATION; a run that trains has a number.
    """
    values = run.model_dump(mode="json", include=set(IDENTITY_KEYS))
    del values["prune"]["density"]
    if values["data"]["validation"] is None:
        values["data"]["validation"] = VALIDATION
    return {"schema_version": SCHEMA_VERSION, **values}


def run_id(run: Run) -> str:
    """A run's folder name: `<data>-<model>-<optimizer>-<learning rate>-seed<seed>-<hash>`.

    The hash is the first 10 hexadecimal digits of the SHA-256 of `identity` as JSON with sorted keys and no
    spaces. Two runs have the same id only if their tickets are the same.
    """
    text = json.dumps(identity(run), sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    digest = hashlib.sha256(text.encode("ascii")).hexdigest()[:10]
    train = run.train
    names = f"{_safe(run.data.name)}-{_safe(run.model.name)}-{train.optimizer}-{train.learning_rate:g}"
    return f"{names}-seed{run.seed}-{digest}"


def _safe(name: str) -> str:
    # Not every file system has names like "my.nets:wide"; 40 letters each keep the whole under 255 bytes.
    return re.sub(r"[^A-Za-z0-9_]", "_", name)[:40]
