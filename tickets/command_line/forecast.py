"""The output of `tickets run --dry-run`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tickets.command_line.printing import print_json, print_line
from tickets.config import Campaign
from tickets.durations import estimated, spoken
from tickets.forecast import Forecast, forecast
from tickets.plurals import counted


def forecast_file(
    campaign: Path | Campaign,
    out: Path | None,
    data: Path | None,
    settings: Sequence[str],
    device: str,
    workers: int,
    as_json: bool,
) -> None:
    """Print what a campaign would train. The parameters are those of `tickets.run`."""
    folder, found = forecast(campaign, out=out, data=data, settings=settings, device=device, workers=workers)
    if as_json:
        print_json(as_records(found))
    else:
        print_forecast(folder, found)


def print_forecast(folder: Path, found: Sequence[Forecast]) -> None:
    """Print one line for the campaign, then several for each run.

    Parameters
    ----------
    folder
        The campaign's folder.
    found
        The forecast of each run.
    """
    trainings, steps = sum(one.trainings for one in found), sum(one.steps for one in found)
    time = f", {about}" if trainings and (about := _in_all(found)) else ""
    print_line(
        f"{counted(len(found), 'run')}, {counted(trainings, 'training')} and {counted(steps, 'training step')} to do"
        f"{time}; dry run: nothing is trained or written (folder: {folder})"
    )
    for one in found:
        print_line(one.run)
        for name, text in _lines(one):
            print_line(f"  {name:<10} {text}")


def as_records(found: Sequence[Forecast]) -> list[dict[str, Any]]:
    """The forecast of each run as JSON values.

    Parameters
    ----------
    found
        The forecasts.

    Returns
    -------
    list of dict
        The fields of `Forecast`.
    """
    return [{**asdict(one), "coverage": one.coverage.as_json()} for one in found]


def _lines(one: Forecast) -> list[tuple[str, str]]:
    arms = ", ".join(arm if draws == 1 else f"{arm} x {draws}" for arm, draws in one.arms.items())
    networks = counted(sum(one.arms.values()), "network")
    tensors = ", ".join(f"{name} {shape}" for name, shape in one.prunable.items())
    at_once = counted(one.networks_at_once, "network")
    return [
        (
            "trainings",
            f"{one.trainings:,} of {one.wanted:,} are missing: {counted(one.replicates, 'replicate')} x "
            f"{counted(one.rounds, 'round')} x {networks} ({arms})",
        ),
        ("densities", ", ".join(f"{density:.4g}" for density in one.densities) or "those of prune.masks_from"),
        ("steps", f"{one.steps:,}, counted over all networks"),
        (
            "prunable",
            f"{one.coverage.sentence.removeprefix('prunable: ')}: {tensors}",
        ),
        ("strategy", f"{one.strategy} ({one.reason}); up to {at_once} at once"),
        ("memory", f"about {one.memory / 2**20:,.0f} MiB a process, without the data, Python and PyTorch"),
        ("time", _time(one)),
        *(("saved", line) for line in (*_beside(one), *one.left_over)),
    ]


def _in_all(found: Sequence[Forecast]) -> str | None:
    """The time of all runs; None if that of one is not known."""
    seconds = [one.estimated_seconds if one.seconds is None else one.seconds for one in found]
    known = [each for each in seconds if each is not None]
    if len(known) < len(seconds):
        return None
    how = next((one.estimated_how for one in found if one.estimated_how), None)
    return (
        f"about {spoken(sum(known))}"
        if how is None
        else f"about {estimated(sum(known))} in one process on this machine, {how}"
    )


def _beside(one: Forecast) -> list[str]:
    return [f"nothing of it: it would be added to {counted(one.beside, 'run')} in the folder"] if one.beside else []


def _time(one: Forecast) -> str:
    if not one.trainings:
        return "none: nothing is missing"
    if one.estimated_seconds is not None:
        return f"about {estimated(one.estimated_seconds)} in one process on this machine, {one.estimated_how}"
    if one.seconds is None:
        return "unknown: no round of this run is saved"
    each = one.seconds / one.trainings
    return f"about {spoken(one.seconds)} in one process, at {each:.2g} s a training as in its saved rounds"
