"""The data sets of planted tickets: shapes, seeds, the rule of each label."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from tickets.data import load_dataset
from tickets.data.planted import circle, circle_classes, helix, helix_points, relu


@pytest.mark.parametrize(("name", "inputs", "outputs"), [("circle", 2, ()), ("relu", 1, (1,)), ("helix", 1, (3,))])
def test_shapes_seeds_and_sizes(name: str, inputs: int, outputs: tuple[int, ...]) -> None:
    options = {"examples": 30, "test": 7, "noise": 0.1, "seed": 3}
    one = load_dataset(options, name, None)
    assert (one.train_inputs.shape, one.test_inputs.shape) == ((30, inputs), (7, inputs))
    assert (one.train_labels.shape, one.test_labels.shape) == ((30, *outputs), (7, *outputs))
    assert one.classes == (outputs[0] if outputs else 4)
    assert one.train_labels.dtype == (torch.float32 if outputs else torch.int64)
    assert bool((one.train_inputs.abs() <= 1).all())
    assert float(one.train_inputs.min()) < -0.7
    assert load_dataset(options, name, None).sha256 == one.sha256
    for seed in (4, 3 + 2**32):
        assert load_dataset({**options, "seed": seed}, name, None).sha256 != one.sha256
    standard = load_dataset({}, name, None)
    assert (len(standard.train_labels), len(standard.test_labels)) == (9000, 1000)


def test_the_class_of_a_point_and_the_next_likely_one() -> None:
    """The lines 0.1 r, 0.2 r - 0.02, 0.4 r - 0.12, 0.8 r - 0.4 in the squared radius r."""
    radii = np.array([0.19, 0.21, 0.39, 0.41, 0.49, 0.51, 0.63, 0.64, 0.69, 0.71, 2.0])
    angles = np.arange(len(radii))
    points = np.sqrt(radii)[:, None] * np.stack([np.cos(angles), np.sin(angles)], 1)
    ranked = circle_classes(points)
    assert ranked[:, 0].tolist() == [0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3]
    assert ranked[:, 1].tolist() == [1, 0, 0, 2, 2, 1, 1, 3, 3, 2, 2]


def test_noise_puts_the_next_likely_class_in_place_of_the_class() -> None:
    clean, noisy, wrong = (circle(examples=4000, test=1, noise=noise) for noise in (0.0, 0.1, 1.0))
    ranked = torch.from_numpy(circle_classes(clean.train_inputs.double().numpy()))
    assert torch.equal(clean.train_inputs, noisy.train_inputs)
    assert torch.equal(clean.train_labels, ranked[:, 0])
    assert torch.equal(wrong.train_labels, ranked[:, 1])
    changed = noisy.train_labels != clean.train_labels
    assert torch.equal(noisy.train_labels[changed], ranked[changed, 1])
    assert abs(float(changed.double().mean()) - 0.1) < 4 * math.sqrt(0.1 * 0.9 / 4000)


def test_the_targets_of_the_regressions() -> None:
    clean = relu(examples=50, test=50, noise=0.0)
    assert torch.equal(clean.train_labels, clean.train_inputs.clamp(min=0))
    spread = helix(examples=3000, test=1, noise=0.2).train_labels - helix(examples=3000, test=1, noise=0).train_labels
    assert spread.std(0).tolist() == pytest.approx([0.2] * 3, rel=0.06)
    # At x = -1, 0 and 1 the angle is 2 pi, 5 pi and 8 pi.
    assert helix_points(np.array([-1.0, 0.0, 1.0])) == pytest.approx(
        np.array([[2 / 8, 0, 2 / 8], [-5 / 8, 0, 5 / 8], [1, 0, 1]])
    )
    # A quarter of a turn on, x = -5/6: the angle is 2.5 pi.
    assert helix_points(np.array([-5 / 6])) == pytest.approx(np.array([[0, 2.5 / 8, 2.5 / 8]]))
