"""Read committed files. Each is checked against the manifest of its folder before it is used."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import safe_open

from tickets.errors import DiskError, InputError
from tickets.opening import AGAIN, open_regular
from tickets.store.arrays import LARGEST_HEADER, Array, Mask, by_replicate, decode, decode_shapes, unpack
from tickets.store.layout import Layout
from tickets.store.manifests import Manifest, damaged, read_manifest, trusting_form
from tickets.store.tables import ROUNDS, decode_table, row_limit

if TYPE_CHECKING:
    import pandas as pd


def file_problem(folder: Path, name: str, manifest: Manifest) -> str | None:
    """How a file's size or SHA-256 differs from the manifest, or None. The file is read in chunks."""
    listed = manifest["files"].get(name)
    try:
        with open_regular(folder / name) as file:
            size = os.fstat(file.fileno()).st_size
            if listed is None:
                return "not in the manifest"
            if size != listed["bytes"]:
                return _other_size(size, listed)
            return _other_hash(hashlib.file_digest(file, "sha256").hexdigest(), listed)
    except FileNotFoundError:
        return "missing"
    except InputError as error:
        return str(error).removeprefix(f"{folder / name}: ")
    except OSError as error:
        return f"cannot be read ({error.strerror})"


def read_checked(folder: Path, name: str, manifest: Manifest) -> bytes:
    """The content of a committed file.

    Raises
    ------
    InputError
        If its size or SHA-256 differs from the manifest, or it cannot be read. No more is read than the manifest says.
    """
    path, listed = folder / name, manifest["files"].get(name)
    if listed is None:
        raise damaged(path, "not in the manifest")
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            data = file.read(listed["bytes"]) if size == listed["bytes"] else b""
    except FileNotFoundError as error:
        raise damaged(path, "missing") from error
    except OSError as error:
        raise DiskError(f"{path}: cannot be read ({error.strerror}); {AGAIN}") from error
    except MemoryError as error:
        raise DiskError(
            f"{path}: its {size:,} bytes do not fit into the memory of this machine; read it on one with more"
        ) from error
    if size != listed["bytes"]:
        raise damaged(path, _other_size(size, listed))
    if wrong := _other_hash(hashlib.sha256(data).hexdigest(), listed):
        raise damaged(path, wrong)
    return data


class Committed:
    """A cache for reading committed folders: each manifest is read once, and the hash of each file is checked once.

    Committed files are never changed, so that checking them once suffices.

    Parameters
    ----------
    runs
        See `read_manifest`.
    """

    def __init__(self, runs: Mapping[Path, str] | None = None) -> None:
        self._runs = runs
        self._manifests: dict[Path, dict[str, Any]] = {}
        self._checked: set[Path] = set()

    def manifest(self, folder: Path) -> Manifest:
        """The folder's manifest; errors as for `read_manifest`."""
        if folder not in self._manifests:
            self._manifests[folder] = read_manifest(folder, self._runs)
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


def read_arrays(path: Path, prefix: str) -> dict[str, Array]:
    """The arrays of a safetensors file whose keys start with `prefix`, by the rest of the key. Only these are read."""
    with trusting_form(path), safe_open(path, framework="numpy") as file:
        keys = [key for key in file.keys() if key.startswith(prefix)]  # noqa: SIM118 (this is no dict)
        return {key.removeprefix(prefix): file.get_tensor(key) for key in keys}


def read_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The metadata `shapes` of a safetensors file, in the model's order. Only the header is read."""
    with trusting_form(path), open_regular(path) as file:
        length = file.read(8)
        return decode_shapes(length + file.read(min(int.from_bytes(length, "little"), LARGEST_HEADER)))


def read_round_table(round_folder: Path) -> pd.DataFrame:
    """The table rounds.parquet of a committed folder."""
    manifest = read_manifest(round_folder)
    data = read_checked(round_folder, Layout.ROUNDS, manifest)
    with trusting_form(round_folder / Layout.ROUNDS):
        frame: pd.DataFrame = decode_table(data, ROUNDS, row_limit(manifest, Layout.ROUNDS)).to_pandas()
    return frame


def read_values(folder: Path) -> dict[int, dict[str, Array]]:
    """The values in `initial/` or `rewind/`: {replicate: {parameter or buffer: array}}, in model order."""
    data = read_checked(folder, Layout.VALUES, read_manifest(folder))
    with trusting_form(folder / Layout.VALUES):
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
    data = read_checked(folder, Layout.OPTIMIZER, manifest)
    with trusting_form(folder / Layout.OPTIMIZER):
        return by_replicate(decode(data))


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
    with trusting_form(folder / name):
        shapes = decode_shapes(data)
        return {
            replicate: {
                parameter: unpack(packed[f"{Layout.TICKET}/{parameter}"], shape) for parameter, shape in shapes.items()
            }
            for replicate, packed in sorted(by_replicate(decode(data)).items())
        }


def _other_size(size: int, listed: Mapping[str, Any]) -> str:
    return f"{size:,} bytes, but the manifest says {listed['bytes']:,}"


def _other_hash(sha256: str, listed: Mapping[str, Any]) -> str | None:
    if sha256 == listed["sha256"]:
        return None
    return f"SHA-256 {sha256[:12]}..., but the manifest says {listed['sha256'][:12]}..."
