"""The probe `geometry`: by hand, against a plain loop over the module and every pair, and in a campaign."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from made_workloads import hidden_of
from networks_by_hand import networks_by_hand
from torch import Tensor, nn

import tickets
from tickets.errors import InputError
from tickets.models.mlp import mlp
from tickets.probes.geometry import MEASURES, geometry, measure_geometry
from tickets.stack.anatomy import examine

DEGREES = 180 / math.pi


def rows_of(module: nn.Module, x: Tensor, y: Tensor | None = None) -> list[dict]:
    y = torch.arange(len(x)) % 3 if y is None else y
    return list(measure_geometry(hidden_of(module), dict(module.named_parameters()), x, y))


def plain(weight: list[list[float]]) -> nn.Sequential:
    """One hidden layer of these weights, without biases."""
    first = torch.tensor(weight)
    module = nn.Sequential(nn.Linear(first.shape[1], len(first), bias=False), nn.ReLU(), nn.Linear(len(first), 2))
    module[0].weight.data = first
    return module


def test_geometry_by_hand() -> None:
    # Inputs e1, e2 and e1 + e2; the layer doubles the first coordinate, drops the second, and has a unit that is off.
    x = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    (row,) = rows_of(plain([[2.0, 0.0], [-1.0, 0.0]]), x, torch.tensor([1, 1, 0]))
    # Outputs (2, 0), (0, 0), (2, 0). Distances before 1.41, 1, 1, after 2, 0, 2.
    assert (row["layer"], row["place"], row["width"]) == ("0", 1, 2)
    assert row["distance_median"] == pytest.approx(math.sqrt(2))
    assert row["distance_mean"] == pytest.approx((2 / math.sqrt(2) + 0 + 2) / 3)
    assert row["angle_before"] == pytest.approx((90 + 45 + 45) / 3)
    # The second example is lost: 90 degrees to the others, which are the same.
    assert row["angle_after"] == pytest.approx((90 + 0 + 90) / 3)
    assert row["angle_smallest"] == pytest.approx(0, abs=1e-5)
    assert (row["dead"], row["lost"]) == (1, 1)
    assert row["class_separation"] == pytest.approx((0 + 90) / 2 / 90)  # pairs 02 and 12 over pair 01
    right, half = 1 / math.pi, (math.sin(math.pi / 4) + 0.75 * math.pi * math.cos(math.pi / 4)) / math.pi
    off = np.array([0 - right, 1 - half, 0 - half])  # pairs 01, 02, 12
    assert row["deviation"] == row["deviation_layer"] == pytest.approx(math.sqrt((off**2).mean()))
    assert row["deviation_max"] == pytest.approx(abs(off).max())
    assert row["angle_kernel"] == pytest.approx(DEGREES * np.mean([math.acos(right), *[math.acos(half)] * 2]))
    assert row["effective_rank"] == pytest.approx(1)
    # Mean square 5/4 of the weights and 2 units: (|x|**2 + |y|**2 - 2 |x| |y| J) * 5/4.
    wanted = [math.sqrt(1.25 * (1 + 1 - 2 * right)), *[math.sqrt(1.25 * (1 + 2 - 2 * math.sqrt(2) * half))] * 2]
    assert row["distance_kernel"] == pytest.approx(np.median(np.array([2, 0, 2]) / wanted))


def test_a_factor_before_relu_changes_lengths_alone() -> None:
    """parametrisation = "ntk" is what the same weights, multiplied, compute without it."""
    torch.manual_seed(0)
    x = torch.randn(12, 20)
    scaled = mlp((20,), 3, widths=(40, 30), bias=False, parametrisation="ntk")
    usual = mlp((20,), 3, widths=(40, 30), bias=False)
    for name, factor in (("1", math.sqrt(2 / 20)), ("3", math.sqrt(2 / 40)), ("5", math.sqrt(1 / 30))):
        usual.get_submodule(name).weight.data = factor * scaled.get_submodule(name).weight.data
    for found, wanted in zip(rows_of(scaled, x), rows_of(usual, x), strict=True):
        assert math.isfinite(wanted["distance_kernel"])
        for measure in MEASURES:
            assert found[measure] == pytest.approx(wanted[measure], rel=1e-4), measure


def oracle(module: nn.Sequential, x: Tensor, y: Tensor) -> list[dict[str, float]]:
    """The measures of a Flatten, Linear, ReLU chain by loops over the module's own layers and over pairs."""

    def angle(a: np.ndarray, b: np.ndarray) -> float:
        zero = [not np.any(a), not np.any(b)]
        if any(zero):
            return 0.0 if all(zero) else math.pi / 2
        return math.acos(min(1.0, max(-1.0, a @ b / math.sqrt((a @ a) * (b @ b)))))

    def after(t: float) -> float:
        return math.acos((math.sin(t) + (math.pi - t) * math.cos(t)) / math.pi)

    rows, values = [], x.double()
    kernel: dict[tuple[int, int], float] = {}
    linears = [place for place, layer in enumerate(module) if isinstance(layer, nn.Linear)]
    values = module[: linears[0]](values)
    for start, end in itertools.pairwise(linears):
        before = values.detach().numpy()
        values = module[start:end](values)
        now, weight = values.detach().numpy(), module[start].weight.detach().numpy()
        found = []
        for i in range(len(x)):
            for j in range(i + 1, len(x)):
                old, new = angle(before[i], before[j]), angle(now[i], now[j])
                kernel[i, j] = after(kernel.get((i, j), old))
                lengths = np.linalg.norm(before[i]), np.linalg.norm(before[j])
                square = lengths[0] ** 2 + lengths[1] ** 2 - 2 * lengths[0] * lengths[1] * math.cos(after(old))
                apart, ratio, per_kernel = np.linalg.norm(before[i] - before[j]), math.nan, math.nan
                if apart > 0:
                    ratio = np.linalg.norm(now[i] - now[j]) / apart
                    scale = math.sqrt(len(weight) * (weight**2).mean() / 2)
                    per_kernel = np.linalg.norm(now[i] - now[j]) / math.sqrt(square) / scale
                found.append((ratio, per_kernel, old, new, kernel[i, j], after(old), y[i] == y[j]))
        ratio, per_kernel, old, new, many, one, same = np.array(found).T
        within = new[same == 1].mean()
        singular = np.linalg.svd(now - now.mean(0), compute_uv=False)
        shares = singular[singular > 1e-12] / singular.sum()
        rows.append(
            {
                "distance_median": np.nanmedian(ratio),
                "distance_mean": np.nanmean(ratio),
                "distance_kernel": np.nanmedian(per_kernel),
                "angle_before": DEGREES * old.mean(),
                "angle_after": DEGREES * new.mean(),
                "angle_kernel": DEGREES * many.mean(),
                "angle_smallest": DEGREES * new.min(),
                "deviation": math.sqrt(((np.cos(new) - np.cos(many)) ** 2).mean()),
                "deviation_max": abs(np.cos(new) - np.cos(many)).max(),
                "deviation_layer": math.sqrt(((np.cos(new) - np.cos(one)) ** 2).mean()),
                "correlation": np.corrcoef(np.cos(new), np.cos(many))[0, 1] if np.ptp(np.cos(new)) > 1e-9 else math.nan,
                "class_separation": new[same == 0].mean() / within if within > 1e-6 else math.nan,
                "effective_rank": np.exp(-(shares * np.log(shares)).sum()),
                "dead": sum(not np.any(unit) for unit in now.T),
                "lost": sum(not np.any(example) for example in now),
            }
        )
    return rows


