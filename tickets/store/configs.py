"""The configurations of saved runs as a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


def config_table(configs: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """A row per run and a column per configuration key, by its dotted name, after the column `run`.

    Parameters
    ----------
    configs : mapping
        {run: its configuration}; the rows keep this order.

    Returns
    -------
    DataFrame
        Lists are converted to tuples, so that rows can be grouped by them. A key that a run does not have, such as an
        option of another run's model, is NaN or None in its row. Where one run names a function with options and
        another without, as `prune.score`, both have its name in the columns "prune.score" and "prune.score.name".
    """
    import pandas as pd

    rows = [
        {"run": run, **{key: _hashable(value) for key, value in flat_config(config).items()}}
        for run, config in configs.items()
    ]
    columns = list(dict.fromkeys(column for row in rows for column in row))
    # A name with options in one run and without in another ("prune.score"): each run has it in both columns.
    for column in [column for column in columns if f"{column}.name" in columns]:
        for row in rows:
            name = row.get(f"{column}.name", row.get(column))
            row[column], row[f"{column}.name"] = name, name
    return pd.DataFrame(rows, columns=columns)


def flat_config(table: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Flatten a nested mapping to dotted names.

    Parameters
    ----------
    table : mapping
        The nested mapping, such as a run's configuration.
    before : str
        A prefix of every name.
    """
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            flat |= flat_config(value, f"{before}{key}.")
        else:
            flat[f"{before}{key}"] = value
    return flat


def _hashable(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple(map(_hashable, value))
    if isinstance(value, Mapping):
        return tuple((key, _hashable(inner)) for key, inner in value.items())
    return value
