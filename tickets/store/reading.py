"""Read committed files. Each is checked against the manifest of its folder before it is used."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from safetensors import safe_open

from tickets.errors import InputError
from tickets.store.arrays import Array, Mask, by_replicate, decode, decode_shapes, unpack
from tickets.store.layout import SCHEMA_VERSION, Layout, has_own_mask
from tickets.store.tables import ROUNDS, decode_table

Manifest = Mapping[str, Any]

_IN_MANIFEST = {"kind": str, "replicates": list, "files": dict}
_IN_ROUND_MANIFEST = {
    "round": int,
    "part": int,
    "arms": list,
    "density": dict,
    "surviving": dict,
    "diverged": int,
}


def read_json(path: Path) -> dict[str, Any]:
    """The content of a JSON file of the store.

    Raises
    ------
    InputError
        If the file is missing, damaged or of another schema version.
    """
    try:
        value = json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot read this file ({error.strerror})") from error
    except ValueError as error:
        raise InputError(f"{path}: damaged, not JSON ({error}); take it from a backup") from error
    found = value.get("schema") if isinstance(value, dict) else None
    if found != SCHEMA_VERSION:
        raise InputError(
            f"{path}: schema {found!r}, but this version of tickets reads schema {SCHEMA_VERSION}; "
            "use the version that wrote it"
        )
    return dict(value)


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a committed folder.

    Raises
    ------
    InputError
        If it is missing, damaged or of another schema version.
    """
    if not (folder / Layout.MANIFEST).exists():
        raise InputError(
            f"{folder}: no {Layout.MANIFEST}, so this folder was not committed or is damaged; "
            "take it from a backup, or move it away and run the campaign again"
        )
    manifest = read_json(folder / Layout.MANIFEST)
    needed = {**_IN_MANIFEST, **(_IN_ROUND_MANIFEST if manifest.get("kind") == "round" else {})}
    lacking = [key for key, kind in needed.items() if not isinstance(manifest.get(key), kind)]
    if lacking:
        raise InputError(f"{folder / Layout.MANIFEST}: damaged, it lacks {', '.join(lacking)}; take it from a backup")
    return manifest


def keeps_own_mask(manifest: Manifest, arm: str) -> bool:
    """Whether the folder of a round has masks of the arm with this label, beside the round's."""
    entry = manifest_arm(manifest, arm)
    return bool(entry.get("own_mask")) or has_own_mask(str(entry.get("name", arm)))


def manifest_arm(manifest: Manifest, arm: str) -> Mapping[str, Any]:
    """The entry of the arm with this label in the manifest of a round; empty if there is none."""
    return next((entry for entry in manifest["arms"] if entry["arm"] == arm), {})


