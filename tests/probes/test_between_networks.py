"""Probes that compare networks, in a campaign: against what it saved and plain PyTorch."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor
from torch.nn import functional

import tickets
from tickets.data import load_dataset, split
from tickets.errors import InputError
from tickets.store import verify

PROBES = ["connectivity", "overlap", "early_bird", "predictions"]
POINTS = 5
GIVEN = [{"name": "connectivity", "points": POINTS}, "overlap", {"name": "early_bird", "last": 2}, "predictions"]


@pytest.fixture(scope="module", autouse=True)
def single_thread() -> Iterator[None]:
    """Networks this small only wait for the threads, long on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def grown(single_thread, campaign_file):
    """grown(folder, **changes): two rounds of two replicates; random_mask was added when they had been trained."""

    def run(there, **changes):
        given = {
            "model": {"name": "mlp", "widths": [4]}, "rounds": 2, "prune": {"rate": 0.5}, "rewind": {"step": 5},
            "train": {"steps": 30, "evaluate_every": 5}, "store": {"trained": "all"}, **changes,
        }  # fmt: skip
        for arms in (["ticket", "reorder"], ["ticket", "reorder", "random_mask"]):
            tickets.run(campaign_file(there, arms=arms, **given), out=there / "saved")
        assert verify(there / "saved") == []
        return tickets.load(there / "saved")

    return run


@pytest.fixture(scope="module")
def saved(grown, tmp_path_factory):
    return grown(tmp_path_factory.mktemp("between"), probes=GIVEN)


def test_what_is_measured_after_the_fact_is_the_same(saved, grown, tmp_path):
    grown(tmp_path)
    after = tickets.probe(tmp_path / "saved", [name for name in GIVEN if "early_bird" not in str(name)])
    assert verify(tmp_path / "saved") == []
    for name in ("connectivity", "overlap", "predictions"):
        pd.testing.assert_frame_equal(after.probe(name), saved.probe(name), check_exact=True)
    with pytest.raises(InputError, match="probe 'early_bird': needs the networks at every evaluated step"):
        tickets.probe(tmp_path / "saved", "early_bird")


def held_out():
    examples = split(load_dataset({}, "digits", None), 200)
    return examples.test_inputs, examples.test_labels


def end(saved, number: int, replicate: int, arm: str = "ticket") -> dict[str, Tensor]:
    return {name: torch.from_numpy(value) for name, value in saved.arm(arm, replicate, number).trained.items()}


def outputs(values: dict[str, Tensor]) -> Tensor:
    x, _ = held_out()
    hidden = torch.relu(functional.linear(x.flatten(1), values["1.weight"], values["1.bias"]))
    return functional.linear(hidden, values["3.weight"], values["3.bias"])


def row(table: pd.DataFrame, **where) -> pd.Series:
    for name, value in where.items():
        table = table[table[name] == value]
    assert len(table) == 1
    return table.iloc[0]


def test_every_pair_has_a_row(saved):
    counts = {
        name: saved.probe(name).drop_duplicates(["round", "replicate", "arm", "between", "with_replicate"])
        .groupby(["between", "round", "arm"]).size().to_dict()
        for name in ("connectivity", "overlap", "predictions")
    }  # fmt: skip
    later = [(number, arm) for number in (1, 2) for arm in ("random_mask", "reorder", "ticket")]
    assert counts["connectivity"] == {
        **{("dense", *one): 2 for one in later},
        **{("order", number, "reorder"): 2 for number in (0, 1, 2)},
        **{("rounds", number, "ticket"): 2 for number in (1, 2)},
    }
    masks = [(number, arm) for number in (0, 1, 2) for arm in ("random_mask", "ticket")]
    assert counts["overlap"] == {
        **{("arms", number, "random_mask"): 2 for number in (0, 1, 2)},
        **{("replicates", *one): 1 for one in masks},
        **{("rounds", *one): 2 for one in masks if one[0]},
    }
    assert counts["predictions"] == {
        **{("arms", number, arm): 2 for number in (0, 1, 2) for arm in ("random_mask", "reorder")},
        **{("dense", *one): 2 for one in later},
        **{("replicates", number, arm): 1 for number in (0, 1, 2) for arm in ("random_mask", "reorder", "ticket")},
    }


