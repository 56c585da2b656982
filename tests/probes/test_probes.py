"""Probes while a run trains: what they are given, what they may do, and what is refused before training."""

from __future__ import annotations

import dataclasses
import random
import time
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from fitted_runs import fitted, source
from played_rounds import play, ready_to_play, round_of
from torch import Tensor, nn

from tickets import process_state
from tickets.arms import Origin, Start
from tickets.catalogue import ARMS
from tickets.chains import first_chain
from tickets.config import ArmConfig
from tickets.planning import memory_needed, plan_execution
from tickets.probes import Networks, at_steps, working_memory
from tickets.ready import ready_run
from tickets.rounds import RoundResult, train_round

CPU = torch.device("cpu")
HERE = __name__


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def lengths(networks: Networks):
    for index in range(len(networks)):
        yield {"network": index, "length": float(networks.values["1.weight"][index].norm())}


@at_steps
def lengths_by_step(networks: Networks, times: float = 1.0):
    return pd.DataFrame(
        {
            "network": range(len(networks)),
            "length": networks.values["1.weight"].flatten(1).norm(dim=1) * times,
            "moved": [
                float((networks.values["1.weight"][i] - networks.initial["1.weight"][i]).norm())
                for i in range(len(networks))
            ],
            "drawn": [float(torch.rand((), generator=networks.generator(i))) for i in range(len(networks))],
        }
    )


def assert_same(one: RoundResult, other: RoundResult) -> None:
    pd.testing.assert_frame_equal(one.curves, other.curves, check_exact=True)
    for left, right in zip(one.networks, other.networks, strict=True):
        assert all(torch.equal(left.trained[name], right.trained[name]) for name in left.trained)


def test_a_probe_of_the_whole_round() -> None:
    result = play(["ticket", "reinit"], probes=[f"{HERE}:lengths"])
    (table,) = result.tables.values()
    assert list(table.columns) == ["run", "replicate", "round", "density", "arm", "draw", "length"]
    assert table[["replicate", "arm"]].values.tolist() == [[r, a] for r in range(3) for a in ("ticket", "reinit")]
    expected = [float(network.trained["1.weight"].norm()) for network in result.networks]
    assert table["length"].tolist() == expected


def test_a_probe_at_steps_sees_parts_in_lanes_as_one_stack() -> None:
    probes = [{"name": f"{HERE}:lengths_by_step", "times": 2.0}]
    whole, parts = play(probes=probes, replicates=5), play(probes=probes, replicates=5, lanes=2, at_once=2)
    assert_same(whole, parts)
    pd.testing.assert_frame_equal(whole.tables["lengths_by_step"], parts.tables["lengths_by_step"], check_exact=True)
    table = whole.tables["lengths_by_step"]
    assert table[["replicate", "step"]].values.tolist() == [[r, s] for r in range(5) for s in (0, 2, 4)]
    assert (table.loc[table["step"] == 0, "moved"] == 0).all()
    assert (table.loc[table["step"] > 0, "moved"] > 0).all()
    last = table.loc[table["step"] == 4, "length"].tolist()
    np.testing.assert_allclose(last, [2 * float(n.trained["1.weight"].norm()) for n in whole.networks], rtol=1e-6)
    assert table["drawn"].nunique() == len(table), "each network and step draws its own numbers"


