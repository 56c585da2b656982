"""An arm's rules: their options, the copies that they get, and the checks of what they return."""

import re
from dataclasses import replace

import pytest
import torch

from tickets.arm_rules import ArmRules, apply_rules, rules_of
from tickets.arms import Origin, Start, rewound, round_mask
from tickets.binding import shared_options
from tickets.config import ArmConfig, TrainConfig, parse_run
from tickets.errors import InputError, UserCodeError
from tickets.learned.learning import Learning

WEIGHT = torch.tensor([[1.0, -2.0, 3.0], [-4.0, 5.0, -6.0]])
MEAN = torch.tensor([7.0])
NAN = torch.tensor([0.0, torch.nan])
MASK = {"w.weight": torch.tensor([[True, False, True], [True, True, False]])}
THETA0 = {"w.weight": WEIGHT, "w.bias": torch.tensor([0.1, 0.2]), "mean": MEAN}
REWOUND = {"w.weight": WEIGHT * 10, "w.bias": torch.tensor([0.3, 0.4]), "mean": torch.tensor([8.0])}
PARAMETERS = ("w.weight", "w.bias")
ADAM = {
    "exp_avg": {"w.weight": WEIGHT, "w.bias": torch.zeros(2)},
    "exp_avg_sq": {"w.weight": WEIGHT**2, "w.bias": torch.zeros(2)},
    "step": {"w.weight": torch.tensor(7.0), "w.bias": torch.tensor(7.0)},
}
RECIPE = TrainConfig(steps=20, evaluate_every=5)
NAMED = "arm 'mine', round 2, replicate 0"


def origin(**changes):
    made = Origin(
        mask=MASK, theta0=THETA0, rewound=REWOUND, biases=frozenset({"w.bias"}), fresh=lambda seed: dict(THETA0),
        stream=lambda purpose: 1, parameters=PARAMETERS, round=2, step=7, optimizer=ADAM, recipe=RECIPE,
        read_trained=lambda: REWOUND,
    )  # fmt: skip
    return replace(made, **changes)


@pytest.fixture(autouse=True)
def nothing_given_is_changed():
    given = {"theta0": THETA0, "rewound": REWOUND, "mask": MASK, **ADAM}
    before = {key: {name: value.clone() for name, value in tensors.items()} for key, tensors in given.items()}
    yield
    for key, tensors in given.items():
        assert all(torch.equal(before[key][name], value) for name, value in tensors.items()), key


def applied(masks=round_mask, values=rewound, where=None, **options):
    given = {**options.pop("mask_options", {}), **options}
    bound = shared_options("arm 'mine'", "mine", given, (masks, 1), (values, 2))
    return apply_rules(ArmRules(masks, values, *bound), where or origin(), NAMED)


# Copies


def test_a_rule_that_writes_into_what_it_gets_changes_nothing():
    def masks(given):
        given.theta0["w.weight"].zero_()
        return {name: kept.logical_not_().logical_not_() for name, kept in given.mask.items()}

    def values(given, mask):
        mask["w.weight"].fill_(False)
        given.rewound["w.bias"].fill_(9)
        given.trained["w.bias"].fill_(9)
        state = {name: {key: value.add_(1) for key, value in kind.items()} for name, kind in given.optimizer.items()}
        return Start({name: value.add_(1) for name, value in given.theta0.items()}, state, 7)

    mask, start = applied(masks, values)
    assert torch.equal(mask["w.weight"], MASK["w.weight"])
    assert all(torch.equal(start.values[name], THETA0[name] + 1) for name in THETA0)
    assert not any(start.values[name].data_ptr() == THETA0[name].data_ptr() for name in THETA0)
    assert torch.equal(start.optimizer["step"]["w.bias"], torch.tensor(8.0))


def test_the_packages_own_rules_are_called_as_they_are():
    mask, start = applied()
    assert torch.equal(mask["w.weight"], MASK["w.weight"])
    assert torch.equal(start.values["w.weight"], REWOUND["w.weight"])


def test_options_are_copied_at_each_call():
    given, seen = [1], []

    def values(origin, mask, *, numbers):
        seen.append(list(numbers))
        numbers.append(2)
        return origin.theta0

    for _ in range(2):
        applied(values=values, numbers=given)
    assert seen == [[1], [1]]


# What is returned


