"""The probe `gradients`: by plain autograd, and while networks train in several threads."""

from __future__ import annotations

import math

import pytest
import torch
from networks_by_hand import networks_by_hand
from played_rounds import play
from torch import nn
from torch.nn import functional

from tickets.probes import chosen
from tickets.probes.gradients import gradients


def build() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Dropout(0.5), nn.Linear(3, 2))


@pytest.fixture
def networks(one_thread):
    generator = torch.Generator().manual_seed(3)
    inputs = torch.randn(30, 4, generator=generator)
    targets = torch.arange(30) % 2
    mask = {"0.weight": torch.rand(3, 4, generator=generator) < 0.5}
    values = [{"0.weight": torch.randn(3, 4, generator=generator)} for _ in range(2)]
    lost = {"0.weight": torch.full((3, 4), math.nan)}
    train = {"batch_size": 10, "steps": 4}
    return networks_by_hand(build, [*values, lost], [mask, {}, mask], inputs, targets, train=train)


def plainly(networks, index: int, training: bool) -> dict[str, float]:
    """The lengths by the loss of all examples at once."""
    module = networks.module(index).train(training)
    module[3].eval()
    functional.cross_entropy(module(networks.examples.train_inputs), networks.examples.train_labels).backward()
    found = {name: module.get_parameter(name).grad[mask[index]] for name, mask in networks.masks.items()}
    return {
        "all": float(torch.cat(list(found.values())).norm()),
        **{name: float(g.norm()) for name, g in found.items()},
    }


def test_gradients_by_plain_autograd(networks, monkeypatch) -> None:
    monkeypatch.setattr(chosen, "_MEMORY", 7 * 2 * networks.context.anatomy.activations)  # 7 examples at a time, then 2
    table = gradients(networks)
    for index in (0, 1):
        own = table[table["network"] == index].set_index("tensor")
        assert own["norm"].to_dict() == pytest.approx(plainly(networks, index, training=False), rel=1e-5)
        counts = {name: int(mask[index].sum()) for name, mask in networks.masks.items()}
        assert own["survivors"].to_dict() == {"all": sum(counts.values()), **counts}
    assert table.loc[table["network"] == 2, "norm"].isna().all()


def test_gradients_in_training_mode_normalise_each_batch_by_itself(networks) -> None:
    def without_dropout() -> nn.Module:
        module = build()
        module[3].p = 0.0
        return module

    inputs, targets = networks.examples.train_inputs, networks.examples.train_labels
    values = [{name: value[0] for name, value in networks.values.items()}]
    for batch, same in ((30, True), (10, False)):
        train = {"batch_size": batch, "steps": 4}
        own = networks_by_hand(without_dropout, values, [{}], inputs, targets, train=train)
        norm = gradients(own, training=True)["norm"][0]
        assert (norm == pytest.approx(plainly(own, 0, training=True)["all"], rel=1e-5)) == same


def test_examples_are_the_same_for_all_networks_and_in_all_rounds(networks) -> None:
    inputs, targets = chosen.chosen_examples(networks, 12)
    places = [networks.examples.train_inputs.tolist().index(x) for x in inputs.tolist()]
    assert len(set(places)) == 12
    assert places != sorted(places)
    assert networks.examples.train_labels[places].tolist() == targets.tolist()
    assert torch.equal(chosen.chosen_examples(networks[[1]], 12)[0], inputs)
    assert len(chosen.chosen_examples(networks, 1000)[0]) == 30


# Networks that draw random numbers train in one lane, whose generator the probe must leave as it is.
@pytest.mark.parametrize(("model", "lanes"), [("drawing", 1), ("still", 2)])
def test_gradients_while_networks_train_in_threads(model: str, lanes: int) -> None:
    given = {"probes": ["gradients"], "replicates": 3, "model": f"{__name__}:{model}"}
    one, two = play(**given), play(**given, lanes=lanes, at_once=2)
    table = one.tables["gradients"]
    assert table["norm"].tolist() == two.tables["gradients"]["norm"].tolist()
    assert one.curves["test_loss"].tolist() == two.curves["test_loss"].tolist()
    assert table["norm"].gt(0).all()
    assert sorted(table["step"].unique()) == [0, 2, 4]


def drawing(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    return nn.Sequential(nn.Linear(input_shape[0], 4), nn.Tanh(), nn.Dropout(0.5), nn.Linear(4, classes))


def still(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    return nn.Sequential(nn.Linear(input_shape[0], 4), nn.Tanh(), nn.Linear(4, classes))