def test_networks_that_start_at_several_steps_are_in_one_table() -> None:
    one = fitted(
        replicates=2,
        probes=[f"{HERE}:lengths_by_step", f"{HERE}:lengths"],
        arms=["ticket", {"name": "reinit", "start": 0}],
        rewind={"step": 2},
        train={"steps": 6, "batch_size": 8, "evaluate_every": 3, "evaluate_on": 4},
    )
    ready = ready_run(one, plan_execution(one, CPU), CPU)
    chains = [first_chain(ready, replicate) for replicate in range(2)]
    ticket = [(ArmConfig(name="ticket"), 0)]
    chains = list(train_round(ready, "id", chains, 0, ticket).chains)
    result = train_round(ready, "id", chains, 1, [*ticket, (ArmConfig(name="reinit", start=0), 0)])
    table = result.tables["lengths_by_step"]
    assert {arm: sorted(set(own["step"])) for arm, own in table.groupby("arm")} == {
        "reinit": [0, 3, 6],
        "ticket": [2, 3, 6],
    }
    assert table.groupby(["replicate", "arm"]).size().tolist() == [3, 3, 3, 3]
    by_network = {(n.label.replicate, n.label.arm): float(n.trained["1.weight"].norm()) for n in result.networks}
    after = result.tables["lengths"]
    assert {(r, a): v for r, a, v in after[["replicate", "arm", "length"]].values.tolist()} == by_network
    ends = table[table["step"] == 6].set_index(["replicate", "arm"])["length"]
    assert all(ends[key] == pytest.approx(value) for key, value in by_network.items())


def steps(networks: Networks):
    return [{"network": 0, "at": networks.step}]


def with_steps(count: int) -> Any:
    def rule(origin: Origin, mask: Any) -> Start:
        recipe = origin.recipe.model_copy(update={"steps": count})
        return Start(dict(origin.rewound), optimizer=None, step=origin.step, recipe=recipe)

    return rule


longer = with_steps(6)


def test_the_step_after_a_round_is_the_last_one_of_the_networks_if_they_share_it() -> None:
    arms: list[Any] = ["ticket", {"name": "longer", "values": f"{HERE}:longer"}]
    ready = ready_to_play(arms=arms, probes=[f"{HERE}:steps"], replicates=2)
    ticket, own = ready.run.arms
    found = [round_of(ready, some).tables["steps"]["at"].item() for some in ([ticket], [own], [ticket, own])]
    assert found == [4, 6, 4]


@at_steps
def vandal(networks: Networks):
    """Writes to all that it may, and changes what belongs to the whole process."""
    for tensors in (networks.values, networks.initial, networks.masks):
        for tensor in tensors.values():
            tensor.zero_()
    networks.module(0)[1].weight.data.fill_(7)
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0), np.random.seed(0), random.seed(0)
    torch.set_grad_enabled(False)
    drawn = float(torch.rand(())) + np.random.random()
    return [{"network": 0, "x": drawn}]


def vandal_afterwards(networks: Networks):
    return vandal(networks)


def test_a_probe_changes_nothing_that_trains() -> None:
    plain = play(model={"name": "mlp", "widths": [5], "dropout": 0.5})
    with process_state.standard_state():
        state = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
        names = [f"{HERE}:vandal", f"{HERE}:vandal_afterwards", "units"]
        watched = play(model={"name": "mlp", "widths": [5], "dropout": 0.5}, probes=names)
        assert torch.equal(state[0], torch.get_rng_state())
        assert (np.random.get_state()[1].tolist(), random.getstate()) == state[1:]
        assert torch.get_default_dtype() == torch.float32
        assert torch.is_grad_enabled()
    assert_same(plain, watched)
    alone = play(model={"name": "mlp", "widths": [5], "dropout": 0.5}, probes=["units"])
    pd.testing.assert_frame_equal(watched.tables["units"], alone.tables["units"], check_exact=True)


seen_dtypes: list[torch.dtype] = []


class Watched(nn.Module):
    """A network that records the default dtype of the process whenever it computes."""

    def __init__(self, input_shape: tuple[int, ...], classes: int) -> None:
        super().__init__()
        self.inner, self.outer = nn.Linear(input_shape[0], 4), nn.Linear(4, classes)

    def forward(self, x: Tensor) -> Tensor:
        seen_dtypes.append(torch.get_default_dtype())
        return self.outer(torch.tanh(self.inner(x)))


@at_steps
def sets_the_dtype(networks: Networks):
    torch.set_default_dtype(torch.float64)
    time.sleep(0.02)  # other lanes would go on meanwhile
    return [{"network": 0}]


