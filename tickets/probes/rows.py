"""What a probe returns, as columns: checked, and of the four types that a table has."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from torch import Tensor

Columns = dict[str, npt.NDArray[Any]]
"""Columns of one length: bool, int64, float64, or object where all are strings."""

KEYS = ("run", "replicate", "round", "density", "arm", "draw", "step")
NETWORK = "network"

_KINDS = {"b": "bool", "i": "number", "f": "number", "O": "string"}


def as_columns(returned: Any, networks: int) -> Columns:
    """The columns of what a probe returned.

    Parameters
    ----------
    returned
        A DataFrame, or rows: mappings that have the same keys. Without any row, a DataFrame's columns still count.
    networks
        How many networks there are; the column `network` holds whole numbers below it.

    Raises
    ------
    ValueError
        If it is anything else; the text continues a sentence that begins with the probe's name.
    """
    if isinstance(returned, pd.DataFrame):
        names: list[Any] = list(returned.columns)
        columns = {name: returned.iloc[:, place] for place, name in enumerate(names)}
    else:
        rows = _rows(returned)
        names = list(rows[0]) if rows else []
        columns = {name: pd.Series([_plain(row[name]) for row in rows]) for name in names}
        if not rows:
            return {}
    for name in names:
        if not isinstance(name, str) or not name:
            raise ValueError(f"returned a column called {name!r}, must be a string that is not empty")
        if names.count(name) > 1:
            raise ValueError(f"returned two columns called {name!r}; give each a name of its own")
    if taken := [name for name in names if name in KEYS]:
        raise ValueError(
            f"returned a column {taken[0]!r}, which the table gets by itself ({', '.join(KEYS)}); leave it out"
        )
    if NETWORK not in names:
        raise ValueError(f"returned no column {NETWORK!r}: the place in networks.labels that a row is about")
    made = {name: _column(name, column) for name, column in columns.items()}
    places = made[NETWORK]
    if len(places) and (places.dtype != np.int64 or places.min() < 0 or places.max() >= networks):
        raise ValueError(f"returned a column {NETWORK!r} with other values than whole numbers from 0 to {networks - 1}")
    made[NETWORK] = places.astype(np.int64)
    return made


def kinds_of(columns: Columns) -> dict[str, str]:
    """The kind of each of a probe's own columns: "number", "bool" or "string"."""
    return {name: _KINDS[values.dtype.kind] for name, values in columns.items() if name != NETWORK}


def differing(one: Mapping[str, str], other: Mapping[str, str]) -> str | None:
    """How the columns of two tables of a probe differ, or None; their order does not matter."""
    if one == other:
        return None
    return f"{_listed(one)} and {_listed(other)}"


def _listed(kinds: Mapping[str, str]) -> str:
    return "(" + ", ".join(f"{name}: {kind}" for name, kind in kinds.items()) + ")"


def _rows(returned: Any) -> list[Mapping[Any, Any]]:
    must = "must return a pandas.DataFrame or rows, each a dict"
    if not isinstance(returned, Iterable) or isinstance(returned, str | Mapping | Tensor | np.ndarray):
        raise ValueError(f"returned a {type(returned).__name__}, {must}")
    rows = list(returned)
    for index, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise ValueError(f"returned a row {index} that is a {type(row).__name__}, {must}")
        if row.keys() != rows[0].keys():
            raise ValueError(
                f"returned rows with other columns: {sorted(map(str, rows[0]))} first, then "
                f"{sorted(map(str, row))}; give every row the same, NaN where there is no number"
            )
    return rows


def _plain(value: Any) -> Any:
    """A number of torch's or numpy's as Python's own."""
    return value.item() if isinstance(value, Tensor | np.generic) and np.ndim(value) == 0 else value


def _column(name: str, column: pd.Series[Any]) -> npt.NDArray[Any]:
    """The column as one of the four types. Raises ValueError if it is of none."""
    if column.dtype == object:
        column = pd.Series([_plain(value) for value in column], dtype=object).infer_objects()
    if pd.api.types.is_bool_dtype(column.dtype) and not column.isna().any():
        return column.to_numpy(dtype=np.bool_)
    if pd.api.types.is_integer_dtype(column.dtype) and not column.isna().any():
        numbers = column.to_numpy()
        if numbers.dtype.kind == "u" and len(numbers) and numbers.max() > np.iinfo(np.int64).max:
            raise ValueError(f"returned a whole number above 2**63 - 1 in column {name!r}; return it as a float")
        return column.to_numpy(dtype=np.int64)
    if pd.api.types.is_any_real_numeric_dtype(column.dtype):
        return column.to_numpy(dtype=np.float64, na_value=math.nan)
    values = column.to_numpy(dtype=object)
    if all(isinstance(value, str) for value in values):
        return values
    if all(_is_number(value) for value in values):  # whole numbers beside None
        return np.array([math.nan if value is None else float(value) for value in values])
    wrong = next(value for value in values if not isinstance(value, str))
    raise ValueError(
        f"returned {wrong!r}, a {type(wrong).__name__}, in column {name!r}; a column holds numbers (NaN where there is "
        "none), or true and false, or strings, and nothing beside them"
    )


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def joined(tables: Sequence[Columns]) -> Columns:
    """The rows of several tables of the same columns, one table after the other; empty ones are passed over."""
    whole = [table for table in tables if table and len(table[NETWORK])] or [table for table in tables if table][:1]
    if not whole:
        return {}
    return {name: np.concatenate([table[name] for table in whole]) for name in whole[0]}
