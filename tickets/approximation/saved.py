"""An approximation on disk: what is approximated and how, the random subnetwork, and what was measured of it.

    approximation.json           the target, by run, replicate, round, arm and SHA-256; the settings; the layers
    layer-000/rows-000000-000063 the subsets of these output units of a layer, committed as they are found
    network/                     masks.safetensors and weights.safetensors as in a saved round: packed masks, and the
                                 random values that survive
    result.json                  what was measured

Each JSON file begins with the SHA-256 of its content; the manifests have those of the other files, and all of them name
the SHA-256 of what approximation.json says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from tickets.approximation.blocks import record_digest
from tickets.approximation.construction import Settings
from tickets.approximation.network import skeleton
from tickets.approximation.saved_target import SavedTarget
from tickets.approximation.target import Layer
from tickets.errors import InputError
from tickets.store.arrays import decode, decode_shapes, encode, expand, pack, squeeze, unpack
from tickets.store.commit import commit, replace_file
from tickets.store.layout import SCHEMA_VERSION, Layout
from tickets.store.manifests import damaged, trusting_form
from tickets.store.reading import read_checked
from tickets.store.sealed import read_json, sealed_json, shortened
from tickets.store.temporary import Permit

_NUMBER, _COUNT, _ACCURACY = (int, float), (int,), (int, float, type(None))
MEASURED: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(("candidates", "target_weights", "target_biases", "subsets", "kept", "hidden_units"), _COUNT),
    **dict.fromkeys(("beyond_tolerance", "network_weights", "bound_examples"), _COUNT),
    **dict.fromkeys(("tolerance", "kept_per_weight", "share_kept", "worst_error", "mean_error"), _NUMBER),
    **dict.fromkeys(("within_tolerance", "width_factor", "worst_output_error", "mean_output_error"), _NUMBER),
    **dict.fromkeys(("same_prediction", "bound_output_error", "output_bound", "search_seconds", "seconds"), _NUMBER),
    **dict.fromkeys(("target_accuracy", "accuracy"), _ACCURACY),
    "values": (str,),
    "bound_holds": (bool,),
}
"""What a result has, and of which types, beside the settings and what identifies the target."""

RECORD = "approximation.json"
RESULT = "result.json"
NETWORK = "network"


@dataclass(frozen=True, eq=False, repr=False)
class Approximation:
    """A random subnetwork that approximates a saved network, as `tickets.approximate` returns it.

    Attributes
    ----------
    folder
        Where it is saved.
    record
        The target and the settings.
    result
        What was measured: the keys of `tickets approximate --json`.
    """

    folder: Path
    record: Mapping[str, Any]
    result: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"Approximation({str(self.folder)!r}, accuracy={self.result.get('accuracy')})"

    def build(self) -> nn.Sequential:
        """The random subnetwork, an nn.Sequential in evaluation mode; `tickets.approximation.network` says of what.

        Raises
        ------
        InputError
            If its files are damaged.
        """
        return read_network(self.folder, self.record)


def record_of(target: SavedTarget, settings: Settings) -> dict[str, Any]:
    """What is approximated, and how, as JSON values."""
    layers = [
        {
            "name": layer.name, "outputs": layer.weight.shape[0], "inputs": layer.weight.shape[1],
            "bias": layer.bias is not None, "rectified": layer.rectified, "signed": layer.signed,
        }
        for layer in target.layers
    ]  # fmt: skip
    return {"kind": "approximation", "target": target.record(), "settings": asdict(settings), "layers": layers}


def claim(folder: Path, record: Mapping[str, Any], permit: Permit | None = None) -> None:
    """Write approximation.json; if it is there, check that it says the same.

    Raises
    ------
    InputError
        If the folder is another approximation's.
    """
    if not (folder / RECORD).exists():
        replace_file(folder / RECORD, sealed_json({"schema": SCHEMA_VERSION, **record}), permit)
        return
    there = read_record(folder)
    if differ := [
        f"{key} = {there[part].get(key)!r}, not {wanted!r}"
        for part in ("target", "settings")
        for key, wanted in record[part].items()
        if there[part].get(key) != wanted
    ]:
        raise InputError(f"{folder}: is of another approximation ({', '.join(differ)}); name another folder (--out)")
    if there != record:
        raise InputError(f"{folder}: is of a network with other layers; name another folder (--out)")


def read_record(folder: Path) -> dict[str, Any]:
    """The content of approximation.json."""
    path = folder / RECORD
    with trusting_form(path):
        record = {key: value for key, value in read_json(path).items() if key != "schema"}
        if record["kind"] != "approximation" or not isinstance(record["target"], dict):
            raise damaged(path, "is not the record of an approximation")
        _settings(record)
        layers_of(record)
        return record


def write_network(folder: Path, of: str, network: nn.Sequential, permit: Permit | None = None) -> None:
    """Commit the random subnetwork: its mask and the values that survive."""
    values = {name: one.numpy() for name, one in network.state_dict().items()}
    masks = {name: one != 0 for name, one in values.items()}
    shapes = {name: one.shape for name, one in values.items()}
    files = {
        Layout.MASKS: encode({name: pack(mask) for name, mask in masks.items()}, shapes),
        Layout.WEIGHTS: encode({name: squeeze(one, masks[name]) for name, one in values.items()}, shapes),
    }
    surviving = {name: int(mask.sum()) for name, mask in masks.items()}
    commit(folder / NETWORK, files, {"kind": NETWORK, "of": of, "surviving": surviving}, permit)


def read_network(folder: Path, record: Mapping[str, Any]) -> nn.Sequential:
    """The random subnetwork that was committed.

    Raises
    ------
    InputError
        If its files are damaged or belong to another approximation.
    """
    place = folder / NETWORK
    with trusting_form(place), torch.no_grad():
        manifest = read_json(place / Layout.MANIFEST)
        if (manifest["kind"], manifest["of"]) != (NETWORK, record_digest(dict(record))):
            raise damaged(place, "belongs to another approximation")
        masks, weights = (read_checked(place, name, manifest) for name in (Layout.MASKS, Layout.WEIGHTS))
        # A mask has a bit for every weight of the target, at least: whatever is allocated below is in proportion.
        if sum(one["outputs"] * one["inputs"] for one in record["layers"]) > 8 * len(masks):
            raise damaged(place, "is smaller than the network that it is to approximate")
        network = skeleton(layers_of(record), _settings(record))
        shapes, packed, values = decode_shapes(masks), decode(masks), decode(weights)
        for name, parameter in network.state_dict().items():
            if shapes[name] != tuple(parameter.shape) or values[name].dtype != np.float32:
                raise damaged(place, f"{name} is {shapes[name]}, and must be {tuple(parameter.shape)}")
            parameter.copy_(torch.from_numpy(expand(values[name], unpack(packed[name], shapes[name]))))
    return network


def write_result(folder: Path, of: str, result: Mapping[str, Any], permit: Permit | None = None) -> None:
    """Write result.json."""
    content = {"schema": SCHEMA_VERSION, "kind": "result", "of": of, "result": dict(result)}
    replace_file(folder / RESULT, sealed_json(content), permit)


def read_approximation(folder: Path) -> Approximation:
    """An approximation that was measured.

    Raises
    ------
    InputError
        If there is none in the folder, or a file is damaged.
    """
    record, path = read_record(folder), folder / RESULT
    with trusting_form(path):
        content = read_json(path)
        if (content["kind"], content["of"]) != ("result", record_digest(record)):
            raise damaged(path, "belongs to another approximation")
        result = dict(content["result"])
        for key, kinds in MEASURED.items():
            if type(result[key]) not in kinds:
                raise damaged(path, f"{key} is {shortened(result[key])}")
        return Approximation(folder, record, result)


def is_measured(folder: Path) -> bool:
    """Whether a folder has a whole approximation."""
    return (folder / RESULT).exists() and (folder / NETWORK / Layout.MANIFEST).exists()


def _settings(record: Mapping[str, Any]) -> Settings:
    return Settings(**record["settings"])


def layers_of(record: Mapping[str, Any]) -> list[Layer]:
    """Layers of the recorded shapes, without weights."""
    made = []
    for one in record["layers"]:
        sizes = one["outputs"], one["inputs"]
        if not all(type(size) is int and 0 < size < 2**24 for size in sizes):
            raise ValueError(f"a layer of {sizes} units")
        weight = np.broadcast_to(np.float32(0), sizes)
        bias = np.zeros(sizes[0], np.float32) if one["bias"] else None
        surviving = np.broadcast_to(np.True_, sizes)
        made.append(Layer(str(one["name"]), weight, bias, surviving, bool(one["rectified"]), bool(one["signed"])))
    return made