def test_no_lane_trains_while_a_function_of_the_users_measures() -> None:
    options: dict[str, Any] = {"model": f"{HERE}:Watched", "replicates": 4, "lanes": 2, "at_once": 2}
    options |= {"train": {"steps": 40, "batch_size": 8, "evaluate_every": 2}, "compute": {"strategy": "looped"}}
    ready = ready_to_play(probes=[f"{HERE}:sets_the_dtype"], **options)
    seen_dtypes.clear()
    watched = round_of(ready)
    assert set(seen_dtypes) == {torch.float32}
    assert_same(watched, play(**options))


def test_logits_loss_and_score_are_the_modules_own() -> None:
    seen: dict[str, Any] = {}

    def look(networks: Networks):
        x, y = networks.examples.test_inputs, networks.examples.test_labels
        seen.update(logits=networks.logits(x), score=networks.score(x, y), values=networks.values, networks=networks)
        return [{"network": 0}]

    globals()["look"] = look
    result = play(probes=[f"{HERE}:look"], model=f"{HERE}:norm_net")
    x, y = source().examples.test_inputs, source().examples.test_labels
    for index, network in enumerate(result.networks):
        module = norm_net((6,), 3)
        module.load_state_dict(network.trained)
        wanted = module.eval()(x)
        torch.testing.assert_close(seen["logits"][index], wanted.detach(), rtol=1e-5, atol=1e-6)
        loss = seen["networks"].loss(wanted, y).detach()
        assert float(seen["score"][index, 0]) == pytest.approx(float(loss), rel=1e-5)
        assert float(seen["score"][index, 1]) == float((wanted.argmax(1) == y).double().mean())
        assert not seen["networks"].module(index).training
    between = {name: values[:1].float() for name, values in seen["values"].items()}
    assert torch.equal(seen["networks"].logits(x, between)[0], seen["logits"][0])


def norm_net(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    return nn.Sequential(nn.Linear(input_shape[0], 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, classes))


@at_steps
def remembers(networks: Networks):
    before = networks.carry.get("steps", torch.zeros(0))
    networks.carry["steps"] = torch.cat([before, torch.tensor([float(networks.step)])])
    return [{"network": i, "seen": "-".join(str(int(s)) for s in before)} for i in range(len(networks))]


def test_what_a_probe_carries_on_is_of_its_networks_alone() -> None:
    table = play(probes=[f"{HERE}:remembers"], replicates=4, lanes=2, at_once=2).tables["remembers"]
    assert table[["replicate", "step", "seen"]].values.tolist() == [
        [replicate, *row] for replicate in range(4) for row in ([0, ""], [2, "0"], [4, "0-2"])
    ]


def test_networks_without_values_say_so() -> None:
    seen: dict[str, Networks] = {}

    def look(networks: Networks):
        seen["bare"] = dataclasses.replace(networks, values={})
        return [{"network": 0}]

    globals()["look"] = look
    play(probes=[f"{HERE}:look"])
    bare, x = seen["bare"], source().examples.test_inputs
    for call in (lambda: bare.module(0), lambda: bare.logits(x), lambda: bare.next_masks(0)):
        with pytest.raises(ValueError, match="these networks' values after training are not there"):
            call()


# Memory.


@working_memory(lambda module: 10**6)
def heavy(networks: Networks):
    return []


def test_memory_of_probes_is_planned() -> None:
    def needed(*probes: str) -> int:
        one = fitted(probes=list(probes), compute={"memory_gib": 0.5})
        return memory_needed(one, plan_execution(one, CPU), CPU)

    plain = needed()
    assert needed(f"{HERE}:heavy") > needed(f"{HERE}:lengths") > plain
    assert needed(f"{HERE}:heavy") > plain + len(ARMS) * 10**6
    assert needed("units") > plain


def test_tensors_are_named_as_the_model_names_them() -> None:
    found: dict[str, Tensor] = {}

    def names(networks: Networks):
        found.update(networks.masks)
        return [{"network": 0}]

    globals()["names"] = names
    play(probes=[f"{HERE}:names"])
    assert list(found) == ["1.weight", "3.weight"]
