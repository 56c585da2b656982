"""Predictions of two networks: tables by hand, KL by scipy, R2 by its formula, and which pairs there are."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from made_networks import label, made_networks, stacked
from scipy import stats
from torch import nn

from tickets.data import Examples
from tickets.probes.predictions import classes_compared, numbers_compared, predictions

PROBABILITIES = [
    [[0.9, 0.1], [0.4, 0.6], [0.8, 0.2], [0.3, 0.7]],
    [[0.2, 0.8], [0.3, 0.7], [0.45, 0.55], [0.9, 0.1]],
]
LABELS = torch.tensor([0, 1, 0, 1])


def test_two_classifiers_by_hand() -> None:
    one, other = (torch.tensor(table).log() + 3 for table in PROBABILITIES)
    found = classes_compared(one, other, LABELS)
    # The first is right everywhere, the second once; means (0.55, 0.45), (0.35, 0.65), (0.625, 0.375), (0.6, 0.4).
    assert {name: found[name] for name in ("disagreement", "accuracy", "with_accuracy")} == {
        "disagreement": 3 / 4, "accuracy": 1.0, "with_accuracy": 1 / 4,
    }  # fmt: skip
    assert (found["ensemble_accuracy"], found["ensemble_gain"]) == (3 / 4, 3 / 4 - 5 / 8)
    p, q = map(np.array, PROBABILITIES)
    assert found["kl"] == pytest.approx(stats.entropy(p, q, axis=1).mean(), rel=1e-6)
    assert found["kl_reverse"] == pytest.approx(stats.entropy(q, p, axis=1).mean(), rel=1e-6)
    assert found["kl"] != pytest.approx(found["kl_reverse"], rel=1e-3)
    assert math.isnan(found["squared_difference"])


def test_an_ensemble_is_the_mean_of_probabilities_not_of_logits() -> None:
    one, other = (torch.tensor([table]).log() for table in ([0.68, 0.3, 0.02], [0.02, 0.29, 0.69]))
    found = classes_compared(one, other, torch.tensor([2]))  # means 0.35, 0.295, 0.355; products favour class 1
    assert (found["ensemble_accuracy"], found["ensemble_gain"]) == (1.0, 0.5)


def test_a_network_and_itself() -> None:
    one = torch.randn(20, 3)
    found = classes_compared(one, one.clone(), torch.arange(20) % 3)
    assert (found["disagreement"], found["kl"], found["kl_reverse"], found["ensemble_gain"]) == (0, 0, 0, 0)


def test_two_regressions_by_hand() -> None:
    one, other = torch.tensor([[0.0], [2.0], [4.0]]), torch.tensor([[2.0], [2.0], [0.0]])
    targets = torch.tensor([[1.0], [2.0], [3.0]])
    found = numbers_compared(one, other, targets)
    # Squared deviations of the targets 2; squared errors 2, 10 and, of the mean (1, 2, 2), 1.
    assert (found["accuracy"], found["with_accuracy"], found["ensemble_accuracy"]) == (0.0, -4.0, 0.5)
    assert found["ensemble_gain"] == 0.5 + 2
    assert found["squared_difference"] == pytest.approx(20 / 3)
    assert math.isnan(found["disagreement"])
    assert math.isnan(found["kl"])


def test_outputs_that_are_not_finite_give_nan() -> None:
    one = torch.randn(4, 2)
    for compare, targets in ((classes_compared, LABELS), (numbers_compared, one)):
        assert all(math.isnan(value) for value in compare(one, one / 0, targets).values())


def networks_of(labels: list, seed: int, examples: Examples, earlier: tuple = ()):
    torch.manual_seed(seed)
    return made_networks(
        labels, stacked(*(nn.Linear(4, 3) for _ in labels)), examples, lambda: nn.Linear(4, 3), earlier=earlier
    )


def test_pairs_and_their_networks() -> None:
    x, y = torch.randn(7, 4), torch.arange(7) % 3
    examples = Examples(*[x, y] * 3, classes=3)
    dense = networks_of([label(r, 0) for r in (1, 0)], 1, examples)
    labels = [label(r, 2, arm, draw) for r in (0, 1) for arm, draw in (("ticket", 0), ("reinit", 0), ("reinit", 1))]
    networks = networks_of(labels, 2, examples, (dense,))
    rows = predictions(networks)
    names = ("between", "network", "with_replicate", "with_round", "with_arm", "with_draw")
    assert [tuple(row[name] for name in names) for row in rows] == [
        ("replicates", 0, 1, 2, "ticket", 0),
        ("replicates", 1, 1, 2, "reinit", 0),
        *(("arms", place, place // 3, 2, "ticket", 0) for place in (1, 2, 4, 5)),
        *(("dense", place, place // 3, 0, "ticket", 0) for place in range(6)),
    ]
    one, other = networks.logits(x)[5], dense.logits(x)[0]  # replicate 1, the first of the dense ones
    compared = {name: value for name, value in rows[-1].items() if name not in names}
    assert compared == pytest.approx(classes_compared(one, other, y), nan_ok=True)
    assert compared["accuracy"] == float((one.argmax(1) == y).double().mean())
