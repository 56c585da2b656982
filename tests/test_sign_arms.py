"""`sign_reinit` and `sign_shuffle`, by hand on tiny tensors."""

from __future__ import annotations

import itertools
from dataclasses import replace

import torch

from tickets.arms import Origin
from tickets.sign_arms import sign_reinit, sign_shuffle

THETA0 = {"w": torch.tensor([[1.0, -2.0, 0.0], [-0.0, 5.0, -6.0]]), "b": torch.tensor([-1.0, 1.0])}
FRESH = {"w": torch.tensor([[-10.0, 20.0, 30.0], [-40.0, 50.0, -60.0]]), "b": torch.tensor([-3.0, 4.0])}
REWOUND = {
    "w": torch.tensor([[1.0, -2.0, 3.0, -4.0], [5.0, 0.0, -7.0, 8.0]]), "v": torch.tensor([[9.0, 10.0]]),
    "b": torch.tensor([0.5, -0.5]),
}  # fmt: skip
MASK = {"w": torch.tensor([[True, True, True, True], [True, True, False, True]]), "v": torch.tensor([[True, True]])}


def origin(theta0=THETA0, rewound=THETA0, mask=None, seeds=None) -> Origin:
    stream = ({"sign_reinit": 15, "sign_shuffle": 16} if seeds is None else seeds).__getitem__
    return Origin(mask or {}, theta0, rewound, frozenset({"b"}), lambda seed: {15: FRESH}[seed], stream, step=7)


def test_sign_reinit_is_the_size_of_a_fresh_draw_with_the_sign_of_theta0() -> None:
    mask = {"w": torch.tensor([[True, True, True], [True, False, True]])}
    start = sign_reinit(origin(), mask)
    assert start.values["w"].tolist() == [[10.0, -20.0, 0.0], [0.0, 50.0, -60.0]]
    assert torch.equal(start.values["b"], FRESH["b"]), "biases are the fresh draw's"
    assert (start.optimizer, start.step) == (None, 7)
    assert sign_reinit(origin(), mask, start=0).step == 0
    assert FRESH["w"][0, 0] == -10, "what was drawn is not changed"


def test_its_signs_are_those_of_theta0_and_not_of_the_rewound_values() -> None:
    rewound = {"w": -THETA0["w"], "b": THETA0["b"]}
    mask = {"w": torch.ones(2, 3, dtype=torch.bool)}
    assert torch.equal(sign_reinit(origin(rewound=rewound), mask).values["w"].sign(), THETA0["w"].sign())


def test_sign_shuffle_permutes_the_survivors_of_each_sign_among_their_places() -> None:
    start = sign_shuffle(origin(rewound=REWOUND, mask=MASK), MASK)
    weight, before = start.values["w"], REWOUND["w"]
    assert torch.equal(weight.sign(), before.sign())
    assert sorted(weight[MASK["w"]].tolist()) == sorted(before[MASK["w"]].tolist())
    assert weight[1, 1] == 0, "a zero stays"
    assert weight[1, 2] == before[1, 2], "what is pruned takes no part"
    assert sorted(start.values["v"][0].tolist()) == [9.0, 10.0], "each tensor by itself"
    assert torch.equal(start.values["b"], REWOUND["b"])
    assert (start.optimizer, start.step) == (None, 7)
    assert sign_shuffle(origin(rewound=REWOUND), MASK, start=0).step == 0
    assert REWOUND["w"][0, 0] == 1, "what it is made from is not changed"


def test_every_permutation_that_keeps_the_signs_turns_up_and_no_other() -> None:
    plus, minus = (1.0, 3.0, 5.0, 8.0), (-2.0, -4.0)
    wanted = set(itertools.product(itertools.permutations(plus), itertools.permutations(minus)))
    found = set()
    for seed in range(600):
        made = sign_shuffle(replace(origin(rewound=REWOUND), stream={"sign_shuffle": seed}.__getitem__), MASK)
        values = made.values["w"]
        found.add(((*values[0, ::2].tolist(), *values[1, [0, 3]].tolist()), (*values[0, 1::2].tolist(),)))
    assert found == wanted


def test_where_no_weight_is_left_nothing_is_permuted() -> None:
    empty = {"w": torch.zeros(2, 4, dtype=torch.bool), "v": torch.zeros(1, 2, dtype=torch.bool)}
    made = sign_shuffle(origin(rewound=REWOUND), empty)
    assert all(torch.equal(made.values[name], value) for name, value in REWOUND.items())
