"""Early stopping, divergence and rows, on curves made by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch
from made_workloads import hidden_of

from tickets.measures import HOPELESS, Label, curve_rows, diverged, round_rows, unit_rows
from tickets.models.mlp import mlp
from tickets.stack.evaluation import METRICS, Curves
from tickets.stack.networks import Stack
from tickets.stack.units import MEASURES
from tickets.store.tables import UNITS

NAN, INF = math.nan, math.inf
CURVES = [
    "run", "replicate", "round", "density", "arm", "draw", "step", "train_loss", "train_accuracy",
    "validation_loss", "validation_accuracy", "test_loss", "test_accuracy",
]  # fmt: skip
ROUNDS = [
    "run", "replicate", "round", "density", "arm", "draw", "early_stop_step", "early_stop_test_accuracy",
    "early_stop_validation_loss", "final_test_accuracy", "final_test_loss", "final_train_loss", "diverged",
    "seconds",
]  # fmt: skip
TICKET = Label(replicate=4, round=2, density=0.64, arm="ticket", draw=0)


def curves(steps: list[int], **metrics: list[float]) -> Curves:
    """One network's, or several networks' with a list for each step; what is not given is 1 everywhere."""
    networks = max((len(v[0]) if isinstance(v[0], list) else 1 for v in metrics.values()), default=1)
    values = torch.ones(len(steps), networks, 6, dtype=torch.float64)
    for name, given in metrics.items():
        values[:, :, METRICS.index(name)] = torch.tensor(given, dtype=torch.float64).view(len(steps), -1)
    return Curves(torch.tensor(steps), values)


def early_stop(steps: list[int], **metrics: list[float]) -> tuple[float, float, float]:
    row = round_rows("r", [TICKET], curves(steps, **metrics), np.array([False]), 1.0).iloc[0]
    return row["early_stop_step"], row["early_stop_validation_loss"], row["early_stop_test_accuracy"]


def test_early_stopping_is_the_lowest_validation_loss() -> None:
    accuracy = [0.1, 0.2, 0.3, 0.4]
    assert early_stop([0, 5, 10, 12], validation_loss=[4, 3, 2, 3], test_accuracy=accuracy) == (10, 2, 0.3)


def test_the_first_of_equal_losses() -> None:
    accuracy = [0.1, 0.2, 0.3, 0.4]
    assert early_stop([0, 5, 10, 12], validation_loss=[4, 2, 3, 2], test_accuracy=accuracy) == (5, 2, 0.2)


def test_step_0_counts_and_so_does_the_last() -> None:
    accuracy = [0.1, 0.2, 0.3]
    assert early_stop([0, 5, 10], validation_loss=[1, 2, 3], test_accuracy=accuracy) == (0, 1, 0.1)
    assert early_stop([0, 5, 10], validation_loss=[3, 2, 1], test_accuracy=accuracy) == (10, 1, 0.3)
    assert early_stop([7], validation_loss=[3], test_accuracy=[0.5]) == (7, 3, 0.5), "the only step there is"


def test_nothing_but_the_validation_loss_has_a_say() -> None:
    rng = np.random.default_rng(0)
    losses = [4.0, 2.5, 2.0, 2.6]
    for _ in range(20):
        others = {name: list(rng.uniform(0, 9, 4)) for name in METRICS if name != "validation_loss"}
        assert early_stop([0, 5, 10, 12], validation_loss=losses, **others)[:2] == (10, 2.0)


def test_a_step_without_a_validation_loss_is_not_the_lowest() -> None:
    accuracy = [0.1, 0.2, 0.3, 0.4]
    assert early_stop([0, 5, 10, 15], validation_loss=[4, NAN, 2, INF], test_accuracy=accuracy) == (10, 2, 0.3)
    assert early_stop([0, 5, 10, 15], validation_loss=[NAN, 4, 5, 6], test_accuracy=accuracy) == (5, 4, 0.2)


def test_a_rounds_row() -> None:
    measured = {
        "validation_loss": [[3, 1], [2, 2]],
        "test_accuracy": [[0.5, 0.6], [0.7, 0.8]],
        "test_loss": [[9, 8], [7, 6]],
        "train_loss": [[5, 4], [3, 2]],
    }
    labels = [TICKET, Label(0, 2, 0.5, "reinit", 3)]
    rows = round_rows("id", labels, curves([0, 10], **measured), np.array([False, False]), seconds=3.0)
    expected = pd.DataFrame(
        [
            ["id", 4, 2, 0.64, "ticket", 0, 10.0, 0.7, 2.0, 0.7, 7.0, 3.0, False, 1.5],
            ["id", 0, 2, 0.5, "reinit", 3, 0.0, 0.6, 1.0, 0.8, 6.0, 2.0, False, 1.5],
        ],
        columns=ROUNDS,
    )
    pd.testing.assert_frame_equal(rows, expected)


def test_a_lost_networks_row_holds_nan_and_nothing_else() -> None:
    rows = round_rows("id", [TICKET], curves([0, 10]), np.array([True]), seconds=3.0)
    assert list(rows.columns) == ROUNDS
    assert rows.loc[0, ROUNDS[6:12]].isna().all()
    assert rows.loc[0, "diverged"]
    assert rows["diverged"].dtype == bool
    assert rows.loc[0, "seconds"] == 3.0
    assert rows.loc[0, "density"] == 0.64


def test_curve_rows() -> None:
    values = torch.arange(24, dtype=torch.float64).view(2, 2, 6)
    rows = curve_rows("id", [TICKET, Label(0, 2, 0.5, "reinit", 3)], Curves(torch.tensor([0, 10]), values))
    expected = pd.DataFrame(
        [
            ["id", 4, 2, 0.64, "ticket", 0, 0, *range(6)],
            ["id", 4, 2, 0.64, "ticket", 0, 10, *range(12, 18)],
            ["id", 0, 2, 0.5, "reinit", 3, 0, *range(6, 12)],
            ["id", 0, 2, 0.5, "reinit", 3, 10, *range(18, 24)],
        ],
        columns=CURVES,
    )
    pd.testing.assert_frame_equal(rows, expected.astype(dict.fromkeys(METRICS, float)))


def lost(train_loss: list[list[float]], weights: list[float] | None = None, classes: int = 10) -> list[bool]:
    """Of networks that have one weight each."""
    measured = curves(list(range(len(train_loss))), train_loss=train_loss)
    networks = len(train_loss[0])
    values = torch.tensor(weights or [1.0] * networks).view(networks, 1, 1)
    parameters = {"w": values, "sound": torch.zeros(networks, 3)}
    return diverged(measured, Stack(parameters, {}, {}, {}, 0), classes).tolist()


def test_a_training_loss_that_is_not_finite_at_any_measured_step() -> None:
    assert lost([[1, 1, 1, NAN], [1, INF, NAN, 1], [1, 1, 1, 1]]) == [False, True, True, True]


def test_a_weight_that_is_not_finite_at_the_end() -> None:
    assert lost([[1, 1, 1, 1]], [1.0, INF, NAN, -INF]) == [False, True, True, True]


@pytest.mark.parametrize("classes", [2, 3, 10, 1000])
def test_a_loss_far_above_guessing_is_hopeless_and_its_edge_is_not(classes: int) -> None:
    edge = HOPELESS * math.log(classes)
    beyond = np.nextafter(edge, INF)
    assert lost([[2, 2, 2], [np.nextafter(edge, 0), edge, beyond]], classes=classes) == [False, False, True]


def test_a_loss_that_began_higher_than_it_ends_is_not_hopeless() -> None:
    high = 10 * HOPELESS * math.log(10)
    assert lost([[high, high, high], [high, np.nextafter(high, 0), np.nextafter(high, INF)]]) == [False, False, True]
    # What counts is the last step, not one on the way.
    assert lost([[1.0], [high], [1.0]]) == [False]


def test_unit_rows_are_networks_steps_and_layers() -> None:
    first, second = hidden_of(mlp((3,), 2, [4, 5]))
    other = Label(replicate=5, round=2, density=0.5, arm="reinit", draw=1)
    values = torch.arange(2 * 2 * 2 * 7, dtype=torch.float64).view(2, 2, 2, 7)  # (steps, networks, layers, measures)
    rows = unit_rows("r", [TICKET, other], torch.tensor([0, 50]), [first, second], values)
    assert list(rows.columns) == UNITS.names
    assert rows["replicate"].tolist() == [4] * 4 + [5] * 4
    assert rows["arm"].tolist() == ["ticket"] * 4 + ["reinit"] * 4
    assert rows["step"].tolist() == [0, 0, 50, 50] * 2
    assert rows["layer"].tolist() == ["1", "3"] * 4
    assert rows["width"].tolist() == [4, 5] * 4
    # Of the second network at step 50: the second layer's are values[1, 1, 1], the last seven numbers.
    assert rows.iloc[-1][list(MEASURES)].tolist() == list(range(49, 56))
    assert rows.iloc[1]["distinct"] == 7.0, "values[0, 0, 1, 0]"


def test_unit_rows_of_a_network_without_hidden_layers() -> None:
    rows = unit_rows("r", [TICKET], torch.tensor([0, 50]), [], torch.empty(2, 1, 0, 7, dtype=torch.float64))
    assert list(rows.columns) == UNITS.names
    assert rows.empty
