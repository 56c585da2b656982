"""Fill in the values of a campaign that depend on its data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tickets.config.schema import Campaign, Run
from tickets.config.types import as_table


def with_validation(run: Run, count: int | None) -> Run:
    """The run with a number of validation examples; None: the default number of its data set."""
    return run.model_copy(update={"data": run.data.model_copy(update={"validation": count})})


def resolved(campaign: Campaign, runs: Sequence[Run]) -> Campaign:
    """The campaign with resolved runs, and with its sweep changed accordingly.

    Parameters
    ----------
    campaign
        The campaign as read.
    runs
        Its runs as resolved, in their order. A swept data set gets their number of validation examples, if that is the
        same at all points of the sweep that have this data set.
    """
    sweep = dict(campaign.sweep)
    if "data" in sweep:
        keys = list(sweep)
        stride = math.prod(len(sweep[key]) for key in keys[keys.index("data") + 1 :])  # the last key varies fastest
        count = len(sweep["data"])
        at = [[run for index, run in enumerate(runs) if index // stride % count == place] for place in range(count)]
        sweep["data"] = tuple(_written_out(value, own) for value, own in zip(sweep["data"], at, strict=True))
    return replace(campaign, runs=tuple(runs), sweep=sweep)


def _written_out(value: Any, runs: Sequence[Run]) -> Any:
    table = as_table(value)
    counts = {run.data.validation for run in runs}
    if ":" not in table["name"] or "validation" in table or len(counts) > 1:
        return value
    return {**table, "validation": counts.pop()}
