"""The probe `structure`: by hand, and against a count of every path one by one."""

from __future__ import annotations

import itertools
import math

import numpy as np
import torch
from networks_by_hand import networks_by_hand
from torch import nn

from tickets.probes.structure import structure


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))


def convnet() -> nn.Module:
    layers = nn.Conv2d(2, 3, 2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(3, 2, 2), nn.Flatten(), nn.Linear(8, 2)
    return nn.Sequential(*layers)  # (2, 7, 7), (3, 6, 6), (3, 3, 3), (2, 2, 2), 8, 2


class Twice(nn.Module):
    """No chain."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, x):
        return self.layer(torch.relu(self.layer(x)))


def described(build, masks, shape, **options):
    inputs, targets = torch.zeros(2, *shape), torch.zeros(2, dtype=torch.long)
    return structure(networks_by_hand(build, [{}] * len(masks), masks, inputs, targets), **options)


def row(table, tensor, network=0):
    (found,) = table[(table["tensor"] == tensor) & (table["network"] == network)].to_dict("records")
    return found


# Unit 0 reads inputs 0 and 1 and is read by output 0; unit 1 reads input 0 and is not read; unit 2 reads nothing and
# is read by output 1; unit 3 neither. Input 2 is not read; output 1 is reached by no input.
BY_HAND = {
    "0.weight": torch.tensor([[1, 1, 0], [1, 0, 0], [0, 0, 0], [0, 0, 0]], dtype=torch.bool),
    "2.weight": torch.tensor([[1, 0, 0, 0], [0, 0, 1, 0]], dtype=torch.bool),
}


def test_structure_by_hand() -> None:
    table = described(mlp, [BY_HAND], (3,))
    first, last, whole = row(table, "0.weight"), row(table, "2.weight"), row(table, "all")
    counts = ("weights", "survivors", "units", "inputs", "units_cut", "inputs_cut", "dead", "effective")
    assert [first[name] for name in counts] == [12, 3, 4, 3, 2, 1, 3, 2]
    assert [last[name] for name in counts] == [8, 2, 2, 4, 0, 2, 0, 1]
    assert [whole[name] for name in counts] == [20, 5, 6, 3, 2, 1, 3, 3]
    assert (whole["paths"], math.isnan(first["paths"])) == (2, True)
    assert [first[f"unit_{name}"] for name in ("mean", "min", "median", "max")] == [3 / 4, 0, 0.5, 2]
    assert [first[f"input_{name}"] for name in ("mean", "min", "median", "max")] == [1, 0, 1, 2]
    assert first["unit_high"] == np.quantile([2, 1, 0, 0], 0.95)
    assert whole["unit_mean"] == 5 / 6
    assert whole["input_max"] == 2


def test_each_unit_and_input_by_hand() -> None:
    table = described(mlp, [BY_HAND], (3,), units=True)
    found = {
        (tensor, side): (rows["survivors"].tolist(), rows["connected"].tolist())
        for (tensor, side), rows in table.groupby(["tensor", "side"])
    }
    assert found == {
        ("0.weight", "unit"): ([2, 1, 0, 0], [1, 0, 0, 0]),
        ("0.weight", "input"): ([2, 1, 0], [1, 1, 0]),
        ("2.weight", "unit"): ([1, 1], [1, 0]),
        ("2.weight", "input"): ([1, 0, 1, 0], [1, 0, 0, 0]),
    }


def test_a_weight_that_leads_to_a_dead_end_two_layers_later_is_on_no_path() -> None:
    def deep() -> nn.Module:
        return nn.Sequential(nn.Linear(1, 2), nn.Tanh(), nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 1))

    masks = {
        "2.weight": torch.tensor([[True, False], [False, True]]),  # two ways, side by side
        "4.weight": torch.tensor([[True, False]]),  # of which the second one ends
    }
    table = described(deep, [masks], (1,))
    assert [row(table, name)["effective"] for name in ("0.weight", "2.weight", "4.weight", "all")] == [1, 1, 1, 3]
    assert [row(table, name)["dead"] for name in ("0.weight", "2.weight", "4.weight")] == [0, 1, 0]
    assert row(table, "all")["paths"] == 1


def every_path(masks) -> tuple[int, dict[str, int], set[int]]:
    """Of `convnet`: the paths, the weights on them by tensor, and the pixels that the last layer reads on them."""
    weights = [list(zip(*np.nonzero(mask.numpy()), strict=True)) for mask in masks.values()]  # (unit, input, ...)
    count, used, pixels = 0, [set(), set(), set()], set()
    for one, two, three in itertools.product(*weights):
        if two[1] == one[0] and three[1] // 4 == two[0]:  # four pixels of each of two channels
            count += 1
            for place, weight in enumerate((one, two, three)):
                used[place].add(weight)
            pixels.add(int(three[1]))
    return count, dict(zip(masks, map(len, used), strict=True)), pixels


def test_paths_of_a_convolutional_network_one_by_one() -> None:
    generator = torch.Generator().manual_seed(1)
    shapes = {"0.weight": (3, 2, 2, 2), "3.weight": (2, 3, 2, 2), "5.weight": (2, 8)}
    masks = [
        {name: torch.rand(shape, generator=generator) < share for name, shape in shapes.items()}
        for share in (0.6, 0.25, 0.12)
    ]
    table, each = described(convnet, masks, (2, 7, 7)), described(convnet, masks, (2, 7, 7), units=True)
    some = 0
    for index, mask in enumerate(masks):
        paths, used, pixels = every_path(mask)
        assert row(table, "all", index)["paths"] == paths
        assert {name: row(table, name, index)["effective"] for name in shapes} == used
        assert row(table, "all", index)["effective"] == sum(used.values())
        own = each[(each["network"] == index) & (each["tensor"] == "5.weight") & (each["side"] == "input")]
        assert set(own.loc[own["connected"] == 1, "place"]) == pixels
        some += 0 < sum(used.values()) < row(table, "all", index)["survivors"]
    assert some, "a mask that cuts weights off is among them"


def test_a_whole_network_has_as_many_paths_as_the_product_of_its_widths() -> None:
    def lenet() -> nn.Module:
        return nn.Sequential(nn.Linear(784, 300), nn.ReLU(), nn.Linear(300, 100), nn.ReLU(), nn.Linear(100, 10))

    whole = row(described(lenet, [{}], (784,)), "all")
    assert whole["paths"] == 784 * 300 * 100 * 10
    assert whole["effective"] == whole["survivors"] == whole["weights"] == 266_200
    assert (whole["dead"], whole["units_cut"]) == (0, 0)


def test_a_network_that_is_no_chain_has_counts_alone() -> None:
    mask = {"layer.weight": torch.tensor([[True, False, False], [True, True, False], [False, False, False]])}
    table = described(Twice, [mask], (3,))
    for tensor in ("all", "layer.weight"):
        assert [row(table, tensor)[name] for name in ("survivors", "units_cut", "inputs_cut")] == [3, 1, 1]
    assert table[["dead", "effective", "paths"]].isna().all(axis=None)
    assert described(Twice, [mask], (3,), units=True)["connected"].isna().all()
