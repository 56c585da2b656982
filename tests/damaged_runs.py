"""Saved runs that are damaged, with manifests that fit them again, and the problems that are found."""

from __future__ import annotations

import hashlib
import json

import pyarrow.parquet as pq

from tickets.store import verify
from tickets.store.arrays import decode, decode_shapes, encode
from tickets.store.sealed import sealed_json
from tickets.store.tables import encode_table


def told(folder):
    """The problems as (path below the cohort's folder, text)."""
    return [(problem.path.split("cohort-000/")[-1], problem.what) for problem in verify(folder)]


def rehash(folder, **changes):
    """Make the manifest fit the files again, so that only their contents can betray them."""
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest.update(changes)
    for name in manifest["files"]:
        data = (folder / name).read_bytes()
        manifest["files"][name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    manifest.pop("sha256", None)
    (folder / "manifest.json").write_bytes(sealed_json(manifest))


def change_arrays(folder, name, change):
    data = (folder / name).read_bytes()
    arrays = decode(data)
    change(arrays)
    (folder / name).write_bytes(encode(arrays, decode_shapes(data)))
    rehash(folder)


def change_table(folder, name, change):
    table = change(pq.read_table(folder / name))
    (folder / name).write_bytes(encode_table(table.to_pandas(), table.schema))
    rehash(folder)
