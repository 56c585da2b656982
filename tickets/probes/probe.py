"""A probe of a run: its function, its options, and one measurement by it."""

from __future__ import annotations

import copy
import functools
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from torch import Tensor

from tickets.binding import bound, resolve
from tickets.catalogue import PROBES, table_of
from tickets.config import Run
from tickets.errors import InputError, UserCodeError
from tickets.probes.lent import Lent
from tickets.probes.networks import Networks
from tickets.probes.rows import Columns, as_columns
from tickets.process_state import settings_kept
from tickets.random_state import seed_generators, untouched_generators
from tickets.seeds import stream
from tickets.stack.anatomy import Anatomy
from tickets.users_code import one_line

Function = TypeVar("Function", bound=Callable[..., Any])

_AT_STEPS, _WORKING_MEMORY = "_called_at_steps", "_working_memory"
_EVERY_STEP = "_every_step"
_ALONE, _WITHOUT_TRAINED, _ONE_BY_ONE = "_called_alone", "_without_trained", "_one_by_one"
# Users' functions set and draw from what belongs to the whole process, so that one of them runs at a time.
_TURN = threading.RLock()


def at_steps(probe: Function) -> Function:
    """Have a probe called at every evaluated step, and not only when a round has been trained.

    It is called with some of a round's networks at a time, those that train together. Its table gets a column `step`.
    While a function of the user's is called, no network is trained.
    """
    setattr(probe, _AT_STEPS, True)
    return probe


def alone(probe: Function) -> Function:
    """Have no network trained while a probe of this package is called, as holds for functions of the user's anyway.

    For probes that call the model: it may draw random numbers or change settings of the whole process.
    """
    setattr(probe, _ALONE, True)
    return probe


def without_trained(probe: Function) -> Function:
    """Say that a probe measures something of networks whose values after training are not saved.

    `tickets probe` then calls it with them, too: with empty `values`, or, if it is called at evaluated steps, with the
    values before training.
    """
    setattr(probe, _WITHOUT_TRAINED, True)
    return probe


def every_step(probe: Function) -> Function:
    """Say that a probe called at evaluated steps means nothing at both ends alone: `tickets probe` refuses it."""
    setattr(probe, _EVERY_STEP, True)
    return probe


def working_memory(bytes_of: Callable[[Anatomy], int], *, one_by_one: bool = False) -> Callable[[Function], Function]:
    """Say how many bytes a probe takes to measure one network, for the estimate of a run's memory.

    Parameters
    ----------
    bytes_of
        Called with the architecture's anatomy.
    one_by_one
        Whether the probe takes them for one network after the other, and not for all that it is given at once.
    """

    def mark(probe: Function) -> Function:
        setattr(probe, _WORKING_MEMORY, bytes_of)
        setattr(probe, _ONE_BY_ONE, one_by_one)
        return probe

    return mark


