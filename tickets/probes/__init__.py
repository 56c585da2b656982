"""Probes: what is measured of a round's networks beside their curves, each with a table of its own.

A probe is a function of `Networks`, and of options from the campaign file, that returns rows: a DataFrame, or dicts.
The column `network` says which network a row is about; the table adds its run, replicate, round, density, arm and draw.
"""

from tickets.probes.context import Context
from tickets.probes.networks import Networks
from tickets.probes.probe import (
    Probe,
    alone,
    at_steps,
    every_step,
    probes_of,
    record_of,
    without_trained,
    working_memory,
)

__all__ = [
    "Context",
    "Networks",
    "Probe",
    "alone",
    "at_steps",
    "every_step",
    "probes_of",
    "record_of",
    "without_trained",
    "working_memory",
]
