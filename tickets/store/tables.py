"""The tables of a round (`curves`, `rounds`, those of probes): their columns, and their encoding as Parquet files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tickets.store.layout import Layout
from tickets.store.parquet import read_parquet
from tickets.store.sealed import shortened

if TYPE_CHECKING:
    import pandas as pd

_KEY = [("run", pa.string()), ("replicate", pa.int64()), ("round", pa.int64()), ("density", pa.float64())]
_ARM = [("arm", pa.string()), ("draw", pa.int64())]

CURVES = pa.schema(
    [
        *_KEY,
        *_ARM,
        ("step", pa.int64()),
        ("train_loss", pa.float64()),
        ("train_accuracy", pa.float64()),  # accuracies are in [0, 1]
        ("validation_loss", pa.float64()),
        ("validation_accuracy", pa.float64()),
        ("test_loss", pa.float64()),
        ("test_accuracy", pa.float64()),
    ]
)
"""A row per replicate, arm, draw and evaluated step."""

ROUNDS = pa.schema(
    [
        *_KEY,
        *_ARM,
        ("early_stop_step", pa.float64()),  # a float, because it is NaN if the training diverged
        ("early_stop_test_accuracy", pa.float64()),
        ("early_stop_validation_loss", pa.float64()),
        ("final_test_accuracy", pa.float64()),
        ("final_test_loss", pa.float64()),
        ("final_train_loss", pa.float64()),
        ("diverged", pa.bool_()),
        ("seconds", pa.float64()),
    ]
)
"""A row per replicate, arm and draw."""

UNITS = pa.schema(
    [
        *_KEY,
        *_ARM,
        ("step", pa.int64()),
        ("layer", pa.string()),  # the name of the hidden layer's module
        ("width", pa.int64()),  # the number of its units
        ("distinct", pa.float64()),  # floats, because they are NaN if an activation is not finite
        ("distinct_within", pa.float64()),
        ("spread", pa.float64()),
        ("distance_low", pa.float64()),
        ("distance_median", pa.float64()),
        ("distance_high", pa.float64()),
        ("effective_rank", pa.float64()),
    ]
)
"""A row per replicate, arm, draw, evaluated step and hidden layer; see `tickets.probes.units`."""

# The tables that every round has, by file name.
SCHEMAS = {Layout.CURVES: CURVES, Layout.ROUNDS: ROUNDS}

LABELS = pa.schema([*_KEY, *_ARM])
"""The first columns of every table."""


def check_labels(table: pa.Table, manifest: Mapping[str, Any], run: str) -> None:
    """Raise ValueError if a table has rows of another run, round, or replicate than its manifest.

    Parameters
    ----------
    table
        A table of a committed folder.
    manifest
        The folder's manifest.
    run
        The run's id.
    """
    wanted = {"run": [run], "round": [manifest["round"]], "replicate": manifest["replicates"]}
    for column, values in wanted.items():
        others = [value for value in pc.unique(table[column]).to_pylist() if value not in values]
        if others:
            raise ValueError(f"has rows of {column} {shortened(others[0])}, in the folder of {shortened(values)}")


MOST_EVALUATIONS = 100_000  # of one network, in tables of earlier versions

_STEP = pa.field("step", pa.int64())


def encode_table(frame: pd.DataFrame, schema: pa.Schema) -> bytes:
    """Encode a table as a Parquet file. NaN is written as NaN, not as null.

    Parameters
    ----------
    frame
        The table.
    schema
        The columns, in the order in which they are written.

    Returns
    -------
    bytes
        The content of the file.

    Raises
    ------
    ValueError
        If the frame has other columns, or a column of another type.
    """
    if set(frame.columns) != set(schema.names):
        raise ValueError(f"columns are {sorted(frame.columns)}, but must be {sorted(schema.names)}")
    columns = [_column(frame[field.name], field) for field in schema]
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_arrays(columns, schema=schema), sink)
    return bytes(sink.getvalue())


def encode_probe_table(frame: pd.DataFrame) -> bytes:
    """Encode a probe's table as a Parquet file.

    Parameters
    ----------
    frame
        The columns run, replicate, round, density, arm and draw; then `step`, if the probe is measured at evaluated
        steps; then the probe's own columns, of bool, int64, float64 or strings.

    Returns
    -------
    bytes
        The content of the file, with the columns in the frame's order.

    Raises
    ------
    ValueError
        If the first columns are others, or one of the probe's own has another type.
    """
    named = [*LABELS, *([_STEP] if "step" in frame else [])]
    own = [pa.field(name, _type_of(frame[name])) for name in frame.columns[len(named) :]]
    return encode_table(frame, pa.schema([*named, *own]))


def decode_probe_table(data: bytes, most_rows: int | None = None) -> pa.Table:
    """Decode a probe's table from the content of a Parquet file; see `encode_probe_table`.

    Parameters
    ----------
    data
        The content.
    most_rows
        The most rows that it may have; see `row_limit`.

    Raises
    ------
    ValueError
        If the content is not a Parquet file, has the wrong columns, or more rows.
    """
    return read_parquet(data, _check_probe_columns, most_rows)


def _check_probe_columns(columns: pa.Schema) -> None:
    first = len(LABELS)
    labels, own = pa.schema(list(columns)[:first]), list(columns)[first:]
    if not labels.equals(LABELS, check_metadata=False):
        raise ValueError(f"the first columns are {_types(labels)}, but must be {_types(LABELS)}")
    if wrong := [field for field in own if field.type not in _DTYPES]:
        raise ValueError(f"column {wrong[0].name!r} is of type {wrong[0].type}, must be one of {_ALLOWED}")
    if len(set(columns.names)) < len(columns.names):
        raise ValueError("a column is there twice")


def join_probe_tables(tables: Sequence[pa.Table]) -> pa.Table:
    """Concatenate several tables of one probe.

    A column that a table lacks is null for its rows. A column of whole numbers is converted to float64 if another table
    has floating-point numbers in it.

    Raises
    ------
    ValueError
        If a column has numbers in one table and strings in another.
    """
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException as error:
        raise ValueError(f"the tables have columns of other types: {error}") from error


def probe_tables(files: Iterable[str]) -> list[str]:
    """The names of the probes that have a table among the files of a round."""
    tables = (name for name in files if name.endswith(Layout.TABLE) and name not in SCHEMAS)
    return sorted(name.removesuffix(Layout.TABLE) for name in tables)


def decode_table(data: bytes, schema: pa.Schema, most_rows: int | None = None) -> pa.Table:
    """Decode a table from the content of a Parquet file.

    Parameters
    ----------
    data
        The content.
    schema
        Its columns.
    most_rows
        The most rows that it may have; see `row_limit`.

    Raises
    ------
    ValueError
        If the content is not a Parquet file, has other columns or types than the schema, or more rows.
    """

    def check(columns: pa.Schema) -> None:
        if not columns.equals(schema, check_metadata=False):
            raise ValueError(f"columns are {_types(columns)}, but must be {_types(schema)}")

    return read_parquet(data, check, most_rows)


def row_limit(manifest: Mapping[str, Any], name: str) -> int | None:
    """The most rows that a table of a committed folder may have; None if the manifest does not say.

    Parameters
    ----------
    manifest
        Of the folder.
    name
        The table's file name.
    """
    networks = len(manifest["replicates"]) * len(manifest["arms"])
    if name == Layout.ROUNDS:
        return networks
    rows: int | None = manifest.get("rows", {}).get(name)
    if name == Layout.CURVES:
        # Manifests of earlier versions do not say how many steps were evaluated.
        return networks * MOST_EVALUATIONS if rows is None else rows
    rows = manifest.get("probes", {}).get(name.removesuffix(Layout.TABLE), {}).get("rows")
    return rows


def _column(values: pd.Series, field: pa.Field) -> pa.Array:
    if len(values) and not _is(field.type, values):
        raise ValueError(f"column {field.name!r} is of type {values.dtype}, but must be {field.type}")
    return pa.array(values.to_numpy(dtype=_DTYPES[field.type]), type=field.type, from_pandas=False)


def _type_of(values: pd.Series) -> pa.DataType:
    """The Parquet type of a column; ValueError if a table cannot have columns of its type."""
    for kind in _DTYPES:
        if _is(kind, values):
            return kind
    raise ValueError(f"column {values.name!r} is of type {values.dtype}, must be one of {_ALLOWED}")


_DTYPES = {pa.bool_(): np.bool_, pa.int64(): np.int64, pa.float64(): np.float64, pa.string(): object}
_ALLOWED = ", ".join(map(str, _DTYPES))


def _is(kind: pa.DataType, values: pd.Series) -> bool:
    """Whether a column can be stored with one of these types."""
    import pandas as pd

    if kind == pa.string():
        return all(isinstance(value, str) for value in values)
    check = {
        pa.bool_(): pd.api.types.is_bool_dtype,
        pa.int64(): pd.api.types.is_integer_dtype,
        pa.float64(): pd.api.types.is_any_real_numeric_dtype,
    }[kind]
    return bool(check(values))


def _types(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name}: {field.type}" for field in schema)