@pytest.mark.parametrize(
    ("between", "arm", "other"),
    [("order", "reorder", (2, "ticket")), ("rounds", "ticket", (1, "ticket")), ("dense", "random_mask", (0, "ticket"))],
)
def test_barriers_are_those_of_a_plain_loop(saved, between, arm, other):
    found = row(saved.probe("connectivity"), between=between, round=2, replicate=1, arm=arm)
    one, two = end(saved, 2, 1, arm), end(saved, other[0], 1, other[1])
    _, labels = held_out()
    path = [outputs({name: torch.lerp(one[name], two[name], at / 4) for name in one}) for at in range(POINTS)]
    errors = [float((found.argmax(1) != labels).double().mean()) for found in path]
    losses = [float(functional.cross_entropy(found, labels)) for found in path]
    assert found["barrier"] == pytest.approx(max(errors) - (errors[0] + errors[-1]) / 2, abs=1e-12)
    assert found["loss_barrier"] == pytest.approx(max(losses) - (losses[0] + losses[-1]) / 2, abs=1e-6)
    assert (found["end"], found["with_end"]) == pytest.approx((errors[0], errors[-1]), abs=1e-12)
    assert (found["with_round"], found["with_arm"], found["with_replicate"]) == (*other, 1)
    assert found["stable"] == float(found["barrier"] < 0.02)
    finals = row(saved.rounds, round=2, replicate=1, arm=arm)["final_test_accuracy"]
    assert found["end"] == pytest.approx(1 - finals, abs=1e-12)


def test_overlaps_are_those_of_the_saved_masks(saved):
    for between, arm, other in (
        ("replicates", "ticket", ("ticket", 1, 2)),
        ("arms", "random_mask", ("ticket", 0, 2)),
        ("rounds", "random_mask", ("random_mask", 0, 1)),
    ):
        one, two = saved.arm(arm, 0, 2).mask, saved.arm(*other).mask
        for tensor, names in (("all", list(one)), ("3.weight", ["3.weight"])):
            a, b = (np.concatenate([masks[name].ravel() for name in names]) for masks in (one, two))
            found = row(saved.probe("overlap"), between=between, round=2, replicate=0, arm=arm, tensor=tensor)
            assert found["jaccard"] == (a & b).sum() / (a | b).sum()
            assert (found["weights"], found["kept"], found["with_kept"]) == (len(a), a.sum(), b.sum())


def test_predictions_are_those_of_the_saved_networks(saved):
    for between, arm, other in (
        ("replicates", "reorder", (2, 1, "reorder")),
        ("arms", "random_mask", (2, 0, "ticket")),
        ("dense", "ticket", (0, 0, "ticket")),
    ):
        found = row(saved.probe("predictions"), between=between, round=2, replicate=0, arm=arm)
        one, two = outputs(end(saved, 2, 0, arm)), outputs(end(saved, *other))
        assert found["disagreement"] == float((one.argmax(1) != two.argmax(1)).double().mean())
        p, q = one.double().softmax(1), two.double().softmax(1)
        assert found["kl"] == pytest.approx(float((p * (p / q).log()).sum(1).mean()), rel=1e-5)
        labels = held_out()[1]
        assert found["ensemble_accuracy"] == float(((p + q).argmax(1) == labels).double().mean())


