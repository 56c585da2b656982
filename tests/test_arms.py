"""Each arm's values and places, by hand on tiny tensors."""

import re
from dataclasses import replace

import pytest
import torch

from tickets.arms import (
    Origin,
    apply_rules,
    constant,
    fresh_draw,
    random_mask,
    random_sign_constant,
    rewound,
    round_mask,
    shuffled,
    sign_constant,
)
from tickets.binding import resolve
from tickets.catalogue import ARMS
from tickets.errors import InputError

WEIGHT = torch.tensor([[1.0, -2.0, 3.0], [-4.0, 5.0, -6.0]])
MEAN = torch.tensor([7.0])
MASK = {"w.weight": torch.tensor([[True, False, True], [True, True, False]])}
THETA0 = {"w.weight": WEIGHT, "w.bias": torch.tensor([0.1, 0.2]), "mean": MEAN}
REWOUND = {"w.weight": WEIGHT * 10, "w.bias": torch.tensor([0.3, 0.4]), "mean": torch.tensor([8.0])}


def fresh(seed):
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(value.shape, generator=generator) for name, value in THETA0.items()}


def origin():
    seeds = {"random_mask": 11, "fresh_draw": 12, "shuffle": 13, "random_sign": 14}
    return Origin(MASK, THETA0, REWOUND, frozenset({"w.bias"}), fresh, seeds.__getitem__)


@pytest.fixture(autouse=True)
def nothing_given_is_changed():
    before = {name: value.clone() for name, value in {**THETA0, "mask": MASK["w.weight"]}.items()}
    yield
    assert all(torch.equal(before[name], value) for name, value in {**THETA0, "mask": MASK["w.weight"]}.items())
    assert torch.equal(REWOUND["w.weight"], WEIGHT * 10)


def test_every_arm_of_the_table_has_its_two_rules():
    assert set(ARMS) == {
        "ticket", "reinit", "shuffle", "constant", "sign_constant", "random_sign_constant", "random_mask",
        "random_mask_reinit", "reorder", "repeat",
    }  # fmt: skip
    for entry in ARMS.values():
        mask = resolve(entry.mask)(origin())
        values = resolve(entry.values)(origin(), mask)
        assert set(values) == set(THETA0)
        assert all(values[name].shape == THETA0[name].shape for name in THETA0)


def test_round_mask_and_rewound_values_are_what_they_are():
    assert torch.equal(round_mask(origin())["w.weight"], MASK["w.weight"])
    assert all(torch.equal(rewound(origin(), MASK)[name], REWOUND[name]) for name in REWOUND)


def test_reinit_is_a_draw_from_the_models_own_distribution_and_not_a_shuffle():
    drawn = fresh_draw(origin(), MASK)
    assert all(torch.equal(drawn[name], fresh(12)[name]) for name in drawn)
    assert not set(drawn["w.weight"].flatten().tolist()) & set(REWOUND["w.weight"].flatten().tolist())


def test_shuffle_permutes_the_survivors_within_their_tensor():
    values = shuffled(origin(), MASK)
    kept = MASK["w.weight"]
    assert sorted(values["w.weight"][kept].tolist()) == sorted(REWOUND["w.weight"][kept].tolist())
    assert torch.equal(values["w.bias"], REWOUND["w.bias"])
    orders = set()
    for seed in range(200):
        moved = Origin(MASK, THETA0, REWOUND, frozenset(), fresh, lambda purpose, seed=seed: seed)
        orders.add(tuple(shuffled(moved, MASK)["w.weight"][kept].tolist()))
    assert len(orders) == 24, "every order of four survivors turns up"


def test_constant_is_one_number_with_biases_zero_and_the_rest_as_the_initialiser_gave_it():
    values = constant(origin(), MASK, value=0.25)
    assert torch.equal(values["w.weight"], torch.full((2, 3), 0.25))
    assert torch.equal(values["w.bias"], torch.zeros(2))
    assert torch.equal(values["mean"], THETA0["mean"])


def test_sign_constant_is_the_sign_times_the_standard_deviation_of_dense_theta0():
    size = (91 / 6 - (-0.5) ** 2) ** 0.5  # mean -0.5, mean square 91 / 6, over all six weights
    values = sign_constant(origin(), MASK)
    torch.testing.assert_close(values["w.weight"], torch.tensor([[1.0, -1, 1], [-1, 1, -1]]) * size)
    assert torch.equal(values["w.bias"], THETA0["w.bias"])


def test_random_sign_constant_has_the_same_sizes_and_its_own_signs():
    values = random_sign_constant(origin(), MASK)["w.weight"]
    assert torch.equal(values.abs(), sign_constant(origin(), MASK)["w.weight"].abs())
    signs = set()
    for seed in range(300):
        drawn = Origin(MASK, THETA0, REWOUND, frozenset(), fresh, lambda purpose, seed=seed: seed)
        signs.add(tuple(random_sign_constant(drawn, MASK)["w.weight"].sign().flatten().tolist()))
    assert len(signs) > 55, "nearly all of the 64 patterns of six signs turn up"