@pytest.mark.parametrize(
    ("masks", "says"),
    [
        (lambda given: None, "must return a mask for each of w.weight, and for nothing else"),
        (lambda given: {}, "must return a mask for each of w.weight, and for nothing else"),
        (lambda given: {"w.weight": given.mask["w.weight"].float()}, "not torch.float32 of shape (2, 3)"),
        (lambda given: {"w.weight": given.mask["w.weight"].T}, "not torch.bool of shape (3, 2)"),
        (lambda given: {"w.weight": [1, 2]}, "not list"),
        (lambda given: {"w.weight": ~given.mask["w.weight"]}, "keeps 2 weights in all, must keep 4 as the round's"),
    ],
)
def test_a_mask_that_is_wrong_names_the_arm_the_function_and_the_tensor(masks, says):
    with pytest.raises(UserCodeError, match=re.escape(says)) as caught:
        applied(masks)
    assert str(caught.value).startswith(f"{NAMED}: mask rule tests")
    assert "<lambda>" in str(caught.value)


def test_a_mask_may_share_the_rounds_count_out_among_the_tensors_in_another_way():
    two = {"a": torch.tensor([True, False]), "b": torch.tensor([True, True, False])}
    other = {"a": torch.tensor([True, True]), "b": torch.tensor([False, False, True])}
    theta0 = {name: torch.ones(mask.shape) for name, mask in two.items()}
    where = origin(mask=two, theta0=theta0, rewound=theta0, optimizer={}, parameters=("a", "b"))
    assert applied(lambda given: other, where=where)[0].keys() == other.keys()


def own(**changes):
    return RECIPE.model_copy(update=changes)


def changed(state, name, value):
    return {kind: {**tensors, **({name: value} if kind == state else {})} for kind, tensors in ADAM.items()}


@pytest.mark.parametrize(
    ("start", "says"),
    [
        (None, "must return a tickets.arms.Start, or every parameter and buffer by name, not NoneType"),
        ({**THETA0, "more": WEIGHT}, "parameter and buffer (w.weight, w.bias, mean), and nothing else"),
        (Start(None), "must return every parameter and buffer"),
        ({**THETA0, "mean": torch.zeros(2)}, "for mean, not torch.float32 of shape (2,)"),
        ({**THETA0, "mean": MEAN.double()}, "for mean, not torch.float64 of shape (1,)"),
        ({**THETA0, "w.bias": NAN}, "returned NaN in w.bias"),
        (Start(THETA0, step=20), "returned step = 20, must be 0 to 19: train.steps is 20"),
        (Start(THETA0, step=-1), "returned step = -1, must be 0 to 19"),
        (Start(THETA0, step=1.0), "returned step = 1.0, must be a whole number"),
        (Start(THETA0, step=True), "returned step = True, must be a whole number"),
        (Start(THETA0, step=7, recipe=own(steps=7)), "must be 0 to 6: train.steps is 7"),
        (
            Start(THETA0, learning=Learning("supermask")),
            "returned a Start with learning, which only the catalogue's arms have; leave it out",
        ),
        (Start(THETA0, recipe={"steps": 7}), "returned a recipe that is dict, must be a tickets.config.TrainConfig"),
        (Start(THETA0, recipe=own(precision="bf16")), "precision = 'bf16', must be the run's 'float32'"),
        (Start(THETA0, recipe=own(learning_rate=-1.0)), "recipe with learning_rate = -1.0: must be greater than 0"),
        (Start(THETA0, recipe=own(momentum=0.9)), "momentum = 0.9: only optimizer \"sgd\" takes a momentum"),
        (Start(THETA0, recipe=own(warmup_steps=99)), "warmup_steps = 99: must be at most train.steps = 20"),
        (Start(THETA0, [1]), "must return an optimizer state {state: {parameter: tensor}}, or None"),
        (Start(THETA0, {"momentum_buffer": {}}), "with 'momentum_buffer': adam has exp_avg, exp_avg_sq, step"),
        (Start(THETA0, {"exp_avg": ADAM["exp_avg"]}), "without 'exp_avg_sq', 'step': adam has exp_avg"),
        (Start(THETA0, ADAM, 7, own(optimizer="sgd")), "'exp_avg', 'exp_avg_sq', 'step': sgd has no state"),
        (Start(THETA0, changed("step", "mean", MEAN)), "of 'mean', which is no trained parameter (allowed: w.weight"),
        (Start(THETA0, changed("step", "w.bias", MEAN)), "of shape () for 'step' of w.bias, not torch.float32 of"),
        (Start(THETA0, changed("exp_avg", "w.bias", MEAN)), "tensor of shape (2,) for 'exp_avg' of w.bias"),
        (Start(THETA0, changed("exp_avg", "w.bias", NAN)), "returned NaN in 'exp_avg' of w.bias"),
        (Start(THETA0, {**ADAM, "step": {}}), "returned optimizer states of different parameters"),
    ],
)  # fmt: skip
def test_a_start_that_does_not_fit_names_the_arm_the_function_and_what_is_wrong(start, says):
    with pytest.raises(UserCodeError, match=re.escape(says)) as caught:
        applied(values=lambda given, mask: start)
    assert str(caught.value).startswith(f"{NAMED}: value rule tests")


