"""Forged safetensors files: what is wrong with one array, one key, or the metadata `shapes`, in words and as bytes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import safetensors.numpy

from tickets.store.arrays import decode

Array = np.ndarray[Any, Any]
Change = Callable[[Array], Array]


def _filled(value: float) -> Change:
    return lambda array: np.full_like(array, value) if array.dtype.kind == "f" else np.full_like(array, 255)


CHANGES: Mapping[str, Change] = {
    **{f"as {dtype}": lambda array, dtype=dtype: array.astype(dtype)
       for dtype in ("float64", "float16", "int64", "uint8", "bool", "int8", "uint32")},
    "flat": lambda array: array.ravel(),
    "in a list": lambda array: array[None],
    "scalar": lambda array: np.zeros((), array.dtype),
    "empty": lambda array: np.zeros((0,), array.dtype),
    "empty in two dimensions": lambda array: np.zeros((0, 5), array.dtype),
    "one longer": lambda array: np.concatenate([array.ravel(), np.ones(1, array.dtype)]),
    "one shorter": lambda array: array.ravel()[:-1],
    "transposed": lambda array: np.ascontiguousarray(array.T),
    "of 60 dimensions": lambda array: array.ravel()[:1].reshape((1,) * 60),
    "NaN": _filled(np.nan),
    "infinite": _filled(np.inf),
    "huge": _filled(3e38),
    "negated": lambda array: -array if array.dtype.kind == "f" else ~array,
    "zeros": np.zeros_like,
}  # fmt: skip
KEYS = (
    "", "/", "x", "0", "0/", "0//", "/ticket/x", "5/ticket/x", "5/x", "-1/ticket/x", "01/ticket/x", "1.0/x", "٣/x",
    "9" * 30 + "/ticket/x", "0/ticket/unknown", "0/ticket.draw99999999999999999999999/x", "0/ticket.draw/x",
    "0/no arm/x", "../../x", "/etc/passwd", "0/../../x/y", "0/<script>/</text>", "0/ticket/" + "a" * 50_000,
    "0/a\0/b\n",
)  # fmt: skip
SHAPES: tuple[Any, ...] = (
    [], [0], [1], [-1], [1.5], ["x"], [None], [True], "x", None, 5, {}, [2**40, 2**20], [2**61], [2**62], [1] * 65,
    [0, 2**61], [10**400],
)  # fmt: skip
METADATA = ("", "{}", "[]", "5", "null", "{", '{"a": [1], "a": [2]}', "[" * 500, '{"\\ud800": [1]}', "NaN")


def forged_arrays(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Every forgery of a safetensors file: (what is wrong, the file)."""
    arrays, shapes = decode(data), metadata(data)
    yield "no array", packed({}, shapes)
    yield "no byte", b""
    yield "replicates exchanged", packed({_exchanged(key): array for key, array in arrays.items()}, shapes)
    yield "replicates renumbered", packed({f"5{key}": array for key, array in arrays.items()}, shapes)
    yield "replicate 0 alone", packed({key: array for key, array in arrays.items() if key.startswith("0/")}, shapes)
    for name, change in CHANGES.items():
        yield f"all {name}", packed({key: change(array) for key, array in arrays.items()}, shapes)
    for key in arrays:
        for name, change in CHANGES.items():
            yield f"{key} {name}", packed({**arrays, key: change(arrays[key])}, shapes)
        rest = {other: array for other, array in arrays.items() if other != key}
        yield f"{key} gone", packed(rest, shapes)
        yield f"{key} renamed", packed({**rest, f"{key}x": arrays[key]}, shapes)
    one = next(iter(arrays.values()))
    for key in KEYS:
        yield f"with {key[:40]!r}", packed({**arrays, key: one}, shapes)
        yield f"{key[:40]!r} alone", packed({key: one}, shapes)
    for dtype in ("BF16", "F8_E4M3", "I16", "nothing", "U8"):
        yield f"all of type {dtype}", retyped(data, dtype)
    yield from _forged_shapes(arrays, shapes)


def _forged_shapes(arrays: Mapping[str, Array], shapes: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    yield "no metadata", safetensors.numpy.save(dict(arrays))
    for text in METADATA:
        yield f"shapes {text[:20]}", packed(arrays, text)
    yield "shapes reversed", packed(arrays, dict(reversed(shapes.items())))
    yield "shapes of one more", packed(arrays, {**shapes, "unknown": [1]})
    for name in shapes:
        yield f"shapes without {name}", packed(arrays, {key: shape for key, shape in shapes.items() if key != name})
        for shape in (*SHAPES, shapes[name][::-1], [*shapes[name], 1]):
            yield f"shape of {name} {str(shape)[:20]}", packed(arrays, {**shapes, name: shape})


def metadata(data: bytes) -> dict[str, Any]:
    """The metadata `shapes` of a safetensors file."""
    return json.loads(_header(data).get("__metadata__", {}).get("shapes", "{}"))  # type: ignore[no-any-return]


def packed(arrays: Mapping[str, Array], shapes: str | Mapping[str, Any]) -> bytes:
    """A safetensors file with any text, or any mapping, as its metadata `shapes`."""
    text = shapes if isinstance(shapes, str) else json.dumps(shapes)
    whole = {key: np.array(array, order="C") for key, array in arrays.items()}
    return safetensors.numpy.save(whole, {"shapes": text})


def retyped(data: bytes, dtype: str) -> bytes:
    """A safetensors file in which the header says another type of every array."""
    header = _header(data)
    for key, entry in header.items():
        if key != "__metadata__":
            entry["dtype"] = dtype
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data[8 + int.from_bytes(data[:8], "little") :]


def _header(data: bytes) -> dict[str, Any]:
    return json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])  # type: ignore[no-any-return]


def _exchanged(key: str) -> str:
    replicate, slash, rest = key.partition("/")
    return f"{ {'0': '1', '1': '0'}.get(replicate, replicate) }{slash}{rest}"
