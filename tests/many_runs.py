"""A campaign of many small runs: one is trained, and the others are copies of it under their own seeds and ids.

python tests/many_runs.py FOLDER [RUNS]
"""

from __future__ import annotations

import io
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pyarrow as pa
import pyarrow.parquet as pq
from tiny_campaigns import TINY

import tickets
from tickets.config import parse_campaign, run_id, to_toml
from tickets.store import Layout, commit, read_manifest, read_run, replace_file, run_folders, write_run

CAMPAIGN = {**TINY, "name": "many"}


def make_many_runs(folder: Path, count: int) -> None:
    """Write a campaign's folder with `count` runs, all done, whose seeds are swept."""
    with tempfile.TemporaryDirectory() as trained:
        tickets.run(CAMPAIGN, out=trained)
        (template,) = run_folders(Path(trained))
        campaign = parse_campaign({**CAMPAIGN, "sweep": {"seed": list(range(count))}})
        with patch("os.fsync", lambda descriptor: None):  # 10,000 runs would wait for the disk for many minutes
            replace_file(folder / Layout.CAMPAIGN, to_toml(campaign).encode())
            for run in campaign.runs:
                copy_run(template, folder / run_id(run), {"seed": run.seed})


def copy_run(template: Path, folder: Path, changes: dict[str, Any]) -> None:
    """Write a run's folder again under another id, with other values in its configuration."""
    file = {key: value for key, value in read_run(template).items() if key not in ("schema", "run")}
    write_run(folder, folder.name, **{**file, "config": {**file["config"], **changes}})
    shutil.copyfile(template / Layout.LOG, folder / Layout.LOG)
    for manifest in sorted(template.rglob(Layout.MANIFEST)):
        there, committed = manifest.parent, read_manifest(manifest.parent)
        files = {name: _renamed(there / name, folder.name) for name in committed["files"]}
        own = {key: value for key, value in committed.items() if key not in ("schema", "files", "run")}
        commit(folder / there.relative_to(template), files, own)


def _renamed(path: Path, run: str) -> bytes:
    """A file's content; a table with another run's id in its column `run`."""
    content = path.read_bytes()
    if path.suffix != Layout.TABLE:
        return content
    table = pq.read_table(io.BytesIO(content))
    column = pa.array([run] * len(table)).cast(table.schema.field("run").type)
    buffer = io.BytesIO()
    pq.write_table(table.set_column(table.schema.get_field_index("run"), table.schema.field("run"), column), buffer)
    return buffer.getvalue()


if __name__ == "__main__":
    os.nice(5)
    make_many_runs(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 10_000)
