"""Networks of one family: the same layers, with hidden widths scaled by one common factor."""

from __future__ import annotations

import bisect
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import torch
from torch import nn

from tickets.catalogue import MODELS
from tickets.config import Run
from tickets.errors import InputError
from tickets.models import factory
from tickets.planting import NAME as PLANTED
from tickets.planting import without_ticket
from tickets.process_state import standard_state
from tickets.stack.architecture import prunable

Widths = tuple[int, ...]


def scaled_widths(widths: Sequence[int], weights: Callable[[Widths], int], most: int) -> Widths | None:
    """The hidden widths, scaled by the largest common factor with which a network has at most so many weights.

    For a factor c in [0, 1], width w becomes max(1, floor(c w)). The largest c for which ``weights(widths) <= most`` is
    found exactly: the widths change only where c is a multiple of some 1 / w.

    Parameters
    ----------
    widths
        Of the full network, each >= 1.
    weights
        The number of weights of a network with given widths. It must not fall as a width rises.
    most
        How many weights it may have.

    Returns
    -------
    tuple of int or None
        None if a network whose widths are all 1 has more weights.
    """
    steps = sorted({Fraction(count, width) for width in widths for count in range(1, width + 1)})

    def at(factor: Fraction) -> Widths:
        return tuple(max(1, math.floor(factor * width)) for width in widths)

    factors = [Fraction(0), *steps]
    fitting = bisect.bisect_right(factors, most, key=lambda factor: weights(at(factor)))
    return at(factors[fitting - 1]) if fitting else None


class Family:
    """The networks of a run's model with other hidden widths.

    Parameters
    ----------
    run
        The run.
    input_shape, classes
        Of its data.

    Raises
    ------
    InputError
        If the widths of the run's model cannot be scaled.
    """

    def __init__(self, run: Run, input_shape: Sequence[int], classes: int) -> None:
        self._model, self._given = run.model, (tuple(input_shape), classes)
        self._patterns = run.prune.exclude, run.prune.include
        entry = MODELS.get(run.model.name)
        if entry is None or entry.family is None:
            able = ", ".join(name for name, model in MODELS.items() if model.family)
            raise InputError(
                f"model = {run.model.name!r}: arm small_dense scales the hidden widths of a model, and of this one "
                f"they are not known (models with known widths: {able}); leave small_dense out, and train a narrower "
                "network for each density as a campaign of its own, with rounds = 0"
            )
        self._name = entry.family
        self.widths: Widths = tuple(run.model.options.get("widths", entry.widths))
        if not self.widths:
            raise InputError(
                "model.widths = []: arm small_dense scales the hidden widths of a model, and this one has no hidden "
                "layer; give it one (widths = [100]), or leave small_dense out"
            )
        self.weights = functools.cache(self._weights)

    def table(self, widths: Widths) -> dict[str, Any]:
        """The table `model` of a campaign with these hidden widths; initial values and other options are the run's.

        Where model.init plants a ticket, the narrower network has none: its initial values are a fresh draw.
        """
        options = {key: value for key, value in self._model.options.items() if key != "widths"}
        own: Mapping[str, Any] = self._model.model_dump(mode="json")
        init = without_ticket(self._model.init.table) if self._model.init.name == PLANTED else own["init"]
        return {"name": self._name, "init": init, **options, "widths": list(widths)}

    def factory(self, widths: Widths) -> Callable[[], nn.Module]:
        """Return a function without arguments that builds the network with these hidden widths."""
        options = {key: value for key, value in self.table(widths).items() if key not in ("name", "init")}
        return factory(self._name, options, *self._given)

    @standard_state()
    def _weights(self, widths: Widths) -> int:
        """How many prunable weights a network with these hidden widths has."""
        with torch.device("meta"):  # shapes alone
            module = self.factory(widths)()
        return sum(math.prod(tensor.shape) for tensor in prunable(module, *self._patterns))

    def at_most(self, weights: int) -> Widths | None:
        """The largest hidden widths by `scaled_widths` with which a network has at most so many prunable weights."""
        return scaled_widths(self.widths, self.weights, weights)
