"""The rules of what is rewound and how much is pruned: what cannot be combined, and what a configuration keeps."""

# ruff: noqa: E501 - each mistake on a line, beside its message
from __future__ import annotations

import tomllib
from typing import Any

import pytest

from tickets.config import parse_campaign, parse_run, run_id, to_toml
from tickets.errors import InputError

BASE: dict[str, Any] = {"name": "x", "data": "mnist1d", "model": "mlp"}
NO_RATE = "has no effect beside prune.densities, which says what remains after each round; give only one"
NO_SCORE = "has no effect beside prune.masks_from, which takes every mask from another run; leave it out"
NONE = {"rewind": {"kind": "none"}, "fine_tune": {"steps": 5}}


def lines(**changed: Any) -> list[str]:
    with pytest.raises(InputError) as caught:
        parse_run({**BASE, **changed})
    return list(caught.value.problems)


REFUSED: list[tuple[dict[str, Any], list[str]]] = [
    ({"rewind": {"kind": "weight"}}, ["rewind.kind = 'weight': unknown kind; did you mean 'weights'? (allowed: learning_rate, none, weights)"]),
    ({"rewind": {"kind": "none"}}, ['fine_tune.steps = None: must be a number of steps with rewind.kind = "none", which trains each ticket for so many further ones; write, for instance, steps = 200 below the line [fine_tune]']),
    ({"fine_tune": {"steps": 5}}, ['fine_tune.steps = 5: only rewind.kind = "none" (fine-tuning) has them, not "weights"; leave out [fine_tune]']),
    ({"rewind": {"kind": "none", "step": 3}, "fine_tune": {"steps": 5}, "store": {"trained": "none"}}, [
        'rewind.step = 3: must be 0 with rewind.kind = "none": fine-tuning goes on, and back to no step; leave it out',
        'store.trained = "none": rewind.kind = "none" starts each round from the trained values of the round before, which must be kept; write trained = "ticket" or "all"',
    ]),
    ({"fine_tune": {"steps": 0}, "rewind": {"kind": "none"}}, ["fine_tune.steps = 0: must be at least 1"]),
    ({"prune": {"densities": [0.5, 0.5]}}, ["prune.densities = [0.5, 0.5]: must decrease from each round to the next"]),
    ({"prune": {"densities": [0.5, 0.0]}}, ["prune.densities[1] = 0.0: must be greater than 0 and at most 1"]),
    ({"prune": {"densities": [0.5, 0.2]}, "rounds": 3}, ["prune.densities = [0.5, 0.2]: has 2 of them, one for each round, so rounds must be 2 or left out: 3"]),
    # Refused at its default too: the file would say what does not hold.
    ({"prune": {"densities": [0.5], "rate": 0.2, "conv_rate": 0.1, "output_rate": 0.1}}, [f"prune.{key} = {value}: {NO_RATE}" for key, value in (("rate", 0.2), ("output_rate", 0.1), ("conv_rate", 0.1))]),
    ({"prune": {"densities": [0.5], "density": 0.5}}, [f"prune.density = 0.5: {NO_RATE}"]),
    ({"prune": {"masks_from": ""}}, ['prune.masks_from = "": must be the path of a saved run, or of a campaign\'s folder that holds one run']),
    ({"prune": {"masks_from": "a", "score": "magnitude", "scope": "layer", "rate": 0.2}}, [f"prune.{key}: {NO_SCORE}" for key in ('score = "magnitude"', 'scope = "layer"', "rate = 0.2")]),
    ({"prune": {"masks_from": "a", "densities": [0.5]}}, [f"prune.densities = [0.5]: {NO_SCORE}"]),
    ({"prune": {"masks_from": "a", "density": 0.5}, "rounds": 1}, [f"prune.density = 0.5: {NO_SCORE}"]),
]  # fmt: skip


@pytest.mark.parametrize(("changed", "wanted"), REFUSED)
def test_what_cannot_be_combined_is_said_at_once(changed: dict[str, Any], wanted: list[str]) -> None:
    assert lines(**changed) == wanted


KEPT: list[dict[str, Any]] = [
    {"rewind": {"kind": "learning_rate", "step": 4}},
    NONE,
    {"prune": {"densities": [0.5, 0.2], "scope": "global", "score": "random"}},
    {"prune": {"masks_from": "runs/saved/a", "include": ["gru.*"], "exclude": ["fc*"]}},
    {"prune": {}, "sweep": {"prune.densities": [[0.5], [0.5, 0.2]]}},
    {"rewind": {}, "sweep": {"rewind.kind": ["weights", "learning_rate"]}},
]


@pytest.mark.parametrize("changed", KEPT)
def test_a_configuration_is_read_back_as_it_was(changed: dict[str, Any]) -> None:
    campaign = parse_campaign({**BASE, **changed})
    assert parse_campaign(tomllib.loads(to_toml(campaign))) == campaign
    for run in campaign.runs:
        assert parse_run(run.model_dump(mode="json")) == run


def test_rounds_are_as_many_as_densities() -> None:
    assert parse_run({**BASE, "prune": {"densities": [0.5, 0.2, 0.1]}}).rounds == 3
    assert parse_run({**BASE, "prune": {"densities": [0.5]}, "rounds": 1}).rounds == 1
    assert parse_run({**BASE, "prune": {"densities": []}}).rounds == 16


def test_each_of_the_keys_makes_another_run_and_their_defaults_do_not() -> None:
    def identity(**changed: Any) -> str:
        return run_id(parse_run({**BASE, **changed}))

    at_defaults = {"rewind": {"kind": "weights"}, "fine_tune": {}, "prune": {"densities": []}}
    assert identity(**at_defaults) == identity() == "mnist1d-mlp-adam-0.001-seed0-d1012b5252"
    changes: list[dict[str, Any]] = [
        {},
        {"rewind": {"kind": "learning_rate"}},
        NONE,
        {**NONE, "fine_tune": {"steps": 6}},
        {"prune": {"densities": [0.5]}},
        {"prune": {"densities": [0.5, 0.2]}},
        {"prune": {"masks_from": "a"}},
        {"prune": {"masks_from": "b"}},
    ]
    assert len({identity(**changed) for changed in changes}) == len(changes)