def test_pruned_networks_against_loops_over_the_module_and_pairs() -> None:
    x = torch.randn(20, 2, 3, generator=torch.Generator().manual_seed(1))
    masks, modules = [], []
    for network, density in enumerate((1.0, 0.5, 0.15)):
        torch.manual_seed(network)
        module = mlp((2, 3), 3, (9, 8, 5))
        generator = torch.Generator().manual_seed(network)
        mask = {
            f"{name}.weight": torch.rand(layer.weight.shape, generator=generator) < density
            for name, layer in module.named_modules()
            if isinstance(layer, nn.Linear)
        }
        if network == 2:  # without biases, so that a pruned layer may give nothing but zeros
            for name, parameter in module.named_parameters():
                parameter.data *= "weight" in name
        masks.append(mask)
        modules.append(module)
    values = [{name: value.detach().clone() for name, value in module.named_parameters()} for module in modules]
    trained = [{name: value + 1 for name, value in one.items()} for one in values]
    networks = networks_by_hand(
        lambda: mlp((2, 3), 3, (9, 8, 5)), trained, masks, x, torch.zeros(20, dtype=torch.long), initial=values
    )
    y = torch.arange(20) % 4
    examples = replace(networks.examples, validation_inputs=x, validation_labels=y)
    table = geometry(replace(networks, context=replace(networks.context, read_examples=lambda: examples)))
    assert table[["network", "layer", "place", "width"]].to_numpy().tolist() == [
        [network, layer, place, width]
        for network in range(3)
        for layer, place, width in (("1", 1, 9), ("3", 2, 8), ("5", 3, 5))
    ]
    lost = 0
    for network, module in enumerate(modules):
        with torch.no_grad():
            for name, parameter in module.named_parameters():
                if name in masks[network]:
                    parameter.mul_(masks[network][name])
        for place, wanted in enumerate(oracle(module.double(), x, y), 1):
            row = table[(table["network"] == network) & (table["place"] == place)].iloc[0]
            for name in MEASURES:
                # The arc cosine of 1 - 1e-16 is 1e-8, 1e-6 degrees; so is the root of an eigenvalue of 1e-16.
                close = 1e-5 if name.startswith(("angle", "effective")) else 1e-7
                assert row[name] == pytest.approx(wanted[name], abs=close, rel=1e-7, nan_ok=True), name
            lost += wanted["lost"]
    assert lost, "examples whose outputs are all 0 are among them"


