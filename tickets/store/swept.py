"""The point of a campaign's sweep at which each of its runs stands."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from tickets.config import run_ids
from tickets.store.asked import saved_campaign
from tickets.store.layout import Layout

Point = Mapping[str, Any]


@lru_cache(maxsize=8)
def _points(folder: Path, stamp: tuple[int, int]) -> Mapping[str, Point]:
    campaign = saved_campaign(folder)
    if campaign is None:
        return {}
    points = itertools.product(*campaign.sweep.values())
    return {
        name: dict(zip(campaign.sweep, values, strict=True))
        for name, values in zip(run_ids(campaign.runs), points, strict=True)
    }


def swept_values(folder: Path) -> Mapping[str, Point]:
    """{run: {swept key: its value}}, for each run that a campaign asks for; empty without a campaign.toml.

    Parameters
    ----------
    folder : Path
        The campaign's folder.

    Raises
    ------
    InputError
        If campaign.toml is damaged.
    """
    file = folder / Layout.CAMPAIGN
    if not file.is_file():
        return {}
    found = file.stat()
    return _points(folder.absolute(), (found.st_size, found.st_mtime_ns))
