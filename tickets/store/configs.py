"""The settings of saved runs as a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd


def config_table(configs: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """A row per run, in the order given: `run`, then a column per setting, by its dotted name.

    Lists are tuples, so that columns of them can be grouped by. A setting that a run does not have (an option of
    another run's model, say) is missing there: NaN or None.
    """
    rows = [{"run": run, **flat_config(config)} for run, config in configs.items()]
    columns = list(dict.fromkeys(column for row in rows for column in row))
    return pd.DataFrame(rows, columns=columns)


def flat_config(table: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """A configuration by dotted names, lists as tuples."""
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            flat |= flat_config(value, f"{before}{key}.")
        else:
            flat[f"{before}{key}"] = _hashable(value)
    return flat


def _hashable(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple(map(_hashable, value))
    if isinstance(value, Mapping):
        return tuple((key, _hashable(part)) for key, part in value.items())
    return value
