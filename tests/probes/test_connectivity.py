"""Error barriers: of copies, of lines with a known height, with statistics of batch normalisation by hand."""

from __future__ import annotations

import math

import pytest
import torch
from fitted_runs import fitted
from made_networks import label, made_networks, stacked
from torch import Tensor, nn
from torch.nn import functional

from tickets.data import Examples
from tickets.errors import InputError
from tickets.probes.connectivity import barrier_of, connectivity
from tickets.probes.line import with_statistics

COLUMNS = {
    "network", "between", "with_replicate", "with_round", "with_arm", "with_draw", "metric", "end", "with_end",
    "highest", "highest_at", "barrier", "excess", "stable", "loss_barrier", "batch_norm",
}  # fmt: skip
REGRESSION = {"loss": "mse", "batch_size": 4}


@pytest.fixture(autouse=True)
def single_thread(one_thread: None) -> None:
    """Networks this small only wait for the threads."""


def examples_of(x: Tensor, y: Tensor, classes: int = 1) -> Examples:
    return Examples(*[x, y] * 3, classes=classes)


def line(*weights: float) -> nn.Sequential:
    """x times the product of the weights."""
    module = nn.Sequential(*(nn.Linear(1, 1, bias=False) for _ in weights))
    for layer, weight in zip(module, weights, strict=True):
        layer.weight.data.fill_(weight)
    return module


def test_two_copies_of_one_network_have_no_barrier_at_all() -> None:
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(50, 4, generator=generator), torch.arange(50) % 3
    module = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3))
    values = stacked(module, module)
    networks = made_networks(
        [label(), label(arm="reorder")], values, examples_of(x, y, 3),
        lambda: nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3)),
    )  # fmt: skip
    (row,) = connectivity(networks)
    assert row.keys() == COLUMNS
    assert (row["network"], row["between"], row["with_arm"], row["with_round"]) == (1, "order", "ticket", 1)
    assert (row["barrier"], row["excess"], row["loss_barrier"], row["stable"]) == (0.0, 0.0, 0.0, 1.0)
    assert row["end"] == row["with_end"] == row["highest"] > 0
    assert (row["highest_at"], row["metric"], row["batch_norm"]) == (0.0, "error", "recomputed")


def test_the_loss_of_a_linear_model_is_a_known_quadratic_along_the_line() -> None:
    x = torch.tensor([[1.0], [2.0], [-3.0]])
    y = 0.5 * x[:, 0] + torch.tensor([0.0, 1.0, 0.0])
    networks = made_networks(
        [label(), label(arm="reorder")], stacked(line(2.0), line(-1.0)), examples_of(x, y[:, None]), lambda: line(0.0),
        train=REGRESSION,
    )  # fmt: skip
    (row,) = connectivity(networks, points=7)
    # At the weight w the errors are (w - 1/2)(1, 2, -3) - (0, 1, 0): squares 14 (w - 1/2)^2 - 4 (w - 1/2) + 1.
    at_2, at_minus_1 = (14 * 2.25 - 6 + 1) / 3, (14 * 2.25 + 6 + 1) / 3
    assert (row["end"], row["with_end"]) == pytest.approx((at_minus_1, at_2))
    assert row["barrier"] == pytest.approx((at_minus_1 - at_2) / 2)
    assert row["excess"] == 0.0, "a quadratic of least squares lies below the line between its ends"
    assert (row["metric"], row["highest_at"]) == ("loss", 0.0)
    assert math.isnan(row["stable"])
    assert row["loss_barrier"] == row["barrier"]


@pytest.mark.parametrize("points", [3, 30])
def test_a_barrier_between_two_equal_functions_in_closed_form(points: int) -> None:
    x = torch.tensor([[1.0], [2.0], [-3.0]])
    networks = made_networks(
        [label(number=2)], stacked(line(1.0, 1.0)), examples_of(x, x), lambda: line(0.0, 0.0), train=REGRESSION,
        earlier=[
            made_networks([label(number=0)], stacked(line(-1.0, -1.0)), examples_of(x, x), lambda: line(0.0, 0.0)),
            made_networks([label(number=1)], stacked(line(1.0, 1.0)), examples_of(x, x), lambda: line(0.0, 0.0)),
        ],
    )  # fmt: skip
    rounds, dense = connectivity(networks, points)
    assert (rounds["between"], rounds["with_round"], rounds["barrier"]) == ("rounds", 1, 0.0)
    # At t both weights are 1 - 2t, and the loss is mean(x^2) ((1 - 2t)^2 - 1)^2: mean(x^2) = 14/3 in the middle.
    at = [place / (points - 1) for place in range(points)]
    heights = [14 / 3 * ((1 - 2 * t) ** 2 - 1) ** 2 for t in at]
    assert (dense["between"], dense["with_round"]) == ("dense", 0)
    assert dense["barrier"] == dense["excess"] == pytest.approx(max(heights), rel=1e-5)
    highest = [t for t, height in zip(at, heights, strict=True) if height == pytest.approx(max(heights))]
    assert dense["highest_at"] in [pytest.approx(t) for t in highest]
    assert (dense["end"], dense["with_end"]) == (0.0, 0.0)


