"""A million inputs, over every reader of files of somebody else's: each is read, or refused by the toolkit's own error.

`pip install "tickets[fuzz]"` brings atheris, which is guided by the coverage of the code. Without it the inputs come
from a seeded generator of mutations.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hostile.every_reader import READERS

FUZZ = Path(__file__).with_name("fuzz.py")

# Thousands of inputs, roughly in proportion to the speed of the reader.
INPUTS = {
    **dict.fromkeys(("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "data_batch_1.bin"), 60),
    **dict.fromkeys(("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz", "data_batch_1.bin.gz"), 50),
    "cifar-10-binary.tar.gz": 30,
    **dict.fromkeys(("campaign_file", "settings", "campaign_of_json", "saved_config", "probe_option"), 12),
    "lease": 140,
    "index of runs": 120,
    "checkpoint.safetensors": 60,
    "log.jsonl": 60,
    "any Parquet": 30,
    "values.safetensors": 20,
    "optimizer.safetensors": 20,
    "trained.safetensors": 20,
    "optimizer.safetensors of a round": 20,
    "next_masks.safetensors": 15,
    "masks.safetensors": 10,
    "weights.safetensors": 10,
    "run.json": 15,
    "manifest of initial/": 15,
    "manifest of a round": 15,
    "manifest of probes": 15,
    "campaign.toml of a folder": 10,
    "runs.json": 10,
    "curves.parquet": 5,
    "rounds.parquet": 5,
    "a probe's table": 5,
}


def fuzzed(number: int, reader: str, folder: Path) -> dict[str, object]:
    """What came of fuzzing one reader in a process of its own."""
    own = folder / str(number)
    arguments = [reader, str(INPUTS[reader] * 1000), str(number), str(own)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path, os.environ.get("PYTHONPATH", "")])}
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", str(FUZZ), *arguments], capture_output=True, text=True, env=environment
    )
    if not (own / "result.json").exists():
        return {"reader": reader, "engine": "?", "inputs": 0, "crashes": {"process": ended.stderr[-2000:]}}
    return json.loads((own / "result.json").read_text())  # type: ignore[no-any-return]


@pytest.mark.torture
def test_a_million_inputs_are_read_or_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert INPUTS.keys() == READERS.keys()
    assert sum(INPUTS.values()) >= 1000
    slowest_first = sorted(READERS, key=lambda reader: INPUTS[reader])
    with ThreadPoolExecutor(2) as processes:
        found = list(processes.map(lambda one: fuzzed(*one, tmp_path), enumerate(slowest_first)))
    with capsys.disabled():
        print()
        for one in found:
            print(json.dumps(one))
        engines = Counter(str(one["engine"]) for one in found)
        print(f"{sum(int(str(one['inputs'])) for one in found):,} inputs by {dict(engines)}")
    assert {one["reader"]: one["crashes"] for one in found if one["crashes"]} == {}
    assert sum(int(str(one["inputs"])) for one in found) >= 1_000_000
