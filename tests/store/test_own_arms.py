"""Arms with masks of their own, and with pruned weights that are not 0: written, read back, verified."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from resealed import write_sealed

import tickets
from tickets.store import Committed, Layout, append_event, read_networks, read_trained, verify, wanted_arms, write_round
from tickets.store.arrays import decode

MINE = {"name": "mine", "mask": "my.rules:f", "values": "my.rules:g"}
FROZEN = {"name": "held", "values": "my.rules:g", "pruned": "initial"}
PLACES = {"name": "random_mask", "label": "places", "pruned": "initial"}
OWN = frozenset({"mine", "places"})
PRUNED = {"held": "initial", "places": "initial"}


def moved(mask):
    """As many weights in all, one more in the first tensor and one less in the second."""
    mask = {name: kept.copy() for name, kept in mask.items()}
    mask["1.weight"].flat[np.flatnonzero(~mask["1.weight"])[0]] = True
    mask["3.weight"].flat[np.flatnonzero(mask["3.weight"])[0]] = False
    return mask


def record(example, run, number, masks=moved):
    made = example.record(run, [0, 1], number, 0, wanted_arms(run))
    arms = []
    for arm in made.arms:
        mask = masks(arm.mask) if arm.arm == "mine" and number else arm.mask
        whole = {name: value + np.float32(1) for name, value in arm.initial.items()}  # whatever the pruned weights are
        kept = {"initial": whole, "trained": {n: 2 * v for n, v in whole.items()}} if arm.arm in PRUNED else {}
        arms.append(dataclasses.replace(arm, mask=mask, **kept))
    names = {"places": "random_mask"}
    return dataclasses.replace(made, arms=arms, own_masks=OWN, pruned=PRUNED, names=names)


@pytest.fixture
def run(example):
    return example.config(arms=["ticket", MINE, FROZEN, PLACES], store={"trained": "all"}, rounds=1)


@pytest.fixture
def saved_run(example, tmp_path, run):
    folder = example.write(tmp_path / example.run_id, run.model_copy(update={"rounds": -1}))  # no round yet
    for number in (0, 1):
        write_round(folder / "cohort-000", record(example, run, number))
    path = folder / "run.json"
    write_sealed(path, {**json.loads(path.read_bytes()), "config": run.model_dump(mode="json")})
    for number in (0, 1):
        append_event(folder / "log.jsonl", {"event": "round", "cohort": 0, "round": number, "part": 0})
    return folder


def rewritten(folder, change):
    manifest = json.loads((folder / "manifest.json").read_bytes())
    change(manifest)
    write_sealed(folder / "manifest.json", manifest)


def test_own_masks_are_in_the_masks_file_and_the_manifest_says_what_arms_are(saved_run):
    folder = saved_run / "cohort-000" / "round-001"
    owners = {key.split("/")[1] for key in decode((folder / "masks.safetensors").read_bytes())}
    assert owners == {"ticket", "mine", "places"}
    assert json.loads((folder / "manifest.json").read_bytes())["arms"] == [
        {"arm": "ticket", "draw": 0},
        {"arm": "mine", "draw": 0, "own_mask": True},
        {"arm": "held", "draw": 0, "pruned": "initial"},
        {"arm": "places", "draw": 0, "name": "random_mask", "pruned": "initial"},
    ]


def test_they_verify_and_come_back(saved_run, example):
    assert verify(saved_run) == []
    saved = tickets.load(saved_run)
    ticket, mine = saved.ticket(1, 1), saved.arm("mine", 1, 1)
    assert [int(mask.sum()) for mask in ticket.mask.values()] == [9, 7]
    assert [int(mask.sum()) for mask in mine.mask.values()] == [10, 6]
    assert mine.density == ticket.density == 0.8
    assert mine.pruned == "zero"
    assert all((mine.values[name][~mask] == 0).all() for name, mask in mine.mask.items())


@pytest.mark.parametrize("label", ["held", "places"])
def test_pruned_weights_are_read_from_the_initial_values(saved_run, example, label):
    found, theta0 = tickets.load(saved_run).arm(label, 1, 1), example.theta0(1)
    assert found.pruned == "initial"
    for name, mask in found.mask.items():
        for values in (found.values[name], found.trained[name]):
            assert values[~mask].tobytes() == theta0[name][~mask].tobytes()
        np.testing.assert_array_equal(found.trained[name][mask], 2 * found.values[name][mask])
        found.values[name][:] = 7  # the caller's own
    assert tickets.load(saved_run).arm(label, 1, 1).values["1.weight"].max() < 7


@pytest.mark.parametrize("label", ["held", "places", "mine"])
def test_the_networks_of_a_round_are_those_that_are_loaded_one_by_one(saved_run, label):
    found = [network for network in read_networks(saved_run / "cohort-000", 1) if network.arm == label]
    assert [network.replicate for network in found] == [0, 1]
    for network in found:
        one = tickets.load(saved_run).arm(label, network.replicate, 1)
        for name in one.values:
            np.testing.assert_array_equal(network.initial[name], one.values[name])
            np.testing.assert_array_equal(network.trained[name], one.trained[name])
            if name in one.mask:
                np.testing.assert_array_equal(network.mask[name], one.mask[name])


def test_a_mask_with_another_number_of_weights_is_neither_written_nor_good(saved_run, example, run):
    def fewer(mask):
        return {name: kept & (np.arange(kept.size).reshape(kept.shape) > 2) for name, kept in mask.items()}

    with pytest.raises(ValueError, match="the mask of arm 'mine', replicate 0, is not of this round"):
        write_round(saved_run / "cohort-001", record(example, run, 1, fewer))
    rewritten(saved_run / "cohort-000" / "round-001", lambda manifest: manifest["arms"][1].pop("own_mask"))
    assert {problem.what for problem in verify(saved_run)} >= {
        "holds replicate 0, arm 'mine', draw 0 and 1 more, which does not belong here"
    }


def test_a_random_mask_must_have_the_rounds_count_in_each_tensor(saved_run, example, run):
    made = record(example, run, 1)
    arms = [dataclasses.replace(arm, mask=moved(arm.mask)) if arm.arm == "places" else arm for arm in made.arms]
    with pytest.raises(ValueError, match="the mask of arm 'places', replicate 0, is not of this round"):
        write_round(saved_run / "cohort-001", dataclasses.replace(made, arms=arms))


def test_pruned_weights_that_are_nothing_known_are_said(saved_run):
    rewritten(saved_run / "cohort-000" / "round-001", lambda manifest: manifest["arms"][2].update(pruned="mean"))
    (problem,) = verify(saved_run)
    assert problem.what == "arm 'held': pruned = 'mean' is not one of zero, initial, zero_if_shrunk"


def test_trained_values_are_whole_and_say_where_they_lack(saved_run, example):
    folder = saved_run / "cohort-000" / "round-001"
    found, ticket = read_trained(Committed(), folder, 1), tickets.load(saved_run).ticket(1, 1)
    assert list(found) == list(ticket.trained)
    assert all(np.array_equal(found[name], value) for name, value in ticket.trained.items())
    run = example.config(arms=["ticket"], store={"trained": "none"})
    other = example.write(saved_run.parent / "none", run) / "cohort-000" / "round-000"
    with pytest.raises(tickets.InputError, match=r'round-000: has no trained\.safetensors.*store\.trained = "ticket"'):
        read_trained(Committed(), other, 0)


def test_a_damaged_initial_file_is_not_used(saved_run):
    path = saved_run / "cohort-000" / "initial" / Layout.VALUES
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(tickets.InputError, match=r"initial/values\.safetensors: SHA-256"):
        tickets.load(saved_run).arm("held", 0, 1)
    tickets.load(saved_run).arm("mine", 0, 1)
