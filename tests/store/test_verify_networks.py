"""Networks that verify finds wrong in files that fit their manifest: counts, densities, masks and values."""

from __future__ import annotations

import json

import numpy as np
import pytest
from damaged_runs import change_arrays, rehash, told


def test_a_wrong_count_of_survivors_is_found(campaign, cohort):
    manifest = json.loads((cohort / "round-002" / "manifest.json").read_text())
    manifest["surviving"]["1"]["3.weight"] -= 1
    rehash(cohort / "round-002", surviving=manifest["surviving"])
    assert told(campaign) == [
        (
            "round-002/masks.safetensors",
            "replicate 1: {'1.weight': 6, '3.weight': 6} survive, but the manifest says {'1.weight': 6, '3.weight': 5}",
        )
    ]


def test_a_wrong_density_is_found(campaign, cohort):
    rehash(cohort / "round-002", density={"0": 0.6, "1": 0.61})
    text = "replicate 1: density 0.6, but the manifest says 0.61"
    assert told(campaign)[0] == ("round-002/masks.safetensors", text)


@pytest.mark.parametrize("name", ["initial", "rewind"])
def test_values_of_other_replicates_are_found(campaign, cohort, name):
    def change(arrays):
        for key in [key for key in arrays if key.startswith("1/")]:
            del arrays[key]

    change_arrays(cohort / name, "values.safetensors", change)
    assert told(campaign)[0] == (f"{name}/values.safetensors", "replicates [0], not [0, 1]")


def set_bit(key, index):
    def change(arrays):
        arrays[key][index // 8] ^= np.uint8(1 << (index % 8))

    return change


def first_of(mask, value):
    return int(np.flatnonzero(mask.ravel() == value)[0])


def test_masks_that_are_not_nested_are_found(campaign, cohort, example):
    mask = example.mask(0, 2)["1.weight"]
    pruned_before = first_of(example.mask(0, 1)["1.weight"], False)
    for index in (pruned_before, first_of(mask, True)):  # as many as before, so the counts are right
        change_arrays(cohort / "round-002", "masks.safetensors", set_bit("0/ticket/1.weight", index))
    found = dict.fromkeys(told(campaign))
    assert (
        "round-002/masks.safetensors",
        "replicate 0: 1 weights of 1.weight that were pruned before are back",
    ) in found
    follows = "replicate 0: the mask of 1.weight is not that of the round before's next_masks.safetensors"
    assert ("round-002/masks.safetensors", follows) in found
    moved = "replicate 0: the ticket's 1.weight is not what it starts from, where its mask keeps"
    assert ("round-002/weights.safetensors", moved) in found


def test_a_random_mask_with_another_count_is_found(campaign, cohort, example):
    mask = example.arm(example.config(), 1, 1, "random_mask", 0).mask["3.weight"]
    change_arrays(cohort / "round-001", "masks.safetensors", set_bit("1/random_mask/3.weight", first_of(mask, True)))
    network = "replicate 1, arm 'random_mask', draw 0"
    survive = "{'1.weight': 9, '3.weight': 6} survive, but the round's mask has other counts"
    lengths = f"{network}: 3.weight is (7,), but must be (6,)"
    assert told(campaign) == [
        ("round-001/masks.safetensors", f"{network}: {survive}"),
        ("round-001/weights.safetensors", lengths),
        ("round-001/trained.safetensors", lengths),
    ]


def test_bits_past_the_end_of_a_mask_are_found(campaign, cohort):
    change_arrays(cohort / "round-001", "masks.safetensors", set_bit("1/ticket/1.weight", 13))
    assert any("bits set past its 12 entries" in what for _, what in told(campaign))


def test_a_ticket_at_other_values_than_the_rewound_ones_is_found(campaign, cohort):
    def change(arrays):
        arrays["1/ticket/1.weight"].view(np.uint32)[2] ^= 1  # the last bit of one weight
        arrays["0/ticket/3.bias"].view(np.uint32)[0] ^= 1

    for number in (0, 2):  # round 0 starts from the initial values, later ones from the rewound
        change_arrays(cohort / f"round-00{number}", "weights.safetensors", change)
    text = "replicate {}: the ticket's {} is not what it starts from, where its mask keeps"
    assert told(campaign) == [
        (f"round-00{number}/weights.safetensors", text.format(*which))
        for number in (0, 2)
        for which in ((0, "3.bias"), (1, "1.weight"))
    ]


@pytest.mark.parametrize("name", ["weights.safetensors", "trained.safetensors"])
def test_values_of_another_number_missing_ones_and_strangers_are_found(campaign, cohort, name):
    def change(arrays):
        arrays["0/constant/1.weight"] = arrays["0/constant/1.weight"][:-1]
        del arrays["1/random_mask/3.bias"]
        arrays["1/shuffle/1.weight"] = np.zeros(6, np.float32)

    change_arrays(cohort / "round-002", name, change)
    found = {what for path, what in told(campaign) if path == f"round-002/{name}"}
    assert {
        "replicate 0, arm 'constant', draw 0: 1.weight is (5,), but must be (6,)",
        "replicate 1, arm 'random_mask', draw 0: 3.bias is missing, but must be (2,)",
        "holds replicate 1, arm 'shuffle', draw 0, which does not belong here",
    } <= found


def test_a_network_that_is_missing_is_found(campaign, cohort):
    def change(arrays):
        for key in [key for key in arrays if key.startswith("1/reinit.draw1/")]:
            del arrays[key]

    change_arrays(cohort / "round-000", "weights.safetensors", change)
    assert told(campaign) == [("round-000/weights.safetensors", "lacks replicate 1, arm 'reinit', draw 1")]


def test_next_masks_that_the_next_round_did_not_start_from_are_found(campaign, cohort, example):
    index = first_of(example.mask(0, 1)["1.weight"], True)
    change_arrays(cohort / "round-000", "next_masks.safetensors", set_bit("0/ticket/1.weight", index))
    text = "replicate 0: the mask of 1.weight is not that of the round before's next_masks.safetensors"
    assert told(campaign) == [("round-001/masks.safetensors", text)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda states: states.update({"1/1.weight/exp_avg": states["1/1.weight/exp_avg"].T}),
         "replicate 1: 1.weight/exp_avg is (3, 4), but must be (4, 3)"),
        (lambda states: states.update({"1/1.weight/exp_avg": states["1/1.weight/exp_avg"].astype(int)}),
         "replicate 1: 1.weight/exp_avg is (4, 3) of int64, but must be (4, 3)"),
        (lambda states: states.update({"1/1.weight/step": np.zeros(2, np.float32)}),
         "replicate 1: 1.weight/step is (2,), but must be ()"),
        (lambda states: states.update({"0/5.weight/exp_avg": np.zeros(2, np.float32)}),
         "replicate 0: 5.weight/exp_avg is of no parameter"),
        (lambda states: states.update({"0/1.weight/exp_avg_sq2": states.pop("0/1.weight/exp_avg_sq")}),
         "replicate 0: 1.weight has the states ['exp_avg', 'exp_avg_sq2', 'step'], but must have ['exp_avg', "
         "'exp_avg_sq', 'step']"),
        (lambda states: [states.pop(key) for key in list(states) if key.startswith("1/")],
         "has states of replicates [0], must have those of [0, 1]"),
    ],
)  # fmt: skip
def test_optimizer_states_that_are_not_those_of_the_values_are_found(campaign, cohort, change, message):
    change_arrays(cohort / "rewind", "optimizer.safetensors", change)
    assert told(campaign)[0] == ("rewind/optimizer.safetensors", message)