def file_problem(folder: Path, name: str, manifest: Manifest) -> str | None:
    """How a file's size or SHA-256 differs from the manifest, or None. The file is read in chunks."""
    try:
        with open(folder / name, "rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            return _mismatch(manifest, name, file.tell(), sha256)
    except FileNotFoundError:
        return "missing"
    except OSError as error:
        return f"cannot be read ({error.strerror})"


def read_checked(folder: Path, name: str, manifest: Manifest) -> bytes:
    """The content of a committed file.

    Raises
    ------
    InputError
        If its size or SHA-256 differs from the manifest, or it cannot be read.
    """
    try:
        data = (folder / name).read_bytes()
    except OSError as error:
        raise InputError(f"{folder / name}: cannot read this file ({error.strerror})") from error
    wrong = _mismatch(manifest, name, len(data), hashlib.sha256(data).hexdigest())
    if wrong:
        raise damaged(folder / name, wrong)
    return data


class Committed:
    """A cache for reading committed folders: each manifest is read once, and the hash of each file is checked once.

    Committed files are never changed, so that checking them once suffices.
    """

    def __init__(self) -> None:
        self._manifests: dict[Path, dict[str, Any]] = {}
        self._checked: set[Path] = set()

    def manifest(self, folder: Path) -> Manifest:
        """The folder's manifest; errors as for `read_manifest`."""
        if folder not in self._manifests:
            self._manifests[folder] = read_manifest(folder)
        return self._manifests[folder]

    def checked(self, folder: Path, name: str) -> Path:
        """The path of a file, after checking its size and SHA-256.

        Raises
        ------
        InputError
            If they differ from the manifest.
        """
        path = folder / name
        if path not in self._checked:
            wrong = file_problem(folder, name, self.manifest(folder))
            if wrong:
                raise damaged(path, wrong)
            self._checked.add(path)
        return path


def damaged(path: Path, what: str) -> InputError:
    """The error for a damaged committed file, with the remedy."""
    return InputError(f"{path}: {what}; `tickets verify` lists all damage; take the file from a backup")


def read_arrays(path: Path, prefix: str) -> dict[str, Array]:
    """The arrays of a safetensors file whose keys start with `prefix`, by the rest of the key. Only these are read."""
    with safe_open(path, framework="numpy") as file:
        keys = [key for key in file.keys() if key.startswith(prefix)]  # noqa: SIM118 (this is no dict)
        return {key.removeprefix(prefix): file.get_tensor(key) for key in keys}


def read_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The metadata `shapes` of a safetensors file, in the model's order. Only the header is read."""
    with open(path, "rb") as file:
        length = file.read(8)
        return decode_shapes(length + file.read(int.from_bytes(length, "little")))


def read_run(folder: Path) -> dict[str, Any]:
    """The run.json of a run's folder; errors as for `read_json`."""
    return read_json(folder / Layout.RUN)


def read_round_table(round_folder: Path) -> pd.DataFrame:
    """The table rounds.parquet of a committed folder."""
    data = read_checked(round_folder, Layout.ROUNDS, read_manifest(round_folder))
    frame: pd.DataFrame = decode_table(data, ROUNDS).to_pandas()
    return frame


def read_values(folder: Path) -> dict[int, dict[str, Array]]:
    """The values in `initial/` or `rewind/`: {replicate: {parameter or buffer: array}}, in model order."""
    data = read_checked(folder, Layout.VALUES, read_manifest(folder))
    order = list(decode_shapes(data))
    return {
        replicate: {name: values[name] for name in order}
        for replicate, values in sorted(by_replicate(decode(data)).items())
    }


def read_initial(cohort: Path, replicate: int) -> dict[str, Array]:
    """The committed initial values of one replicate, by parameter or buffer. Only this replicate is read."""
    folder = cohort / Layout.INITIAL
    return read_arrays(Committed().checked(folder, Layout.VALUES), f"{replicate}/")


def read_optimizer(folder: Path) -> dict[int, dict[str, Array]]:
    """The optimizer state in `rewind/`: {replicate: {"<parameter>/<state>": array}}; empty if there is none."""
    manifest = read_manifest(folder)
    if Layout.OPTIMIZER not in manifest["files"]:
        return {}
    return by_replicate(decode(read_checked(folder, Layout.OPTIMIZER, manifest)))


def read_round_masks(round_folder: Path) -> dict[int, dict[str, Mask]]:
    """The `ticket` masks of a round: {replicate: {parameter: bool array}}, in model order."""
    return _ticket_masks(round_folder, Layout.MASKS)


def read_next_masks(round_folder: Path) -> dict[int, dict[str, Mask]]:
    """The masks of the following round: {replicate: {parameter: bool array}}, in model order.

    Raises
    ------
    InputError
        If the round was committed without them.
    """
    if Layout.NEXT_MASKS not in read_manifest(round_folder)["files"]:
        raise InputError(f"{round_folder}: has no {Layout.NEXT_MASKS}, so no round can follow it")
    return _ticket_masks(round_folder, Layout.NEXT_MASKS)


def read_shrunk(folder: Path) -> dict[int, dict[str, Mask]]:
    """Which pruned weights had shrunk when they were pruned: {replicate: {parameter: bool array}}, in model order."""
    return _ticket_masks(folder, Layout.SHRUNK)


def _ticket_masks(folder: Path, name: str) -> dict[int, dict[str, Mask]]:
    data = read_checked(folder, name, read_manifest(folder))
    shapes = decode_shapes(data)
    return {
        replicate: {
            parameter: unpack(packed[f"{Layout.TICKET}/{parameter}"], shape) for parameter, shape in shapes.items()
        }
        for replicate, packed in sorted(by_replicate(decode(data)).items())
    }


def _mismatch(manifest: Manifest, name: str, size: int, sha256: str) -> str | None:
    listed = manifest["files"].get(name)
    if not isinstance(listed, dict):
        return "not in the manifest"
    if size != listed.get("bytes"):
        return f"{size:,} bytes, but the manifest says {listed.get('bytes'):,}"
    if sha256 != listed.get("sha256"):
        return f"SHA-256 {sha256[:12]}..., but the manifest says {str(listed.get('sha256'))[:12]}..."
    return None
