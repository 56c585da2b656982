"""Write a campaign as a campaign file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tomli_w

from tickets.config.schema import Campaign


def to_toml(campaign: Campaign) -> str:
    """The campaign in TOML: the keys that all its runs share, defaults included, then the sweep, and [submit] last.

    `read_campaign` reads an equal Campaign from it. Keys that are swept, keys that follow from a swept key
    (`prune.output_rate` from `prune.rate`) and keys without a value are left out of the shared part.
    """
    tables = [run.model_dump(mode="json", exclude_none=True) for run in campaign.runs]
    if any(key.startswith("model.init.") for key in campaign.sweep):
        for run, dumped in zip(campaign.runs, tables, strict=True):  # at its defaults a run has a plain name
            table = run.model.init.table
            dumped["model"]["init"] = {key: value for key, value in table.items() if value is not None}
    table = _shared(tables)
    if any(run.prune.density is not None for run in campaign.runs):
        table["prune"].pop("rate", None)  # the file gives one of the two
    for key in campaign.sweep:
        table = _without(table, key)
    folder = {} if campaign.data_folder is None else {"data_folder": campaign.data_folder}
    sweep = {"sweep": {key: list(values) for key, values in campaign.sweep.items()}} if campaign.sweep else {}
    submit = {"submit": campaign.submit.given} if campaign.submit.given else {}
    return tomli_w.dumps({"name": campaign.name, **folder, **table, **sweep, **submit})


def without_submit(text: str) -> str:
    """What `to_toml` wrote, without the table [submit]."""
    return text.partition("\n[submit]\n")[0]  # a line break in a string is escaped


def _shared(tables: list[dict[str, Any]]) -> dict[str, Any]:
    first, *others = tables
    shared: dict[str, Any] = {}
    for key, value in first.items():
        values = [other[key] for other in others if key in other]
        if len(values) < len(others):
            continue
        if all(isinstance(part, dict) for part in (value, *values)):
            shared[key] = _shared([value, *values])
        elif all(other == value for other in values):
            shared[key] = value
    return shared


def _without(table: Mapping[str, Any], key: str) -> dict[str, Any]:
    first, _, rest = key.partition(".")
    if not rest:
        return {name: value for name, value in table.items() if name != first}
    inner = table.get(first)
    return {**table, first: _without(inner, rest)} if isinstance(inner, Mapping) else dict(table)
