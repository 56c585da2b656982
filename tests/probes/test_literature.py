"""Eight probes of the literature, each one small function, against what is saved and plain PyTorch."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

import tickets
from tickets.data import load_dataset, split
from tickets.pruning import Budget, prune
from tickets.store import verify

NAMES = (
    "connectivity",
    "overlap",
    "early_bird",
    "predictions",
    "signs",
    "structure",
    "gradients",
    "sharpness",
)
PROBES = [f"literature_probes:{name}" for name in NAMES]
KEY = ["run", "replicate", "round", "density", "arm", "draw"]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Networks this small only wait for the threads, long on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def folder(one_thread, tmp_path_factory, campaign_file):
    there = tmp_path_factory.mktemp("literature")
    file = campaign_file(
        there,
        model={"name": "mlp", "widths": [3]},
        arms=["ticket", "random_mask"],
        probes=PROBES,
        store={"trained": "all"},
        rounds=1,
        prune={"rate": 0.5},
    )
    tickets.run(file, out=there / "saved")
    return there / "saved"


@pytest.fixture(scope="module")
def saved(folder):
    return tickets.load(folder)


def examples():
    return split(load_dataset({}, "digits", None), 200)


def ends(saved, replicate: int, round: int, arm: str = "ticket") -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(value) for name, value in saved.arm(arm, replicate, round).trained.items()}


def outputs(values: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    hidden = torch.relu(functional.linear(x.flatten(1), values["1.weight"], values["1.bias"]))
    return functional.linear(hidden, values["3.weight"], values["3.bias"])


def row(table, **where):
    for name, value in where.items():
        table = table[table[name] == value]
    assert len(table) == 1
    return table.iloc[0]


def test_every_probe_has_a_table_that_verifies(folder, saved):
    assert sorted(saved.probes) == sorted(NAMES)
    assert set(map(tuple, saved.probes.values())) == {tuple(saved.runs)}
    for name in NAMES:
        table = saved.probe(name)
        assert list(table.columns[:6]) == KEY
        assert ("step" in table) == (name in ("early_bird", "signs", "gradients"))
        assert sorted(table["round"].unique()) == [0, 1]
    assert verify(folder) == []


def test_connectivity_to_the_dense_ticket(saved):
    table = saved.probe("connectivity")
    assert table.loc[table["round"] == 0, "barrier"].isna().all(), "nothing is committed before round 0"
    x, y = examples().test_inputs, examples().test_labels
    one, two = ends(saved, 1, 1), ends(saved, 1, 0)
    path = [{name: torch.lerp(one[name], two[name], at / 4) for name in one} for at in range(5)]
    errors = [float((outputs(values, x).argmax(1) != y).double().mean()) for values in path]
    expected = max(errors) - (errors[0] + errors[-1]) / 2
    assert row(table, round=1, replicate=1, arm="ticket")["barrier"] == pytest.approx(expected, abs=1e-12)


def test_overlap_of_two_masks(saved):
    found = row(saved.probe("overlap"), round=1, replicate=0, arm="ticket", with_replicate=1, with_arm="random_mask")
    one, two = (
        np.concatenate([mask.ravel() for mask in saved.arm(arm, replicate, 1).mask.values()])
        for arm, replicate in (("ticket", 0), ("random_mask", 1))
    )
    assert found["jaccard"] == pytest.approx((one & two).sum() / (one | two).sum(), rel=1e-6)
    assert found["by_chance"] == found["density"] / (2 - found["density"])


def test_early_bird_sees_the_masks_that_pruning_would_give(saved):
    table = saved.probe("early_bird")
    assert (
        table.groupby(["replicate", "round", "arm"])["distance"]
        .apply(lambda found: found.isna().tolist())
        .map(lambda missing: missing == [True, False, False])
        .all()
    )
    # At the first and the last of the steps 0, 10, 20: the mask that the next round has is the last one.
    initial, trained = (
        {name: torch.from_numpy(value) for name, value in values.items()}
        for values in (saved.ticket(0, 0).values, saved.ticket(0, 0).trained)
    )
    alive = {name: torch.ones_like(initial[name], dtype=torch.bool) for name in ("1.weight", "3.weight")}

    def mask(values):
        return prune(
            {name: values[name].abs() for name in alive}, alive, Budget.after_rates(alive, dict.fromkeys(alive, 0.5))
        )

    first, last = mask(initial), mask(trained)
    assert all(torch.equal(last[name], torch.from_numpy(found)) for name, found in saved.ticket(0, 1).mask.items())
    apart = sum(int((first[name] != last[name]).sum()) for name in alive) / sum(map(torch.numel, alive.values()))
    assert row(table, round=0, replicate=0, arm="ticket", step=20)["distance"] >= apart > 0


def test_predictions_of_two_networks(saved):
    found = row(saved.probe("predictions"), round=0, replicate=0, arm="ticket", with_replicate=1, with_arm="ticket")
    one, two = (outputs(ends(saved, replicate, 0), examples().test_inputs).argmax(1) for replicate in (0, 1))
    assert found["disagree"] == float((one != two).double().mean())


def test_signs_at_the_start_and_the_end(saved):
    table = saved.probe("signs")
    assert table.loc[table["step"] == 0, "flipped"].eq(0).all()
    assert table.loc[table["round"] == 0, "as_dense"].isna().all()
    ticket = saved.ticket(0, 1)
    kept = {name: torch.from_numpy(mask) for name, mask in ticket.mask.items()}
    pairs = [
        (ends(saved, 0, 1)[name][mask], torch.from_numpy(ticket.values[name])[mask], ends(saved, 0, 0)[name][mask])
        for name, mask in kept.items()
    ]
    now, first, dense = (torch.cat(parts).sign() for parts in zip(*pairs, strict=True))
    found = row(table, round=1, replicate=0, arm="ticket", step=20)
    assert (found["flipped"], found["as_dense"]) == tuple(
        float(x.double().mean()) for x in (now != first, now == dense)
    )


def test_structure_counts_what_each_unit_has_left(saved):
    table = saved.probe("structure")
    own = table[(table["round"] == 1) & (table["replicate"] == 1) & (table["arm"] == "random_mask")]
    for name, mask in saved.arm("random_mask", 1, 1).mask.items():
        assert own.loc[own["layer"] == name, "left"].tolist() == mask.sum(1).tolist()


def test_gradients_by_plain_autograd(saved):
    table, data = saved.probe("gradients"), examples()
    module = saved.ticket(0, 1).build()
    functional.cross_entropy(module(data.train_inputs[:50]), data.train_labels[:50]).backward()
    squares = [
        (module.get_parameter(name).grad.double()[torch.from_numpy(mask)] ** 2).sum()
        for name, mask in saved.ticket(0, 1).mask.items()
    ]
    found = row(table, round=1, replicate=0, arm="ticket", step=0)["norm"]
    assert found == pytest.approx(math.sqrt(sum(squares)), rel=1e-5)


def test_sharpness_is_the_largest_eigenvalue_of_the_whole_hessian(saved):
    data, values = examples(), ends(saved, 0, 0)
    sizes = {name: value.numel() for name, value in values.items()}

    def loss(flat):
        parts = dict(zip(values, flat.split(list(sizes.values())), strict=True))
        whole = {name: part.view_as(values[name]) for name, part in parts.items()}
        return functional.cross_entropy(outputs(whole, data.train_inputs[:50]), data.train_labels[:50])

    hessian = torch.autograd.functional.hessian(loss, torch.cat([value.flatten() for value in values.values()]))
    found = row(saved.probe("sharpness"), round=0, replicate=0, arm="ticket")["largest"]
    assert found == pytest.approx(float(torch.linalg.eigvalsh(hessian).max()), rel=1e-2)
