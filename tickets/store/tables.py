"""The tables of a round, `curves`, `rounds` and `units`: their columns, and their way into Parquet and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tickets.store.layout import Layout

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
        (
            "early_stop_step",
            pa.float64(),
        ),  # a float, for it is NaN where the training diverged
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
        ("layer", pa.string()),  # the hidden layer, by the name of its module
        ("width", pa.int64()),  # units in it
        ("distinct", pa.float64()),  # floats, for they are NaN where a number is not finite
        ("distinct_within", pa.float64()),
        ("spread", pa.float64()),
        ("distance_low", pa.float64()),
        ("distance_median", pa.float64()),
        ("distance_high", pa.float64()),
        ("effective_rank", pa.float64()),
    ]
)
"""A row per replicate, arm, draw, evaluated step and hidden layer; `tickets.stack.units` says what is in it."""

# The tables of a round, by the name of their file.
SCHEMAS = {Layout.CURVES: CURVES, Layout.ROUNDS: ROUNDS, Layout.UNITS: UNITS}


def encode_table(frame: pd.DataFrame, schema: pa.Schema) -> bytes:
    """The bytes of a Parquet file with the schema's columns, in its order; NaN stays NaN and becomes no null.

    Raises ValueError if the frame has other columns, or one of another type.
    """
    if set(frame.columns) != set(schema.names):
        raise ValueError(f"columns are {sorted(frame.columns)}, but must be {sorted(schema.names)}")
    columns = [_column(frame[field.name], field) for field in schema]
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_arrays(columns, schema=schema), sink)
    return bytes(sink.getvalue())


def decode_table(data: bytes, schema: pa.Schema) -> pa.Table:
    """The table in a Parquet file's bytes. Raises ValueError if it is none or has other columns or types."""
    try:
        table = pq.ParquetFile(pa.BufferReader(data)).read(use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"not a Parquet file ({error})") from error
    if not table.schema.equals(schema, check_metadata=False):
        raise ValueError(f"columns are {_types(table.schema)}, but must be {_types(schema)}")
    return table


def _column(values: pd.Series, field: pa.Field) -> pa.Array:
    accepts, dtype = _KINDS[field.type]
    if len(values) and not accepts(values):
        raise ValueError(f"column {field.name!r} is of type {values.dtype}, but must be {field.type}")
    return pa.array(values.to_numpy(dtype=dtype), type=field.type, from_pandas=False)


def _is_text(values: pd.Series) -> bool:
    return all(isinstance(value, str) for value in values)


_KINDS: Mapping[pa.DataType, tuple[Callable[[pd.Series], bool], type]] = {
    pa.string(): (_is_text, object),
    pa.int64(): (pd.api.types.is_integer_dtype, np.int64),
    pa.float64(): (pd.api.types.is_any_real_numeric_dtype, np.float64),
    pa.bool_(): (pd.api.types.is_bool_dtype, np.bool_),
}


def _types(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name}: {field.type}" for field in schema)
