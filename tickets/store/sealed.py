"""JSON files of the store: how they are written, each with the SHA-256 of its own content, and how they are read.

A sealed file begins with its SHA-256, which is that of everything after these 64 digits. The files of earlier versions
begin with their schema version instead, and have no hash.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jiter
from pydantic_core import to_json

from tickets.config.identity import SCHEMA_VERSION
from tickets.errors import InputError
from tickets.opening import read_regular

LARGEST_JSON = 2**25  # bytes of a JSON file: some 100 times those of a large campaign
DEEPEST = 100  # objects and lists within each other; a campaign file may have 32
# Of JSON of n bytes: a value of two bytes takes some 60 when it is read. A number that was measured has 16 or more.
MOST_VALUES = 2_000_000
VALUES_A_BYTE = 1 / 16

_BEGIN = b'{\n "sha256": "'
_DIGITS = 64
_CHANGED = (
    "damaged or changed by hand: its content does not have the SHA-256 that it begins with; take it from a backup"
)
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_ONE_KIND = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_TOML_SEAL = re.compile(rb"# SHA-256 of the lines below: ([0-9a-f]{64})\n")


def json_bytes(value: object) -> bytes:
    """Encode JSON as in all files of the store: UTF-8, indented, keys in the given order, no NaN, a final newline."""
    return (json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def sealed_json(value: Mapping[str, Any]) -> bytes:
    """Encode a mapping as `json_bytes` does, after the SHA-256 of its own content.

    Parameters
    ----------
    value
        The content, without a key `sha256`; its first key is `schema`.
    """
    data = json_bytes({"sha256": "0" * _DIGITS, **value})
    rest = data[len(_BEGIN) + _DIGITS :]
    return _BEGIN + hashlib.sha256(rest).hexdigest().encode() + rest


def read_json(path: Path) -> dict[str, Any]:
    """The content of a JSON file of the store, without its own SHA-256.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    InputError
        If the file is missing, no regular file, damaged, changed after it was written, or of another schema version.
    DiskError
        If it cannot be read.
    """
    try:
        data = read_regular(path, at_most=LARGEST_JSON)
    except FileNotFoundError as error:
        raise InputError(f"{path}: cannot read this file ({error.strerror})") from error
    sealed = data.startswith(_BEGIN)
    if sealed and not _is_whole(data):
        raise InputError(f"{path}: {_CHANGED}")
    try:
        value = parse_json(data)
    except ValueError as error:
        raise InputError(f"{path}: damaged, not JSON ({error}); take it from a backup") from error
    if not isinstance(value, dict):
        raise InputError(f"{path}: damaged, it is not a JSON object; take it from a backup")
    # Files of earlier versions have no hash, and begin with their schema.
    if not sealed and (next(iter(value), None) != "schema" or "sha256" in value):
        raise InputError(f"{path}: {_CHANGED}")
    found = value.get("schema")
    if type(found) is not int or found != SCHEMA_VERSION:
        raise InputError(
            f"{path}: schema {shortened(found)}, but this version of tickets reads schema {SCHEMA_VERSION}; "
            "use the version that wrote it"
        )
    value.pop("sha256", None)
    return value


def parse_json(data: bytes) -> Any:
    """Parse JSON that somebody else may have written.

    Raises
    ------
    ValueError
        If it is not JSON, has too many values, is nested too deep, has a key twice, NaN, infinite numbers, or text that
        is no Unicode.
    """
    _check_size(data)
    value = jiter.from_json(data, allow_inf_nan=False, catch_duplicate_keys=True, cache_mode="keys")
    if b"Infinity" in to_json(value, inf_nan_mode="constants"):
        json.dumps(value, allow_nan=False)  # fails for a number that is too large, and not for a text with this word
    return value


def sealed_toml(text: str) -> bytes:
    """A TOML file after a comment with the SHA-256 of its content."""
    data = text.encode()
    return f"# SHA-256 of the lines below: {hashlib.sha256(data).hexdigest()}\n".encode() + data


def toml_problem(path: Path) -> str | None:
    """How a TOML file differs from what was written, or None.

    Files of earlier versions have no hash. They begin with a key, and no single changed bit makes a comment a key.
    """
    try:
        data = read_regular(path, at_most=LARGEST_JSON)
    except FileNotFoundError:
        return "missing"
    except InputError as error:
        return str(error).removeprefix(f"{path}: ")
    match = _TOML_SEAL.match(data)
    if match is None:
        return None if data.startswith(b"name = ") else "its first line is not the SHA-256 of the others"
    whole = hashlib.sha256(data[match.end() :]).hexdigest().encode() == match[1]
    return None if whole else "changed after it was written: its SHA-256 is not the one in its first line"


def shortened(value: object, at_most: int = 60) -> str:
    """The repr of a value of somebody else's, shortened for a message."""
    text = repr(value)
    return text if len(text) <= at_most else f"{text[: at_most - 3]}..."


def _is_whole(data: bytes) -> bool:
    first, rest = len(_BEGIN), len(_BEGIN) + _DIGITS
    return hashlib.sha256(data[rest:]).hexdigest().encode() == data[first:rest]


def _check_size(data: bytes) -> None:
    """Raise ValueError if JSON has too many values, or is nested deeper than what copies it later can go."""
    opened = data.count(b"[") + data.count(b"{")
    most = MOST_VALUES + int(VALUES_A_BYTE * len(data))
    if opened + data.count(b",") > most:
        raise ValueError(f"has more than {most:,} values")
    if opened <= DEEPEST:
        return
    brackets = _STRING.sub(b"", data).translate(_ONE_KIND, _NO_BRACKETS)
    for _ in range(DEEPEST):  # takes away the innermost level
        left = brackets.replace(b"[]", b"")
        if len(left) == len(brackets):
            return
        brackets = left
    if b"[]" in brackets:
        raise ValueError(f"nested too deep: at most {DEEPEST} levels")
