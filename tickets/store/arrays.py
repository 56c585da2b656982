"""The form of arrays on disk: packed masks, surviving values, safetensors files and their keys."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import safetensors.numpy
from safetensors import SafetensorError

from tickets.store.sealed import parse_json, shortened

Array = npt.NDArray[np.generic]
Mask = npt.NDArray[np.bool_]
Shapes = Mapping[str, tuple[int, ...]]

LARGEST_HEADER = 100_000_000  # bytes, as the safetensors library allows

_DRAW = re.compile(r"(.+)\.draw(\d+)")


def pack(mask: Mask) -> npt.NDArray[np.uint8]:
    """Pack a mask into bits: entry i, in C order, is bit i % 8 (lowest first) of byte i // 8; unused bits are 0.

    Parameters
    ----------
    mask
        Bool, any shape, n entries.

    Returns
    -------
    ndarray
        uint8, (ceil(n / 8),).

    Raises
    ------
    TypeError
        If the mask is not bool.
    """
    if mask.dtype != np.bool_:
        raise TypeError(f"a mask is bool, not {mask.dtype}")
    return np.packbits(mask.ravel(), bitorder="little")


def unpack(packed: Array, shape: tuple[int, ...]) -> Mask:
    """Unpack a mask; the inverse of `pack`.

    Parameters
    ----------
    packed
        As `pack` returns it.
    shape
        The shape of the mask.

    Raises
    ------
    ValueError
        If the number of bytes does not fit the shape, or an unused bit is set.
    """
    count = math.prod(shape)
    if packed.dtype != np.uint8 or packed.shape != (-(-count // 8),):
        raise ValueError(f"a mask of shape {shape} is {-(-count // 8)} bytes, not {packed.dtype} of {packed.shape}")
    bits = np.unpackbits(packed.astype(np.uint8, copy=False), bitorder="little")
    if bits[count:].any():
        raise ValueError(f"a mask of shape {shape} has bits set past its {count} entries")
    return bits[:count].view(np.bool_).reshape(shape)


def squeeze(values: Array, mask: Mask) -> Array:
    """The surviving values: those where the mask is True, 1-D in C order.

    Raises
    ------
    ValueError
        If values and mask have different shapes.
    """
    if values.shape != mask.shape:
        raise ValueError(f"values of shape {values.shape} do not fit a mask of shape {mask.shape}")
    return values[mask]


def expand(survivors: Array, mask: Mask, elsewhere: Array | None = None) -> Array:
    """A tensor of full shape from its surviving values; the inverse of `squeeze`.

    Parameters
    ----------
    survivors
        The values where the mask is True, 1-D in C order.
    mask
        The mask.
    elsewhere
        A tensor of the mask's shape with the other values; None for 0.0.

    Raises
    ------
    ValueError
        If the number of survivors differs from that of the mask.
    """
    if survivors.shape != (np.count_nonzero(mask),):
        raise ValueError(
            f"{survivors.shape} surviving values do not fit a mask in which {np.count_nonzero(mask)} survive"
        )
    values = np.zeros(mask.shape, dtype=survivors.dtype) if elsewhere is None else elsewhere.copy()
    values[mask] = survivors
    return values


def arm_key(arm: str, draw: int, repeated: bool) -> str:
    """The arm's part of a key: `reinit.draw1` if the arm has several draws or the draw is not 0, else `reinit`."""
    return f"{arm}.draw{draw}" if repeated or draw > 0 else arm


def parse_arm_key(key: str) -> tuple[str, int]:
    """The inverse of `arm_key`: (arm, draw). Without a suffix the draw is 0."""
    match = _DRAW.fullmatch(key)
    return (match[1], int(match[2])) if match else (key, 0)


def encode(arrays: Mapping[str, Array], shapes: Shapes) -> bytes:
    """Encode arrays as a safetensors file.

    Parameters
    ----------
    arrays
        The arrays by key.
    shapes
        {parameter: shape}, in the model's order; written to the metadata `shapes` as JSON.
    """
    # A single metadata key: safetensors does not keep the order of several, and equal runs must have equal bytes.
    metadata = {"shapes": json.dumps({name: list(shape) for name, shape in shapes.items()})}
    whole = {key: array if array.flags.c_contiguous else array.copy() for key, array in arrays.items()}
    return safetensors.numpy.save(whole, metadata)


def decode(data: bytes) -> dict[str, Array]:
    """Decode a safetensors file: its arrays by key, as copies.

    Raises
    ------
    ValueError
        If the data does not have this format, or has numbers that NumPy does not know.
    """
    try:
        return dict(safetensors.numpy.load(data))
    except (SafetensorError, AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise ValueError(f"not a safetensors file of numbers that NumPy knows ({error})") from error


def decode_shapes(data: bytes) -> dict[str, tuple[int, ...]]:
    """The metadata `shapes` of a safetensors file, in the model's order; empty if it has none.

    Raises
    ------
    ValueError
        If the data does not have this format, or a shape is not made of whole numbers from 0.
    """
    # The format: the header's length in 8 bytes, little-endian, then the header, which is JSON.
    try:
        header = parse_json(data[8 : 8 + min(int.from_bytes(data[:8], "little"), LARGEST_HEADER)])
        shapes = parse_json(header.get("__metadata__", {}).get("shapes", "{}").encode())
        return {name: _shape(shape) for name, shape in shapes.items()}
    except (ValueError, AttributeError, TypeError) as error:
        raise ValueError(f"not a safetensors file with `shapes` ({error})") from error


def _shape(sizes: object) -> tuple[int, ...]:
    if not isinstance(sizes, list) or not all(type(size) is int and 0 <= size < 2**62 for size in sizes):
        raise ValueError(f"a shape is a list of whole numbers, not {shortened(sizes)}")
    if len(sizes) > 64 or math.prod(max(size, 1) for size in sizes) >= 2**62:
        raise ValueError(f"the shape {shortened(sizes)} is that of no tensor")
    return tuple(sizes)


def by_replicate(arrays: Mapping[str, Array]) -> dict[int, dict[str, Array]]:
    """Arrays with keys `<replicate>/<rest>`, as {replicate: {rest: array}}."""
    grouped: dict[int, dict[str, Array]] = {}
    for key, array in sorted(arrays.items()):
        replicate, _, rest = key.partition("/")
        grouped.setdefault(replicate_of(replicate), {})[rest] = array
    return grouped


def replicate_of(key: str) -> int:
    """The replicate that a part of a key names. Raises ValueError for anything but a plain number."""
    if not (key.isascii() and key.isdigit()) or (key[0] == "0" and key != "0") or len(key) > 16:
        raise ValueError(f"{shortened(key)} is not the number of a replicate")
    return int(key)
