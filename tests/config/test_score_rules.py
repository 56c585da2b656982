"""Scores that do not go with the other keys of prune, or of an arm, are refused: the lines are matched whole."""
# ruff: noqa: E501 - a line that a user reads is easier to check unbroken

from __future__ import annotations

from typing import Any

import pytest
from problem_lines import BASE, lines

from tickets import catalogue
from tickets.catalogue.scores import OF_TRAINING, RANDOM
from tickets.config import parse_campaign, parse_run, run_id, to_toml
from tickets.config.reading import read_campaign
from tickets.errors import InputError

SCORES = f"allowed: {', '.join(sorted(catalogue.SCORES))}, or module:function"
SNIP = {"name": "snip", "at": "theta0"}
LAYERS = 'says how many weights each layer keeps, which prune.scope = "layer" says already; write scope = "global", or score = "random" for random places by the rates of the layers'


def arm(**keys: Any) -> dict[str, Any]:
    return {"arms": ["ticket", {"name": "pruned_at_init", **keys}]}


WRONG = [
    ({"prune": {"score": "erk"}}, f'prune.score = "erk": {LAYERS}'),
    ({"prune": {"score": {"name": "uniform"}, "scope": "layer"}}, f'prune.score = {{"name": "uniform"}}: {LAYERS}'),
    (arm(score="erk", scope="layer"), 'arms[1].scope = "layer": score "erk" says how many weights each layer keeps; leave scope out, or take the arm random_mask, which has as many weights in each layer as the round\'s mask, at random places'),
    (arm(score={"name": "uniform"}, invert=True), 'arms[1].invert = true: score "uniform" draws the places at random, so that its lowest scores mean nothing; leave invert out'),
    (arm(draws=2), 'arms[1].draws = 2: must be 1: the mask of score "snip" draws nothing at random; write shuffle = true, or a score that does (random, erk, uniform)'),
    (arm(score="synflow", invert=True, draws=3), 'arms[1].draws = 3: must be 1: the mask of score "synflow" draws nothing at random; write shuffle = true, or a score that does (random, erk, uniform)'),
    (arm(score="movement"), 'arms[1].score = "movement": compares a weight before and after training, and this arm is pruned before any; use a score that does not (magnitude, snip, grasp, synflow, ...)'),
    (arm(score="snap"), f"arms[1].score = 'snap': unknown score; did you mean 'snip'? ({SCORES})"),
    (arm(score={"name": "snap"}), f"arms[1].score.name = 'snap': unknown score; did you mean 'snip'? ({SCORES})"),
    (arm(score={"at": "theta0"}), f"arms[1].score.name: missing; name a score ({SCORES})"),
    (arm(score=3), "arms[1].score = 3: must be a name or a table, not a whole number"),
    (arm(score={"name": "grasp", "temperatur": 1}), "arms[1].score.temperatur: unknown key; did you mean 'temperature'? (allowed: at, examples, name, per_class, temperature)"),
    (arm(score={"name": "grasp", "temperature": 0}), "arms[1].score.temperature = 0: must be greater than 0"),
    (arm(score={"name": "snip", "at": "end"}), "arms[1].score.at = 'end': unknown choice (allowed: theta0, trained)"),
    (arm(score={"name": "synflow", "at": "trained"}), 'arms[1].score = {"name": "synflow", "at": "trained"}: at = "trained" has no effect: this arm is pruned before any training; leave at out'),
    (arm(shuffle=1), "arms[1].shuffle = 1: must be true or false, not a whole number"),
    (arm(scope="tensor"), "arms[1].scope = 'tensor': unknown scope (allowed: global, layer)"),
    ({"prune": {"score": {"name": "large_init_large_final", "a": 0}}}, "prune.score.a = 0: must be greater than 0"),
    ({"prune": {"score": {"name": "snip", "per_class": 0}}}, "prune.score.per_class = 0: must be at least 1"),
    ({"prune": {"score": {"name": "magnitude", "a": 2}}}, "prune.score.a: unknown key; it is an option of large_init_large_final, small_init_small_final, magnitude_increase (allowed: name)"),
]  # fmt: skip


@pytest.mark.parametrize(("changed", "line"), WRONG)
def test_one_mistake_gives_one_line(changed: dict[str, Any], line: str) -> None:
    assert lines(**changed) == [line]


def test_several_mistakes_are_told_at_once_and_beside_others() -> None:
    told = lines(prune={"score": "erk", "rate": 2}, **arm(score="erk", scope="layer", invert=True), seed=-1)
    assert [line.partition(" = ")[0] for line in told] == [
        "seed", "prune.rate", "prune.score", "arms[1].scope", "arms[1].invert",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "keys",
    [
        {"shuffle": True, "draws": 2}, {"score": "erk", "draws": 2}, {"score": "random", "draws": 2, "scope": "layer"},
        {"score": "m:f", "draws": 2, "invert": True}, {"name": "pruned_at_init_reinit", "draws": 2},
        {"score": "large_final_same_sign"}, {"score": "erk", "shuffle": True},
    ],
)  # fmt: skip
def test_what_draws_at_random_may_have_more_draws(keys: dict[str, Any]) -> None:
    assert parse_run({**BASE, **arm(**keys)}).arms[1].draws == keys.get("draws", 1)


def test_every_score_that_depends_on_no_training_can_prune_at_initialisation() -> None:
    for name in set(catalogue.SCORES) - set(OF_TRAINING):
        score = parse_run({**BASE, **arm(score=name)}).arms[1].options["score"]
        assert (score if isinstance(score, str) else score["name"]) == name
    assert set(RANDOM) | set(OF_TRAINING) <= set(catalogue.SCORES)


def test_an_arms_score_is_written_with_its_options_in_whatever_form_it_was_given(tmp_path: Any) -> None:
    plain, table, default = (parse_run({**BASE, **arm(**k)}) for k in ({"score": "snip"}, {"score": SNIP}, {}))
    assert plain == table == default
    assert default.model_dump(mode="json")["arms"][1]["score"] == SNIP
    own = parse_campaign({**BASE, **arm(score={"name": "m:f", "power": 2}, label="mine")})
    file = tmp_path / "c.toml"
    file.write_text(to_toml(own))
    assert read_campaign(file) == own
    assert parse_run(own.runs[0].model_dump(mode="json")) == own.runs[0]
    assert own.runs[0].arms[1].options["score"] == {"name": "m:f", "power": 2}


def test_options_of_scores_are_part_of_the_run_id_and_arms_are_not() -> None:
    def named(score: Any, **more: Any) -> str:
        return run_id(parse_run({**BASE, "prune": {"score": score}, **more}))

    assert named("snip") == named(SNIP) != named({"name": "snip", "per_class": 5})
    assert named("snip") == named("snip", **arm(score="grasp"))


def test_a_score_in_the_place_of_an_arm_is_told_how_to_be_one() -> None:
    with pytest.raises(InputError) as raised:
        parse_run({"name": "x", "data": "digits", "model": "mlp", "arms": ["ticket", "snip"]})
    (line,) = raised.value.problems
    assert "unknown arm" in line
    assert 'write { name = "pruned_at_init", label = "snip", score = "snip" }' in line
    table = {"name": "pruned_at_init", "label": "snip", "score": "snip"}
    assert parse_run({"name": "x", "data": "digits", "model": "mlp", "arms": ["ticket", table]})
