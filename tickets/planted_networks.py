"""Tiny ReLU networks that are known to solve the data sets circle, relu and helix (Fischer & Burkholz 2022).

They are written down from the mathematics, not trained: sums of max(t - k, 0) interpolate a function linearly between
knots. Each exists for every number of hidden layers from 1 on:

| network | hidden layers: widths | weights that are not 0 |
| --- | --- | --- |
| relu | h: 1, ..., 1 | h + 1 |
| circle | 1: 32 | 128 |
| | 2: 4, 16 | 84 |
| | 3: 4, 16, 1 | 55 |
| | 4: 4, 2, 16, 1 | 43 |
| | h > 4: 4, 2, 16, then h - 3 of 1 | 43 + h - 4 |
| helix | h: h - 1 of 1, then 30 | 90 + h |

Further layers pass one number on: max(t, 0) = t for t >= 0, which a squared radius is, and x + 1 on the data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tickets.data.planted import BOUNDS, helix_points

CIRCLE_SEGMENTS, CIRCLE_REACH = 8, 0.85  # of t**2, to just past the largest bound's square root; beyond, a line goes on
HELIX_SEGMENTS = 30  # of x in [-1, 1]

Layer = tuple[Tensor, Tensor]  # weight (out, in), bias (out,)


@dataclass(frozen=True)
class PlantedNetwork:
    """A ReLU network without activation after its last layer.

    Attributes
    ----------
    layers
        The weight (out, in) and the bias (out,) of each Linear layer, float64.
    """

    layers: tuple[Layer, ...]

    @property
    def inputs(self) -> int:
        """The number of inputs."""
        return self.layers[0][0].shape[1]

    @property
    def outputs(self) -> int:
        """The number of outputs."""
        return len(self.layers[-1][1])

    @property
    def widths(self) -> tuple[int, ...]:
        """The number of units of each hidden layer."""
        return tuple(len(bias) for _, bias in self.layers[:-1])

    @property
    def weights(self) -> int:
        """The number of weights that are not 0."""
        return sum(int((weight != 0).sum()) for weight, _ in self.layers)

    def __call__(self, x: Tensor) -> Tensor:
        """The outputs, (n, outputs) float64. x: (n, inputs)."""
        outputs = x.double()
        for place, (weight, bias) in enumerate(self.layers):
            outputs = (outputs if place == 0 else outputs.clamp(min=0)) @ weight.T + bias
        return outputs


def relu_network(hidden: int) -> PlantedNetwork:
    """max(x, 0), by a chain of one unit a layer.

    Parameters
    ----------
    hidden
        The number of hidden layers, >= 1.
    """
    return PlantedNetwork(tuple(_pass_on() for _ in range(hidden + 1)))


def circle_network(hidden: int) -> PlantedNetwork:
    """Logits whose highest is the class of a point: k r - (the sum of the first k bounds), r nearly x**2 + y**2.

    r is a sum over both coordinates of the linear interpolation of t**2 at equal distances d, less its mean error,
    d**2 / 6 each. It is wrong by d**2 / 4 at most where abs(t) <= CIRCLE_REACH.

    Parameters
    ----------
    hidden
        The number of hidden layers, >= 1.
    """
    distance = CIRCLE_REACH / CIRCLE_SEGMENTS
    knots = distance * torch.arange(CIRCLE_SEGMENTS, dtype=torch.float64)
    # The slope of t**2 over a segment is the sum of its two ends: d at first, and 2 d more from knot to knot.
    steps = torch.full_like(knots, 2 * distance)
    steps[0] = distance
    class_ = torch.arange(len(BOUNDS) + 1, dtype=torch.float64)
    offset = -torch.tensor((0.0, *BOUNDS), dtype=torch.float64).cumsum(0) - class_ * distance**2 / 3

    signs = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]], dtype=torch.float64)  # of (x, y)
    sides: Layer = signs, torch.zeros(4, dtype=torch.float64)  # max(x, 0), max(-x, 0), max(y, 0), max(-y, 0)
    pairs = torch.tensor([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]], dtype=torch.float64)
    sizes: Layer = pairs, torch.zeros(2, dtype=torch.float64)  # abs(x), abs(y)

    def bends(of: Tensor) -> Layer:
        """max(t - k, 0) for each knot k and each row t = of @ (the layer before)."""
        return of.repeat_interleave(len(knots), 0), -knots.repeat(len(of))

    def logits(of: Tensor) -> Layer:
        """of: (1, the layer before), whose product with it is r before its mean error."""
        return class_[:, None] * of, offset

    one = torch.ones(1, 1, dtype=torch.float64)
    radius: Layer = steps.repeat(2)[None], torch.zeros(1, dtype=torch.float64)
    if hidden == 1:
        return PlantedNetwork((bends(signs), logits(steps.repeat(4)[None])))
    if hidden == 2:
        return PlantedNetwork((sides, bends(pairs), logits(radius[0])))
    if hidden == 3:
        return PlantedNetwork((sides, bends(pairs), radius, logits(one)))
    further = (_pass_on() for _ in range(hidden - 4))
    return PlantedNetwork((sides, sizes, bends(torch.eye(2, dtype=torch.float64)), radius, *further, logits(one)))


def helix_network(hidden: int) -> PlantedNetwork:
    """The linear interpolation of the helix at 31 equal distances of x in [-1, 1].

    Parameters
    ----------
    hidden
        The number of hidden layers, >= 1.
    """
    ends = np.linspace(-1, 1, HELIX_SEGMENTS + 1)
    bends, start = _interpolation(ends, helix_points(ends))
    shift: Layer = torch.ones(1, 1, dtype=torch.float64), torch.ones(1, dtype=torch.float64)  # x + 1 >= 0
    before = [shift, *(_pass_on() for _ in range(hidden - 2))] if hidden > 1 else []
    knots = torch.from_numpy(ends[:-1] + (1 if before else 0))
    # The height of the helix is linear in x: its slope changes at no knot but the first.
    bends[1:, 2] = 0
    return PlantedNetwork((*before, (torch.ones(len(knots), 1, dtype=torch.float64), -knots), (bends.T, start)))


NETWORKS: Mapping[str, Callable[[int], PlantedNetwork]] = {
    "circle": circle_network,
    "relu": relu_network,
    "helix": helix_network,
}


def _pass_on() -> Layer:
    """One unit that is the one before it."""
    return torch.ones(1, 1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)


def _interpolation(ends: Sequence[float] | np.ndarray, values: np.ndarray) -> tuple[Tensor, Tensor]:
    """b (segments, k) and a (k,): a + the sum of b max(x - end, 0) is `values` (segments + 1, k) at `ends`."""
    slopes = np.diff(values, axis=0) / np.diff(ends)[:, None]
    changes = np.diff(slopes, axis=0, prepend=0)
    return torch.from_numpy(changes), torch.from_numpy(values[0].copy())
