"""The network that a run began with: the record of it in run.json, and the check that it is still the same.

All rounds of a run are of one network. Its initial values and masks are on disk, but the user's code computes with
them, and may be edited between two rounds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tickets.code_hashes import NO_SOURCE
from tickets.current_network import EXAMPLES, CurrentNetwork, Table, current_network
from tickets.errors import InputError
from tickets.fitting import Fitted

TOLERANCE = 1e-4  # of the largest output; kernels of another machine round differently
_LEAST = 1e-6  # a difference that is always tolerated

Array = np.ndarray


@dataclass(frozen=True)
class SavedNetwork:
    """What the files of a run say of its network.

    Parameters
    ----------
    record
        "began_with" of run.json; None if there is none.
    initial
        Replicate 0's committed initial values; None if they are not committed.
    rounds
        The number of committed rounds.
    """

    record: Mapping[str, Any] | None
    initial: Mapping[str, Array] | None
    rounds: int


@dataclass(frozen=True)
class Change:
    """A module whose source file has changed.

    Parameters
    ----------
    module
        The module's name.
    before
        The SHA-256 that it had; None if the module was not used.
    sha256
        The SHA-256 that it has now.
    """

    module: str
    before: str | None
    sha256: str

    def __str__(self) -> str:
        before = "not used" if self.before is None else _short(self.before)
        return (
            f"the source of {self.module} has changed (SHA-256 {before}, now {_short(self.sha256)}); "
            "the outputs of the initial network are the same, so the run goes on"
        )


@dataclass(frozen=True)
class Continued:
    """A network with which a run may go on.

    Parameters
    ----------
    record
        "began_with" for run.json.
    changed
        The modules whose source has changed.
    """

    record: Mapping[str, Any]
    changed: tuple[Change, ...]


def continued(saved: SavedNetwork, current: CurrentNetwork, who: str) -> Continued:
    """Check that a run's network is still the one that it began with: a pure function.

    Before the first round is committed, the network may be another one than was recorded.

    Parameters
    ----------
    saved
        The network as the files of the run have it.
    current
        The network as it is now.
    who
        The run and its model, for the beginning of an error message.

    Returns
    -------
    Continued
        The record for run.json, and the modules whose source has changed.

    Raises
    ------
    InputError
        If the initial values are not those that are committed, or the outputs not those that are recorded.
    """
    if saved.initial is not None:
        _check_initial(saved.initial, current, saved.rounds, who)
    if saved.record is None or saved.rounds == 0:
        return Continued(_record(current, saved.rounds), ())
    if not _is_record(saved.record):
        raise InputError(
            f"{who}: the record of its network in run.json (began_with) is damaged; take run.json from a backup"
        )
    _check_outputs(saved.record, current, who)
    sources = {module: list(seen) for module, seen in saved.record["sources"].items()}
    changed = []
    for module, sha256 in current.sources.items():
        seen = sources.setdefault(module, [])
        before = seen[-1]["sha256"] if seen else None
        if sha256 != before:
            seen.append({"sha256": sha256, "after_rounds": saved.rounds})
            changed.append(Change(module, before, sha256))
    return Continued({**saved.record, "sources": sources}, tuple(changed))


def check_same(record: Mapping[str, Any], fitted: Fitted, who: str) -> None:
    """Check that a process which imports the user's code anew gets the network that the run began with.

    Parameters
    ----------
    record
        "began_with" of run.json.
    fitted
        The run, as this process has it.
    who
        The run and its model, for the beginning of an error message.

    Raises
    ------
    InputError
        If the network has other outputs.
    """
    _check_outputs(record, current_network(fitted), who)


def _record(current: CurrentNetwork, rounds: int) -> dict[str, Any]:
    """The record of a network that is first seen after so many committed rounds (0: before the first)."""
    return {
        "first_seen_after_rounds": rounds,
        "outputs": current.outputs,
        "outputs_with_noise": current.with_noise,
        "sources": {module: [{"sha256": sha256, "after_rounds": rounds}] for module, sha256 in current.sources.items()},
    }


def _is_record(record: Any) -> bool:
    """Whether it has the form of `_record`."""

    def is_table(rows: Any) -> bool:
        if not isinstance(rows, list) or not all(isinstance(row, list) and len(row) == len(rows[0]) for row in rows):
            return False
        # Of whole numbers, float64 does not have them all.
        return all(
            value is None or isinstance(value, float) or (type(value) is int and abs(value) < 2**53)
            for row in rows
            for value in row
        )

    try:
        seen = [entry["sha256"] for entries in record["sources"].values() for entry in entries]
        return is_table(record["outputs"]) and is_table(record["outputs_with_noise"]) and set(map(type, seen)) <= {str}
    except (AttributeError, KeyError, TypeError):
        return False


def _short(sha256: str) -> str:
    return sha256 if sha256 == NO_SOURCE else f"{sha256[:12]}..."


def _check_initial(then: Mapping[str, Array], current: CurrentNetwork, rounds: int, who: str) -> None:
    now = {key: value.numpy() for key, value in current.initial.items()}
    fix = (
        "restore the code (or the version of PyTorch, which run.json names) that the run was made with, or train the "
        "new one in another folder (--out)"
        if rounds
        else "train it in another folder (--out), or delete this run's folder: no round of it is trained yet"
    )
    if (shapes := _shapes(then)) != (made := _shapes(now)):
        differ = sorted(key for key in shapes.keys() | made.keys() if shapes.get(key) != made.get(key))
        raise InputError(
            f"{who} is not the network that this run began with: {differ[0]} is "
            f"{made.get(differ[0], 'missing')}, and was {shapes.get(differ[0], 'missing')}; {fix}"
        )
    for key in current.parameters:  # a buffer may hold memory that the constructor never set
        largest = _difference(then[key].astype(np.float64), now[key].astype(np.float64))
        if largest is not None:
            raise InputError(
                f"{who} is not the network that this run began with: replicate 0's initial {key} differs by "
                f"up to {largest:.3g} from what is committed; {fix}"
            )


def _check_outputs(record: Mapping[str, Any], current: CurrentNetwork, who: str) -> None:
    for key, now in (("outputs", current.outputs), ("outputs_with_noise", current.with_noise)):
        largest = _difference(_array(record[key]), _array(now))
        if largest is not None:
            raise InputError(
                f"{who} is not the network that this run began with: its outputs for the first {EXAMPLES} training "
                f"examples differ by up to {largest:.3g}; "
                "restore the code that the run was made with, or train the new one in another folder (--out)"
            )


def _difference(then: np.ndarray, now: np.ndarray) -> float | None:
    """The largest difference if it exceeds the tolerance; infinity if shapes or places that are not finite differ."""
    if then.shape != now.shape or not np.array_equal(np.isfinite(then), np.isfinite(now)):
        return math.inf
    finite = np.isfinite(then)
    largest = float(np.abs(then - now, where=finite, out=np.zeros_like(then)).max(initial=0.0))
    scale = float(np.abs(then, where=finite, out=np.zeros_like(then)).max(initial=0.0))
    return largest if largest > max(TOLERANCE * scale, _LEAST) else None


def _shapes(values: Mapping[str, Array]) -> dict[str, tuple[int, ...]]:
    return {key: value.shape for key, value in values.items()}


def _array(table: Table) -> np.ndarray:
    return np.array([[math.nan if value is None else value for value in row] for row in table], dtype=np.float64)