def test_a_wide_gaussian_network_is_as_the_kernel_says() -> None:
    torch.manual_seed(0)
    module = mlp((10,), 2, (4000, 4000))
    for layer in module:
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
    for row in rows_of(module, torch.randn(64, 10)):
        assert row["deviation"] < 0.02
        assert row["deviation_layer"] < 0.02
        assert row["correlation"] > 0.99
        assert row["distance_kernel"] == pytest.approx(1, abs=0.03)
        assert row["angle_after"] == pytest.approx(row["angle_kernel"], abs=0.5)
        assert row["dead"] < 40
        assert row["lost"] == 0


def test_equal_units_give_one_direction() -> None:
    module = mlp((4,), 2, (6, 5))
    for parameter in module.parameters():
        nn.init.constant_(parameter, 0.5 if parameter.ndim == 2 else 0.0)
    first, second = rows_of(module, torch.rand(10, 4))
    for row in (first, second):
        assert row["angle_after"] == pytest.approx(0, abs=1e-5)
        assert row["effective_rank"] == pytest.approx(1, abs=1e-5)
        assert math.isnan(row["correlation"])
        assert math.isnan(row["class_separation"])
    assert second["angle_before"] == pytest.approx(0, abs=1e-5)


def test_what_has_no_kernel_or_is_not_finite_says_nothing() -> None:
    x = torch.randn(6, 3)
    tanh = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    kernel = ("distance_kernel", "angle_kernel", "deviation", "deviation_max", "deviation_layer", "correlation")
    for row in rows_of(tanh, x):
        assert {name for name in MEASURES if math.isnan(row[name])} == set(kernel)
    dropout = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Dropout(0.5), nn.Linear(4, 2))
    assert all(math.isfinite(row["deviation"]) for row in rows_of(dropout, x))
    for y in (torch.rand(6), torch.rand(6, 2), torch.arange(6)):  # no classes, or no two of one class
        assert [math.isnan(row["class_separation"]) for row in rows_of(dropout, x, y)] == [True]
    dropout[0].weight.data[0, 0] = torch.inf
    assert all(math.isnan(row[name]) for row in rows_of(dropout, x) for name in MEASURES)
    assert all(math.isnan(row[name]) for row in rows_of(tanh, x[:1]) for name in MEASURES)


def test_only_the_first_examples_are_looked_at() -> None:
    module, x = mlp((4,), 2, (5,)), torch.randn(100, 4)
    assert rows_of(module, x) == rows_of(module, x[:64])


def test_a_network_that_is_no_chain_of_linear_layers_is_refused() -> None:
    def convolution() -> nn.Module:
        return nn.Sequential(nn.Conv2d(1, 2, 2), nn.ReLU(), nn.Flatten(), nn.Linear(2, 2))

    assert examine(convolution(), (1, 2, 2), torch.float32).hidden is None
    networks = networks_by_hand(convolution, [{}], [{}], torch.zeros(2, 1, 2, 2), torch.zeros(2, dtype=torch.long))
    with pytest.raises(InputError, match=r"probe 'geometry': hidden units are counted in .* leave the probe out"):
        geometry(networks)


def test_every_arm_of_a_campaign_is_measured_before_training(campaign_file, tmp_path) -> None:
    saved = tickets.run(
        campaign_file(
            tmp_path,
            rounds=1,
            replicates=2,
            data="digits",
            model={"name": "mlp", "widths": [8, 6], "init": "kaiming_normal"},
            arms=["ticket", "reinit", "constant"],
            train={"steps": 2, "evaluate_every": 2},
            prune={"density": 0.3},
            probes=["geometry"],
        ),
        out=tmp_path / "out",
    )
    table = saved.probe("geometry")
    assert "step" not in table
    assert len(table) == 2 * 2 * (3 + 3), "replicates, layers, arms of both rounds"
    start = saved.ticket(replicate=1, round=1)
    module = start.build()
    split = tickets.data.split(tickets.data.load_dataset({}, "digits", None), 200)
    for row, wanted in zip(
        table[(table["replicate"] == 1) & (table["round"] == 1) & (table["arm"] == "ticket")].to_dict("records"),
        rows_of(module, split.validation_inputs, split.validation_labels),
        strict=True,
    ):
        assert {name: row[name] for name in MEASURES} == pytest.approx({name: wanted[name] for name in MEASURES})
