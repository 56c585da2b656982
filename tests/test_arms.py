"""Each arm's values and places, by hand on tiny tensors."""

from dataclasses import replace

import pytest
import torch

from tickets.arms import (
    Origin,
    Start,
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
    seeds |= {"supermask_scores": 15, "edge_popup_scores": 16, "edge_popup_weights": 17}
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
        "random_mask_reinit", "reorder", "repeat", "supermask", "edge_popup",
    }  # fmt: skip
    for entry in ARMS.values():
        mask = resolve(entry.mask)(origin())
        values = resolve(entry.values)(origin(), mask).values
        assert set(values) == set(THETA0)
        assert all(values[name].shape == THETA0[name].shape for name in THETA0)


def test_round_mask_and_rewound_values_are_what_they_are():
    assert torch.equal(round_mask(origin())["w.weight"], MASK["w.weight"])
    assert all(torch.equal(rewound(origin(), MASK).values[name], REWOUND[name]) for name in REWOUND)


def test_reinit_is_a_draw_from_the_models_own_distribution_and_not_a_shuffle():
    drawn = fresh_draw(origin(), MASK).values
    assert all(torch.equal(drawn[name], fresh(12)[name]) for name in drawn)
    assert not set(drawn["w.weight"].flatten().tolist()) & set(REWOUND["w.weight"].flatten().tolist())


def test_shuffle_permutes_the_survivors_within_their_tensor():
    values = shuffled(origin(), MASK).values
    kept = MASK["w.weight"]
    assert sorted(values["w.weight"][kept].tolist()) == sorted(REWOUND["w.weight"][kept].tolist())
    assert torch.equal(values["w.bias"], REWOUND["w.bias"])
    orders = set()
    for seed in range(200):
        moved = Origin(MASK, THETA0, REWOUND, frozenset(), fresh, lambda purpose, seed=seed: seed)
        orders.add(tuple(shuffled(moved, MASK).values["w.weight"][kept].tolist()))
    assert len(orders) == 24, "every order of four survivors turns up"


def test_constant_is_one_number_with_biases_zero_and_the_rest_as_the_initialiser_gave_it():
    values = constant(origin(), MASK, value=0.25).values
    assert torch.equal(values["w.weight"], torch.full((2, 3), 0.25))
    assert torch.equal(values["w.bias"], torch.zeros(2))
    assert torch.equal(values["mean"], THETA0["mean"])


def test_sign_constant_is_the_sign_times_the_standard_deviation_of_dense_theta0():
    size = (91 / 6 - (-0.5) ** 2) ** 0.5  # mean -0.5, mean square 91 / 6, over all six weights
    values = sign_constant(origin(), MASK).values
    torch.testing.assert_close(values["w.weight"], torch.tensor([[1.0, -1, 1], [-1, 1, -1]]) * size)
    assert torch.equal(values["w.bias"], THETA0["w.bias"])


def test_random_sign_constant_has_the_same_sizes_and_its_own_signs():
    values = random_sign_constant(origin(), MASK).values["w.weight"]
    assert torch.equal(values.abs(), sign_constant(origin(), MASK).values["w.weight"].abs())
    signs = set()
    for seed in range(300):
        drawn = Origin(MASK, THETA0, REWOUND, frozenset(), fresh, lambda purpose, seed=seed: seed)
        signs.add(tuple(random_sign_constant(drawn, MASK).values["w.weight"].sign().flatten().tolist()))
    assert len(signs) > 55, "nearly all of the 64 patterns of six signs turn up"


def test_random_mask_starts_from_unmasked_values():
    # The trap: values already masked would be zero at the places that the round's mask had removed.
    for seed in range(50):
        there = Origin(MASK, THETA0, REWOUND, frozenset(), fresh, lambda purpose, seed=seed: seed)
        places = random_mask(there)["w.weight"]
        assert int(places.sum()) == 4
        assert (rewound(there, {"w.weight": places}).values["w.weight"][places] != 0).all()


# The biases of constant starts.


@pytest.mark.parametrize("rule", [constant, sign_constant, random_sign_constant])
def test_biases_are_zero_or_the_models_as_the_arm_says(rule):
    usual = rule(origin(), MASK).values
    zero, own = (rule(origin(), MASK, biases=biases).values for biases in ("zeros", "model"))
    assert torch.equal(zero["w.bias"], torch.zeros(2))
    assert torch.equal(own["w.bias"], THETA0["w.bias"])
    assert torch.equal(usual["w.bias"], (zero if rule is constant else own)["w.bias"])
    assert torch.equal(zero["w.weight"], own["w.weight"])
    assert torch.equal(zero["mean"], own["mean"])


# Where trainings start.

STATE = {"exp_avg": {"w.bias": torch.tensor([1.0, 2.0])}}
BEGIN_ANEW = [fresh_draw, shuffled, constant, sign_constant, random_sign_constant]


def late():
    return replace(origin(), round=2, step=7, optimizer=STATE)


def test_the_rewound_values_continue_with_the_state_of_the_rewind_step():
    start = rewound(late(), MASK)
    assert (start.step, start.optimizer, start.recipe, start.continues) == (7, STATE, None, True)


@pytest.mark.parametrize("rule", BEGIN_ANEW)
def test_every_other_start_has_a_fresh_optimizer_at_the_rewind_step(rule):
    start = rule(late(), MASK)
    assert (start.step, start.optimizer, start.recipe, start.continues) == (7, None, None, False)


@pytest.mark.parametrize("rule", [rewound, *BEGIN_ANEW])
def test_start_0_gives_the_same_values_the_whole_schedule(rule):
    start = rule(late(), MASK, start=0)
    assert (start.step, start.optimizer, start.continues) == (0, None, False)
    assert all(torch.equal(value, rule(late(), MASK).values[name]) for name, value in start.values.items())


def test_without_rewinding_nothing_continues():
    assert not rewound(origin(), MASK).continues
    assert Start(THETA0, {}, 7).continues  # SGD without momentum has no state
    assert Start(THETA0, STATE, 0).continues
    assert not Start(THETA0, {}, 0).continues
    assert not Start(THETA0, {"exp_avg": {}}, 0).continues


def test_trained_values_are_the_callers_to_change():
    given = replace(origin(), read_trained=lambda: REWOUND)
    given.trained["w.weight"].zero_()
    assert torch.equal(given.trained["w.weight"], REWOUND["w.weight"])
    with pytest.raises(LookupError, match="has no trained values"):
        _ = origin().trained
