"""Arrays as they lie on disk: masks by bit, surviving values, safetensors files and their keys."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import safetensors.numpy
from safetensors import SafetensorError

Array = npt.NDArray[np.generic]
Mask = npt.NDArray[np.bool_]
Shapes = Mapping[str, tuple[int, ...]]

_DRAW = re.compile(r"(.+)\.draw(\d+)")


def pack(mask: Mask) -> npt.NDArray[np.uint8]:
    """A mask by bit: bit i % 8 (the lowest first) of byte i // 8 is entry i in C order; the last bits are 0.

    mask: bool, any shape, n entries. Returns uint8, (ceil(n / 8),).
    """
    if mask.dtype != np.bool_:
        raise TypeError(f"a mask is bool, not {mask.dtype}")
    return np.packbits(mask.ravel(), bitorder="little")


def unpack(packed: Array, shape: tuple[int, ...]) -> Mask:
    """The mask of this shape that `pack` made; the reverse of it.

    Raises ValueError if there are not just as many bytes as the shape needs, or a bit past the end is set.
    """
    count = int(np.prod(shape, dtype=np.int64))
    if packed.dtype != np.uint8 or packed.shape != (-(-count // 8),):
        raise ValueError(f"a mask of shape {shape} is {-(-count // 8)} bytes, not {packed.dtype} of {packed.shape}")
    bits = np.unpackbits(packed.astype(np.uint8, copy=False), bitorder="little")
    if bits[count:].any():
        raise ValueError(f"a mask of shape {shape} has bits set past its {count} entries")
    return bits[:count].astype(np.bool_).reshape(shape)


def squeeze(values: Array, mask: Mask) -> Array:
    """The surviving values, (surviving,): those where the mask, of the same shape, is True, in C order."""
    if values.shape != mask.shape:
        raise ValueError(f"values of shape {values.shape} do not fit a mask of shape {mask.shape}")
    return values[mask]


def expand(survivors: Array, mask: Mask, elsewhere: Array | None = None) -> Array:
    """The whole tensor, of the mask's shape: survivors at their places, exactly 0.0 or `elsewhere` at the others.

    Undoes `squeeze`. Raises ValueError if there are not as many survivors as the mask keeps.
    """
    if survivors.shape != (np.count_nonzero(mask),):
        raise ValueError(
            f"{survivors.shape} surviving values do not fit a mask in which {np.count_nonzero(mask)} survive"
        )
    values = np.zeros(mask.shape, dtype=survivors.dtype) if elsewhere is None else elsewhere.copy()
    values[mask] = survivors
    return values


def arm_key(arm: str, draw: int, repeated: bool) -> str:
    """An arm's part of a key: `reinit.draw1` if it has several draws (or this is not draw 0), or `reinit`."""
    return f"{arm}.draw{draw}" if repeated or draw > 0 else arm


def parse_arm_key(key: str) -> tuple[str, int]:
    """(arm, draw) of an arm's part of a key; no suffix means draw 0."""
    match = _DRAW.fullmatch(key)
    return (match[1], int(match[2])) if match else (key, 0)


def encode(arrays: Mapping[str, Array], shapes: Shapes) -> bytes:
    """The bytes of a safetensors file; metadata `shapes` is JSON of {parameter: shape}, in model order."""
    # One metadata key and no more: the writer keeps no order among several, and equal runs have equal bytes.
    metadata = {"shapes": json.dumps({name: list(shape) for name, shape in shapes.items()})}
    whole = {key: array if array.flags.c_contiguous else array.copy() for key, array in arrays.items()}
    return safetensors.numpy.save(whole, metadata)


def decode(data: bytes) -> dict[str, Array]:
    """The arrays of a safetensors file by key, the caller's own. Raises ValueError if it is not one."""
    try:
        return dict(safetensors.numpy.load(data))
    except SafetensorError as error:
        raise ValueError(f"not a safetensors file ({error})") from error


def decode_shapes(data: bytes) -> dict[str, tuple[int, ...]]:
    """The metadata `shapes` of a safetensors file, in the model's order; empty if it has none."""
    # The format: the header's length in 8 bytes, little-endian, then the header, which is JSON.
    try:
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        shapes = json.loads(header.get("__metadata__", {}).get("shapes", "{}"))
        return {name: tuple(int(size) for size in shape) for name, shape in shapes.items()}
    except (ValueError, AttributeError, TypeError) as error:
        raise ValueError(f"not a safetensors file with `shapes` ({error})") from error


def by_replicate(arrays: Mapping[str, Array]) -> dict[int, dict[str, Array]]:
    """Arrays with keys `<replicate>/<rest>`, as {replicate: {rest: array}}."""
    grouped: dict[int, dict[str, Array]] = {}
    for key, array in sorted(arrays.items()):
        replicate, _, rest = key.partition("/")
        grouped.setdefault(int(replicate), {})[rest] = array
    return grouped