@pytest.mark.parametrize(
    "start",
    [
        Start(THETA0, ADAM, 7),
        Start(THETA0, {}, 7),
        Start(THETA0, {kind: {"w.bias": tensors["w.bias"]} for kind, tensors in ADAM.items()}, 3),
        Start(THETA0, None, 0, TrainConfig(optimizer="sgd", momentum=0.9, steps=5)),
        Start(THETA0, {"momentum_buffer": {"w.bias": torch.ones(2)}}, 0, TrainConfig(optimizer="sgd", momentum=0.9)),
    ],
)
def test_starts_that_fit(start):
    found = applied(values=lambda given, mask: start)[1]
    assert (found.step, found.recipe, found.continues) == (start.step, start.recipe, start.continues)
    assert all(torch.equal(found.values[name], value) for name, value in start.values.items())
    assert (found.optimizer is None) == (start.optimizer is None)
    for state, tensors in (start.optimizer or {}).items():
        assert all(torch.equal(found.optimizer[state][name], value) for name, value in tensors.items())


def test_a_mapping_of_values_starts_at_the_rewind_step_with_a_fresh_optimizer():
    assert applied(values=lambda given, mask: given.theta0)[1].optimizer is None
    assert applied(values=lambda given, mask: given.theta0)[1].step == 7


@pytest.mark.parametrize("lost", ["rewound", "optimizer", "trained"])
def test_nan_that_came_of_a_training_that_diverged_is_no_fault_of_the_rule(lost):
    broken = {**REWOUND, "w.bias": NAN}
    changes = {
        "rewound": {"rewound": broken},
        "optimizer": {"optimizer": changed("exp_avg", "w.bias", NAN)},
        "trained": {"read_trained": lambda: broken},
    }
    _, start = applied(values=lambda given, mask: Start(broken, given.optimizer, 7), where=origin(**changes[lost]))
    assert start.values["w.bias"].isnan().any()


# Options


def one_mask(origin, *, keep=0.5, both=1):
    return dict(origin.mask)


def any_values(origin, mask, scale, *, both=1):
    return dict(origin.theta0)


def takes_any(origin, mask, **options):
    return dict(origin.theta0)


def arm(**table):
    base = {"name": "t", "data": "digits", "model": "mlp"}
    return parse_run({**base, "arms": ["ticket", {"name": "mine", **table}]}).arms[1]


MASKS, VALUES, ANY = (f"{__name__}:{name}" for name in ("one_mask", "any_values", "takes_any"))


def test_each_rule_gets_the_options_that_its_signature_takes():
    rules = rules_of(arm(mask=MASKS, values=VALUES, scale=2, keep=0.1, both=3))
    assert (rules.mask, rules.values) == (one_mask, any_values)
    assert rules.make_mask.options == {"keep": 0.1, "both": 3}
    assert rules.make_values.options == {"scale": 2, "both": 3}
    assert rules_of(arm(values=ANY, x=1)).make_values.options == {"x": 1}
    assert rules_of(arm(values=ANY, x=1)).mask is round_mask
    assert rules_of(arm(mask=MASKS)).values is rewound


def test_the_catalogues_options_are_their_rules_parameters():
    assert rules_of(ArmConfig(name="constant", value=0.1, biases="model", start=0)).make_values.options == {
        "value": 0.1, "biases": "model", "start": 0,
    }  # fmt: skip
    assert rules_of(ArmConfig(name="random_mask")).make_values.options == {"start": None}
    assert rules_of(ArmConfig(name="random_mask", start=0)).make_values.options == {"start": 0}


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"mask": MASKS, "values": VALUES, "scale": 1, "kep": 2}, "arms.mine.kep = 2: 'mine' has no such option"),
        ({"mask": MASKS, "values": VALUES, "scale": 1, "kep": 2}, "did you mean 'keep'? (allowed: keep, both, scale)"),
        ({"mask": MASKS, "values": VALUES}, "arms.mine.scale: 'mine' needs this option and it is not given"),
        ({"values": f"{__name__}:nothing"}, "has no function 'nothing'"),
    ],
)  # fmt: skip
def test_options_that_do_not_fit_are_refused(table, says):
    with pytest.raises(InputError, match=re.escape(says)):
        rules_of(arm(**table))
