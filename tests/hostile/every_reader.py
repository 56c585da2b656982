"""The readers of all files that somebody else may have written, by name, with a valid file of each."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import tomli_w
from hostile import campaign_readers, data_readers, store_readers

READERS: Mapping[str, Callable[[Path], None]] = {
    **campaign_readers.READERS,
    **data_readers.READERS,
    **store_readers.READERS,
}

TABLE = {
    "name": "good",
    "data": {"name": "circle", "examples": 100, "noise": 0.1},
    "model": {"name": "mlp", "widths": [5, 4], "init": {"name": "constant", "value": 0.5}},
    "arms": ["ticket", {"name": "reinit", "draws": 2, "label": "again", "train": {"steps": 9}}],
    "train": {"optimizer": "sgd", "learning_rate": 0.1, "steps": 10, "milestones": [3, 6], "schedule": "step"},
    "prune": {"score": "magnitude", "exclude": ["a*"]},
    "sweep": {"seed": [1, 2]},
}


def valid_of(reader: str) -> bytes:
    """A valid file of a reader."""
    if reader in store_readers.READERS:
        return store_readers.valid(reader)
    if reader in data_readers.READERS:
        return data_readers.VALID[reader]
    if reader == "campaign_file":
        return tomli_w.dumps(TABLE).encode()
    if reader in ("campaign_of_json", "saved_config"):
        return json.dumps(TABLE).encode()
    return (
        b'train.steps=5\nmodel={name="mlp"}\nseed=1'
        if reader == "settings"
        else b'{ name = "sharpness", examples = 5 }'
    )
