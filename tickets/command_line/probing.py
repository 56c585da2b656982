"""The output of `tickets probe`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict
from pathlib import Path

from tickets.command_line.printing import print_json, print_line
from tickets.plurals import counted
from tickets.probing import Probing, probe_folder
from tickets.store.left_over import numbered


def measure_probes(
    folder: Path, names: Sequence[str], data: Path | None, device: str, trust_code: bool, as_json: bool
) -> bool:
    """Measure probes of saved runs and print what was measured, a line for each run and probe.

    Parameters
    ----------
    folder, names, data, device, trust_code
        See `tickets.probe`.
    as_json
        Whether to print JSON.

    Returns
    -------
    bool
        Whether a probe failed in a run.
    """

    def tell(one: Probing) -> None:
        if not as_json:
            print_line(_line(one))

    outcome = probe_folder(folder, names, data=data, device=device, trust_code=trust_code, tell=tell)
    if as_json:
        print_json([asdict(one) for one in outcome.measured])
    else:
        tables = dict.fromkeys(one.table for one in outcome.measured)
        for table in tables:
            print_line(f'to read it: tickets.load("{folder}").probe("{table}")')
    for run in outcome.waiting:
        print_line(f"{run}: no round is committed yet", error=True)
    for run, why in outcome.failed.items():
        print_line(f"{run}: failed: {why}", error=True)
    return bool(outcome.failed)


def _line(one: Probing) -> str:
    """What was measured of a run by a probe."""
    parts = []
    if one.rounds:
        steps = "" if one.at == "the end" else f" at {one.at} of training"
        parts.append(f"measured {numbered('round', one.rounds)} ({counted(one.networks, 'network')}){steps}")
    if one.there:
        parts.append(f"there already: {numbered('round', one.there)}")
    if one.left_out:
        parts.append(f"left out: {_arms(one.left_out)} without stored values after training (store.trained)")
    if one.start_only:
        parts.append(f"at the start only: {_arms(one.start_only)} without stored values after training (store.trained)")
    return f"{one.run}: {one.probe}: {'; '.join(parts)}"


def _arms(names: Collection[str]) -> str:
    return f"{'arm' if len(names) == 1 else 'arms'} {', '.join(names)}"
