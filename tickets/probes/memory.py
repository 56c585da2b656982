"""Memory that the probes of a run take, in bytes, for the estimate of how many networks train at once."""

from __future__ import annotations

from collections.abc import Sequence

from tickets.probes.probe import Probe
from tickets.stack.anatomy import Anatomy
from tickets.stack.memory import Sizes


def bytes_at_steps(probes: Sequence[Probe], anatomy: Anatomy, sizes: Sizes) -> int:
    """Bytes that probes take at an evaluated step, for each network that trains: one probe is called at a time."""
    return _most([probe for probe in probes if probe.at_steps], anatomy, sizes)


def bytes_afterwards(probes: Sequence[Probe], anatomy: Anatomy, sizes: Sizes) -> int:
    """Bytes that probes take once a round has been trained, for each of its networks: all are in tensors of one stack.

    What a probe asks for beside that (the networks of earlier rounds) is not counted.
    """
    called = [probe for probe in probes if not probe.at_steps]
    return _networks(sizes) + _most(called, anatomy, sizes) if called else 0


def bytes_once(probes: Sequence[Probe], anatomy: Anatomy, at_steps: bool) -> int:
    """Bytes that probes take beside that, however many networks there are: for one network after the other.

    at_steps: of the probes that are called at evaluated steps, else of those that are called after a round.
    """
    called = [probe for probe in probes if probe.one_by_one and probe.at_steps == at_steps]
    return max((probe.bytes_of(anatomy) for probe in called), default=0)


def _most(probes: Sequence[Probe], anatomy: Anatomy, sizes: Sizes) -> int:
    """Of the probe that takes most: its working memory, and the copies that a function of the user's gets."""
    taken = [
        (0 if probe.one_by_one else probe.bytes_of(anatomy)) + (0 if probe.is_own else _networks(sizes))
        for probe in probes
    ]
    return max(taken, default=0)


def _networks(sizes: Sizes) -> int:
    """One network's values, initial values and masks."""
    return 2 * sizes.values + sizes.masks