def test_the_last_mask_of_a_round_is_that_of_the_next_one(saved):
    table = saved.probe("early_bird")
    assert set(table["arm"]) == {"ticket"}
    assert table.groupby(["replicate", "round"])["step"].apply(list).tolist() == [
        [0, 5, 10, 15, 20, 25, 30], *[[5, 10, 15, 20, 25, 30]] * 2,
    ] * 2  # fmt: skip
    assert table.groupby(["replicate", "round"])["distance"].apply(lambda found: found.isna().sum()).eq(1).all()
    # At the rewind step the mask that pruning would give is that of the values that the round starts from.
    start, after = saved.ticket(0, 1), saved.ticket(0, 2)
    kept = {name: start.mask[name] for name in ("1.weight", "3.weight")}
    first = {name: _half(np.abs(start.values[name]), mask) for name, mask in kept.items()}
    assert all((after.mask[name] & ~kept[name]).sum() == 0 for name in kept)
    differing = sum((first[name] != after.mask[name]).sum() for name in kept)
    bound = sum(table.query("replicate == 0 and round == 1")["distance"].iloc[1:]) * sum(m.sum() for m in kept.values())
    assert 0 < differing <= round(bound), "the way from the first mask to the last is no shorter than their distance"
    last = table.query("replicate == 0 and round == 1 and step == 30").iloc[0]
    largest = table.query("replicate == 0 and round == 1")["distance"].iloc[-2:].max()
    assert last["largest"] == largest
    by_chance = sum(
        2 * m.sum() * (k.sum() - m.sum()) / k.sum() for k, m in zip(kept.values(), first.values(), strict=True)
    )
    assert last["by_chance"] == pytest.approx(by_chance / sum(k.sum() for k in kept.values()), rel=1e-12)


def _half(scores: np.ndarray, alive: np.ndarray) -> np.ndarray:
    """The larger half of what is alive."""
    ranked = sorted(np.flatnonzero(alive), key=lambda place: (scores.ravel()[place], -place))
    mask = np.zeros(alive.size, bool)
    mask[ranked[round(0.5 * len(ranked)) :]] = True
    return mask.reshape(alive.shape)


def test_networks_that_diverged_have_nan(campaign_file, tmp_path):
    train = {"learning_rate": 1e30, "optimizer": "sgd", "steps": 4, "evaluate_every": 2}
    file = campaign_file(tmp_path, rounds=1, arms=["ticket", "reorder"], train=train, probes=PROBES)
    saved = tickets.run(file, out=tmp_path / "saved")
    assert saved.rounds["diverged"].all()
    assert saved.probe("connectivity")["barrier"].isna().all()
    assert saved.probe("predictions")[["disagreement", "kl", "ensemble_gain"]].isna().all(axis=None)
    assert saved.probe("early_bird")["distance"].isna().all()
    assert saved.probe("overlap")["jaccard"].between(0, 1).all()


def test_a_regression_has_losses_and_r2(campaign_file, tmp_path, module):
    name = module(
        "numbers",
        "import torch\n"
        "def data():\n"
        "    x = torch.linspace(-1, 1, 120)[torch.randperm(120, generator=torch.Generator().manual_seed(0))][:, None]\n"
        "    return x[:90], x[:90] ** 2, x[90:], x[90:] ** 2\n",
    )
    file = campaign_file(
        tmp_path, rounds=1, arms=["ticket", "reorder"], train={"loss": "mse", "batch_size": 20},
        data={"name": f"{name}:data", "validation": 20}, probes=PROBES, store={"trained": "ticket"},
    )  # fmt: skip
    saved = tickets.run(file, out=tmp_path / "saved")
    table = saved.probe("connectivity")
    assert set(table["metric"]) == {"loss"}
    assert (table["barrier"] == table["loss_barrier"]).all()
    assert table["barrier"].ge(0).all()
    assert table["stable"].isna().all()
    found = row(saved.probe("predictions"), between="dense", round=1, replicate=0, arm="reorder")
    assert found["accuracy"] == pytest.approx(
        row(saved.rounds, round=1, replicate=0, arm="reorder")["final_test_accuracy"], rel=1e-6
    )
    assert found["squared_difference"] > 0
    assert math.isnan(found["disagreement"])