@dataclass(frozen=True)
class Probe:
    """A probe of a run.

    Parameters
    ----------
    name
        As the campaign file has it: a name of the catalogue, or "module:function".
    function
        Called with `Networks` and the options.
    options
        Its keyword arguments.
    at_steps
        Whether it is called at every evaluated step.
    bytes_of
        Bytes that it takes to measure one network, of a module of the architecture.
    one_by_one
        Whether it takes them for one network after the other.
    columns
        The kind of each of its own columns ("number", "bool" or "string"), as found before training; None before that.
    alone
        Whether no network trains while it is called.
    without_trained
        Whether it measures something of networks whose values after training are not saved.
    every_step
        Whether it means nothing at both ends of training alone.
    """

    name: str
    function: Callable[..., Any]
    options: Mapping[str, Any]
    at_steps: bool
    bytes_of: Callable[[Anatomy], int]
    columns: Mapping[str, str] | None = None
    one_by_one: bool = False
    alone: bool = True
    without_trained: bool = False
    every_step: bool = False

    @property
    def table(self) -> str:
        """The name of its table."""
        return table_of(self.name)

    @property
    def is_own(self) -> bool:
        """Whether it is one of this package's, which write to nothing that they are given."""
        return self.name in PROBES

    def measure(self, networks: Networks, when: str, lent: Lent) -> Columns:
        """Measure networks; the columns of the result, with `network`.

        Parameters
        ----------
        networks
            What is measured. A function of the user's gets copies.
        when
            The round, for errors.
        lent
            The copies of the examples and the module for functions of the user's.

        Raises
        ------
        UserCodeError
            If the function fails, writes to the examples, or returns anything but rows of numbers, true or false, and
            strings, with a column `network`.
        """
        networks = replace(networks, _probe=self.name)
        if self.is_own:
            return as_columns(self.function(networks, **self.options), len(networks))
        seed = stream(networks.run.seed, "probe", self.name, networks.round, networks.step, networks.labels[0].arm)
        given = networks.copied(lent.context())
        try:
            with _TURN, _contained(seed):
                returned = self.function(given, **copy.deepcopy(dict(self.options)))
                rows = list(returned) if isinstance(returned, Iterator) else returned  # a generator runs only now
        except InputError as error:
            raise UserCodeError([f"probe {self.name!r} ({when}): {problem}" for problem in error.problems]) from error
        except (Exception, SystemExit) as error:
            raise UserCodeError(f"probe {self.name!r} fails ({when}): {one_line(error)}{_hint(networks)}") from error
        if wrong := [name for name, kept in networks.carry.items() if not isinstance(kept, Tensor)]:
            raise UserCodeError(
                f"probe {self.name!r} ({when}): networks.carry[{wrong[0]!r}] is a "
                f"{type(networks.carry[wrong[0]]).__name__}, must be a tensor"
            )
        lent.check_versions(f"probe {self.name!r} ({when})")
        try:
            return as_columns(rows, len(networks))
        except ValueError as error:
            raise UserCodeError(f"probe {self.name!r} {error} ({when})") from error


def probes_of(run: Run) -> tuple[Probe, ...]:
    """The probes of a run, in the campaign's order.

    Raises
    ------
    InputError
        If a function is not there, or does not take the options that the campaign gives it.
    """
    problems: list[str] = []
    probes = []
    for config in run.every_probe:
        try:
            function = resolve(PROBES[config.name].target if config.name in PROBES else config.name)
            # What is left once the networks are given, the first argument.
            bound(functools.partial(function, None), "probes", config.name, config.options, {})
        except InputError as error:
            problems += error.problems
            continue
        probes.append(
            Probe(
                config.name,
                function,
                config.options,
                at_steps=getattr(function, _AT_STEPS, False),
                bytes_of=getattr(function, _WORKING_MEMORY, _none),
                one_by_one=getattr(function, _ONE_BY_ONE, False),
                alone=config.name not in PROBES or getattr(function, _ALONE, False),
                without_trained=getattr(function, _WITHOUT_TRAINED, False),
                every_step=getattr(function, _EVERY_STEP, False),
            )
        )
    if problems:
        raise InputError(problems)
    return tuple(probes)


def record_of(probes: Sequence[Probe]) -> dict[str, dict[str, Any]]:
    """What a round's manifest says of the probes, by table."""
    return {probe.table: {"name": probe.name, "options": dict(probe.options)} for probe in probes}


def _none(anatomy: Anatomy) -> int:
    return 0


@contextmanager
def _contained(seed: int) -> Iterator[None]:
    """Restore settings and generators after the block; seed the generators before it."""
    with settings_kept(), untouched_generators():
        seed_generators(seed)
        yield


def _hint(networks: Networks) -> str:
    if not networks.values or bool(networks.finite.all()):
        return ""
    lost = int((~networks.finite).sum())
    return (
        f"; {lost} of these {len(networks)} networks have values that are not finite, as a network that diverged: give "
        "NaN for them (networks.finite says which)"
    )
