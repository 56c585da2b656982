"""The output of `tickets approximate`."""

from __future__ import annotations

import shlex
import sys
import time
from pathlib import Path
from typing import Any

from tickets.approximation.approximating import approximate
from tickets.approximation.listener import Listener
from tickets.command_line.printing import print_json, print_line
from tickets.plurals import counted
from tickets.termination import STATUS, Terminated, terminable

_EVERY_S = 10.0  # between two lines of progress


class Progress(Listener):
    """Lines on standard error: what is searched, then every ten seconds what is found and how long the rest takes."""

    def __init__(self) -> None:
        self._began = self._said = 0.0
        self._total = self._missing = self._found = 0

    def say(self, text: str) -> None:
        """Print a line."""
        print_line(text, error=True)
        sys.stderr.flush()

    def begin(self, total: int, missing: int) -> None:
        """Start the clock."""
        self._began = self._said = time.monotonic()
        self._total, self._missing = total, missing

    def advance(self, count: int) -> None:
        """Print a line if the last one is old."""
        self._found += count
        now = time.monotonic()
        if now - self._said < _EVERY_S or not self._found:
            return
        self._said = now
        left = (now - self._began) * (self._missing - self._found) / self._found
        done = self._total - self._missing + self._found
        self.say(f"{done:,} of {counted(self._total, 'subset')} ({100 * done / self._total:.0f} %), {left:.0f} s left")


def approximate_network(folder: Path, as_json: bool, **options: Any) -> int:
    """Approximate a saved network and print what was measured; the exit status.

    Parameters
    ----------
    folder
        The campaign's folder, or one run's.
    as_json
        Whether to print JSON.
    **options
        Of `tickets.approximate`.
    """
    try:
        with terminable():
            made = approximate(folder, listener=Progress(), **options)
    except KeyboardInterrupt as interrupt:
        again = shlex.join(["tickets", *sys.argv[1:]])
        print_line(f"interrupted; what was found is kept. To go on: {again}", error=True)
        return STATUS if isinstance(interrupt, Terminated) else 130
    if as_json:
        print_json({**made.result, "folder": str(made.folder)})
    else:
        for line in lines_of(made.result):
            print_line(line)
        print_line(f"saved in {made.folder}; to build it: "
                   f'tickets.approximation.read_approximation("{made.folder}").build()')  # fmt: skip
    return 0


def lines_of(result: dict[str, Any] | Any) -> list[str]:
    """What was measured, as lines of text."""
    biases = f" and {counted(result['target_biases'], 'bias')}".replace("biass", "biases")
    beyond = result["beyond_tolerance"]
    within = f"{beyond:,} of {result['subsets']:,} are not" if beyond else "all are"
    return [
        f"target: {counted(result['target_weights'], 'weight')}{biases if result['target_biases'] else ''}, "
        f"accuracy {_percent(result['target_accuracy'])}",
        f"random subnetwork: accuracy {_percent(result['accuracy'])}; "
        f"the same prediction for {_percent(result['same_prediction'])} of the test examples",
        f"kept {result['kept_per_weight']:.2f} of {result['candidates']} {result['values']} candidates a weight "
        f"({100 * result['share_kept']:.1f} %); {result['network_weights']:,} weights in all, "
        f"{result['width_factor']:.3g} times as wide",
        f"error of a weight: worst {result['worst_error']:.3g}, mean {result['mean_error']:.3g}; "
        f"{within} within {result['tolerance']:g}",
        f"error of an output: worst {result['worst_output_error']:.3g}, mean {result['mean_output_error']:.3g}; "
        f"for {counted(result['bound_examples'], 'example')} in float64 at most {result['bound_output_error']:.3g}, "
        f"bound {result['output_bound']:.3g} {'holds' if result['bound_holds'] else 'DOES NOT HOLD'}",
        f"{result['seconds']:.1f} s, {result['search_seconds']:.1f} s of them searching",
    ]


def _percent(share: float | None) -> str:
    return "unknown" if share is None else f"{100 * share:.2f} %"
