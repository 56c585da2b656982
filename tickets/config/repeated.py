"""Check the configurations of many runs: those that differ in their seeds alone are checked once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tickets.config.checking import parse_run
from tickets.config.messages import AsLine, Problem
from tickets.config.schema import Run


class RunParser:
    """Makes Runs of tables, as `parse_run` does.

    No rule relates the seed to another key, so that a table which equals an earlier one apart from its seed needs no
    second check. Such runs share their sections as objects.

    Parameters
    ----------
    as_line
        Writes an error as a line of the InputError.
    """

    def __init__(self, as_line: AsLine = Problem.line) -> None:
        self._as_line = as_line
        self._known: dict[str, Run] = {}

    def parse(self, table: Mapping[str, Any]) -> Run:
        """The Run that a table describes; errors as for `parse_run`."""
        seed = table.get("seed")
        if type(seed) is not int or not 0 <= seed < 2**63:
            return parse_run(table, self._as_line)  # the default, or an error
        # `repr` tells 1, 1.0 and True apart, which are equal.
        rest = repr([(key, value) for key, value in table.items() if key != "seed"])
        if rest not in self._known:
            self._known[rest] = parse_run(table, self._as_line)
        return self._known[rest].model_copy(update={"seed": seed})