def test_heights_by_hand() -> None:
    at = torch.tensor([0.0, 0.25, 0.5, 1.0], dtype=torch.float64)
    heights = torch.tensor([0.5, 0.5, 0.375, 0.125], dtype=torch.float64)
    assert barrier_of(heights, at, 0.1875) == {
        "end": 0.5, "with_end": 0.125, "highest": 0.5, "highest_at": 0.0, "barrier": 0.1875, "excess": 0.09375,
        "stable": 0.0,
    }  # fmt: skip
    assert barrier_of(heights, at, 0.2)["stable"] == 1.0
    heights[1] = math.inf
    assert all(math.isnan(value) for value in barrier_of(heights, at, 0.2).values())


class Noisy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner, self.drop, self.norm = nn.Linear(2, 3), nn.Dropout(0.5), nn.BatchNorm1d(3)
        self.outer = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.outer(self.norm(self.drop(self.inner(x))))


def test_statistics_of_batch_normalisation_at_a_point_by_hand() -> None:
    generator = torch.Generator().manual_seed(1)
    x, y = torch.randn(11, 2, generator=generator), torch.arange(11) % 2
    one, other = Noisy(), Noisy()
    for module in (one, other):  # what training has left there
        module.norm.running_mean.fill_(3.0)
        module.norm.num_batches_tracked.fill_(7)
    networks = made_networks([label(), label(arm="reorder")], stacked(one, other), examples_of(x, y, 2), Noisy)
    middle = {
        name: (value[:1] + value[1:]) / 2 if value.is_floating_point() else value[:1]
        for name, value in networks.values.items()
    }
    found = with_statistics(networks, middle)
    # train.batch_size is 4: two batches, of 6 and 5 examples; dropout is off.
    inner = functional.linear(x, middle["inner.weight"][0], middle["inner.bias"][0])
    batches = inner[:6], inner[6:]
    mean = sum(batch.mean(0) for batch in batches) / 2
    variance = sum(batch.var(0) for batch in batches) / 2
    torch.testing.assert_close(found["norm.running_mean"][0], mean)
    torch.testing.assert_close(found["norm.running_var"][0], variance)
    assert found["norm.num_batches_tracked"].tolist() == [2]
    assert all(found[name] is middle[name] for name in middle if "norm.running" not in name and "num_" not in name)
    normed = (inner - mean) / (variance + 1e-5).sqrt() * middle["norm.weight"][0] + middle["norm.bias"][0]
    logits = functional.linear(normed, middle["outer.weight"][0], middle["outer.bias"][0])
    by_hand = float((logits.argmax(1) != y).double().mean())
    (recomputed,), (kept,) = (connectivity(networks, 3, recompute) for recompute in (True, False))
    assert recomputed["batch_norm"] == "recomputed"
    assert kept["batch_norm"] == "interpolated"
    errors = recomputed["end"], by_hand, recomputed["with_end"]
    assert recomputed["highest"] == max(errors)
    assert recomputed["loss_barrier"] != kept["loss_barrier"]


def test_a_network_that_diverged_has_no_barrier() -> None:
    x, y = torch.randn(6, 4), torch.arange(6) % 3
    values = stacked(nn.Linear(4, 3), nn.Linear(4, 3))
    values["bias"][1, 0] = math.nan
    labels = [label(), label(arm="reorder")]
    (row,) = connectivity(made_networks(labels, values, examples_of(x, y, 3), lambda: nn.Linear(4, 3)))
    missing = {name for name, value in row.items() if isinstance(value, float) and math.isnan(value)}
    assert missing == {"end", "with_end", "highest", "highest_at", "barrier", "excess", "stable", "loss_barrier"}
    assert (row["metric"], row["batch_norm"]) == ("error", "none")


def test_a_reordered_arm_that_starts_elsewhere_is_no_pair_of_data_orders() -> None:
    x, y = torch.randn(6, 4), torch.arange(6) % 3
    networks = made_networks(
        [label(), label(arm="reorder")], stacked(nn.Linear(4, 3), nn.Linear(4, 3)), examples_of(x, y, 3),
        lambda: nn.Linear(4, 3), arms=["ticket", {"name": "reorder", "start": 0}], rewind={"step": 1},
    )  # fmt: skip
    assert connectivity(networks) == []


def test_what_is_refused_before_training() -> None:
    for probe in ("connectivity", "predictions"):
        with pytest.raises(InputError, match=rf'store.trained = "none": the probe \'{probe}\' .* set it to "ticket"'):
            fitted(probes=[probe], store={"trained": "none"})
    with pytest.raises(InputError, match=r"points = 2: must be at least 3: both ends and what is between"):
        fitted(probes=[{"name": "connectivity", "points": 2}])
