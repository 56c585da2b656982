"""The data sets of the planted tickets (Fischer & Burkholz 2022): circle, relu and helix, made on the spot.

Each is a function of a few numbers that a tiny ReLU network is known to compute (`tickets.planted_networks`). All
random numbers come from NumPy's RandomState, whose stream is frozen: a seed gives the same data with every version.
"""

from __future__ import annotations

import numpy as np
import torch

from tickets.config.types import Fraction, MadeExamples, NotNegative, Seed
from tickets.data.dataset import Dataset, digest

BOUNDS = (0.2, 0.5, 0.7)  # of the squared radius, between the classes 0 | 1 | 2 | 3 of circle
# Lines in the squared radius that cross at BOUNDS: the highest is the class, and the second one what noise makes of it.
_SLOPES = np.array([0.1, 0.2, 0.4, 0.8])
_HEIGHTS = np.array([0.0, -0.02, -0.12, -0.4])

Array = np.ndarray


def circle(examples: MadeExamples = 9000, test: MadeExamples = 1000, noise: Fraction = 0.01, seed: Seed = 0) -> Dataset:
    """Points of the plane in 4 classes, by their distance from the origin.

    Inputs are (n, 2), uniform on [-1, 1]^2. The class is the number of BOUNDS that x**2 + y**2 is above. With
    probability `noise` it is replaced by the next likely one: that of the second highest line.

    Parameters
    ----------
    examples
        Training examples, of which some are held out for validation; >= 1.
    test
        Test examples, >= 1; they have the noise too.
    noise
        The probability that a label is wrong, in [0, 1].
    seed
        Of the data, 0 to 2**63 - 1; no other seed matters.
    """
    random = _random(seed)
    points = random.uniform(-1, 1, (examples + test, 2))
    likely = circle_classes(points)
    labels = np.where(random.uniform(0, 1, len(points)) < noise, likely[:, 1], likely[:, 0])
    return _dataset("circle", points, labels.astype(np.int64), examples, 4)


def circle_classes(points: Array) -> Array:
    """The classes of points from the likeliest to the least likely, (n, 4) int64. points: (n, 2)."""
    radii = (points**2).sum(1, keepdims=True)
    return np.argsort(-(radii * _SLOPES + _HEIGHTS), axis=1, kind="stable").astype(np.int64)


def relu(
    examples: MadeExamples = 9000, test: MadeExamples = 1000, noise: NotNegative = 0.01, seed: Seed = 0
) -> Dataset:
    """Regression of max(x, 0) for x uniform on [-1, 1]: one input, one output.

    Parameters
    ----------
    examples
        Training examples, of which some are held out for validation; >= 1.
    test
        Test examples, >= 1; they have the noise too.
    noise
        The standard deviation of the normal noise of the targets, >= 0.
    seed
        Of the data, 0 to 2**63 - 1; no other seed matters.
    """
    random = _random(seed)
    x = random.uniform(-1, 1, (examples + test, 1))
    return _dataset("relu", x, np.maximum(x, 0) + noise * random.standard_normal(x.shape), examples, 1)


def helix(
    examples: MadeExamples = 9000, test: MadeExamples = 1000, noise: NotNegative = 0.01, seed: Seed = 0
) -> Dataset:
    """Regression of a point on a helix that widens: one input, x uniform on [-1, 1]; three outputs (`helix_points`).

    Parameters
    ----------
    examples
        Training examples, of which some are held out for validation; >= 1.
    test
        Test examples, >= 1; they have the noise too.
    noise
        The standard deviation of the normal noise of each target, >= 0.
    seed
        Of the data, 0 to 2**63 - 1; no other seed matters.
    """
    random = _random(seed)
    x = random.uniform(-1, 1, (examples + test, 1))
    points = helix_points(x[:, 0])
    return _dataset("helix", x, points + noise * random.standard_normal(points.shape), examples, 3)


def helix_points(x: Array) -> Array:
    """(a cos a, a sin a, a) / (8 pi) with a = 5 pi + 3 pi x, (n, 3): three turns for x from -1 to 1. x: (n,)."""
    angle = np.pi * (5 + 3 * x)
    return np.stack([angle * np.cos(angle), angle * np.sin(angle), angle], 1) / (8 * np.pi)


def _random(seed: int) -> np.random.RandomState:
    return np.random.RandomState([seed % 2**32, seed // 2**32])  # whole numbers of 32 bits are all that it takes


def _dataset(name: str, inputs: Array, labels: Array, examples: int, classes: int) -> Dataset:
    """float32 inputs and targets; the first `examples` are for training."""
    x = torch.from_numpy(inputs.astype(np.float32))
    y = torch.from_numpy(labels if labels.dtype == np.int64 else labels.astype(np.float32))
    parts = (x[:examples], y[:examples], x[examples:], y[examples:])
    return Dataset(name, *parts, classes=classes, sha256=digest(*parts))
