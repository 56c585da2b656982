"""Which weights of a saved run are prunable, from its files."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from tickets.coverage import Coverage, LeftOut, coverage_from_json
from tickets.errors import InputError
from tickets.store.layout import Layout, cohort_folders, round_folder
from tickets.store.manifests import read_manifest
from tickets.store.reading import read_shapes


def read_coverage(run: Path, file: Mapping[str, Any]) -> Coverage | None:
    """Which weights of a run are prunable; None if its files do not record it.

    For a run that was saved before run.json had a field `coverage`, it follows from the shapes of the saved tensors:
    every tensor with two or more dimensions counts as weights, including buffers.

    Parameters
    ----------
    run
        The run's folder.
    file
        The content of its run.json.
    """
    if "coverage" in file:
        return coverage_from_json(file["coverage"])
    try:
        cohort = next((folder for _, folder in cohort_folders(run)), None)
        return None if cohort is None else _by_shapes(cohort, file["config"]["prune"]["exclude"])
    except (InputError, OSError, ValueError, KeyError):
        return None


def _by_shapes(cohort: Path, exclude: list[str]) -> Coverage | None:
    surviving = read_manifest(round_folder(cohort, 0))["surviving"]  # all of them, in round 0
    shapes = read_shapes(cohort / Layout.INITIAL / Layout.VALUES)
    weights = {name: math.prod(shape) for name, shape in shapes.items() if len(shape) >= 2}
    counts = next(iter(surviving.values()))

    def left_out(name: str) -> LeftOut:
        excluded = any(fnmatchcase(name, pattern) for pattern in exclude)
        return LeftOut(weights[name], "excluded" if excluded else "not included")

    # The manifest's keys are sorted; the shapes are in the model's order.
    prunable = {name: int(counts[name]) for name in shapes if name in counts}
    return Coverage(prunable, {name: left_out(name) for name in weights if name not in counts})