def test_random_mask_starts_from_unmasked_values():
    # The trap: values already masked would be zero at the places that the round's mask had removed.
    for seed in range(50):
        there = Origin(MASK, THETA0, REWOUND, frozenset(), fresh, lambda purpose, seed=seed: seed)
        places = random_mask(there)["w.weight"]
        assert int(places.sum()) == 4
        assert (rewound(there, {"w.weight": places})["w.weight"][places] != 0).all()


# The biases of constant starts.


@pytest.mark.parametrize("rule", [constant, sign_constant, random_sign_constant])
def test_biases_are_zero_or_the_models_as_the_arm_says(rule):
    usual = rule(origin(), MASK)
    zero, own = (rule(origin(), MASK, biases=biases) for biases in ("zeros", "model"))
    assert torch.equal(zero["w.bias"], torch.zeros(2))
    assert torch.equal(own["w.bias"], THETA0["w.bias"])
    assert torch.equal(usual["w.bias"], (zero if rule is constant else own)["w.bias"])
    assert torch.equal(zero["w.weight"], own["w.weight"])
    assert torch.equal(zero["mean"], own["mean"])


# Rules that are not the project's own.


def test_a_rule_that_writes_into_what_it_gets_changes_nothing():
    def masks(given):
        given.theta0["w.weight"].zero_()
        return {name: kept.logical_not_().logical_not_() for name, kept in given.mask.items()}

    def values(given, mask):
        mask["w.weight"].fill_(False)
        given.rewound["w.bias"].fill_(9)
        return {name: value.add_(1) for name, value in given.theta0.items()}

    mask, made = apply_rules(masks, values, origin(), "arm 'mine'")
    assert torch.equal(mask["w.weight"], MASK["w.weight"])
    assert all(torch.equal(made[name], THETA0[name] + 1) for name in THETA0)
    assert not any(made[name].data_ptr() == THETA0[name].data_ptr() for name in THETA0)


def test_the_projects_own_rules_are_called_as_they_are():
    mask, values = apply_rules(round_mask, rewound, origin(), "arm 'ticket'")
    assert torch.equal(mask["w.weight"], MASK["w.weight"])
    assert torch.equal(values["w.weight"], REWOUND["w.weight"])


@pytest.mark.parametrize(
    ("masks", "told"),
    [
        (lambda given: None, "must return a mask for each of w.weight, and for nothing else"),
        (lambda given: {}, "must return a mask for each of w.weight, and for nothing else"),
        (lambda given: {"w.weight": given.mask["w.weight"].float()}, "not torch.float32 of shape (2, 3)"),
        (lambda given: {"w.weight": given.mask["w.weight"].T}, "not torch.bool of shape (3, 2)"),
        (lambda given: {"w.weight": [1, 2]}, "not list"),
        (lambda given: {"w.weight": ~given.mask["w.weight"]}, "keeps 2 weights of w.weight, must keep 4"),
    ],
)
def test_a_mask_that_is_none_names_the_arm_the_function_and_the_tensor(masks, told):
    with pytest.raises(InputError, match=re.escape(told)) as caught:
        apply_rules(masks, rewound, origin(), "arm 'mine', round 2, replicate 0")
    assert str(caught.value).startswith("arm 'mine', round 2, replicate 0: mask rule tests")
    assert "<lambda>" in str(caught.value)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (lambda given, mask: None, "must return every parameter and buffer (w.weight, w.bias, mean), and nothing else"),
        (lambda given, mask: {**given.theta0, "more": WEIGHT}, "must return every parameter and buffer"),
        (lambda given, mask: {**given.theta0, "mean": torch.zeros(2)}, "for mean, not torch.float32 of shape (2,)"),
        (lambda given, mask: {**given.theta0, "mean": MEAN.double()}, "for mean, not torch.float64 of shape (1,)"),
        (lambda given, mask: {**given.theta0, "w.bias": torch.tensor([0, torch.nan])}, "returned NaN in w.bias"),
    ],
)  # fmt: skip
def test_values_that_do_not_fit_name_the_arm_the_function_and_the_tensor(values, told):
    with pytest.raises(InputError, match=re.escape(told)) as caught:
        apply_rules(round_mask, values, origin(), "arm 'mine', round 2, replicate 0")
    assert str(caught.value).startswith("arm 'mine', round 2, replicate 0: value rule tests")


def test_nan_that_came_of_a_training_that_diverged_is_no_fault_of_the_rule():
    lost = {**REWOUND, "w.bias": torch.tensor([0.0, torch.nan])}
    _, values = apply_rules(
        round_mask, lambda given, mask: given.rewound, replace(origin(), rewound=lost), "arm 'mine'"
    )
    assert values["w.bias"].isnan().any()
