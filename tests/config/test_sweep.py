# ruff: noqa: E501 - a line that a user reads is easier to check unbroken
from __future__ import annotations

from typing import Any

import pytest

from tickets.config import parse_campaign
from tickets.errors import InputError

BASE = {"name": "x", "data": "mnist1d", "model": "mlp"}
CAN = "can be swept: data, fine_tune, model, prune, rewind, seed, train, and the keys in them"


def lines(**changed: Any) -> list[str]:
    with pytest.raises(InputError) as caught:
        parse_campaign({**BASE, **changed})
    return list(caught.value.problems)


def test_no_sweep_is_one_run() -> None:
    (run,) = parse_campaign(BASE).runs
    assert run.model_dump() == parse_campaign(BASE).runs[0].model_dump()


def test_the_last_key_is_the_fastest() -> None:
    sweep = {"train.learning_rate": [1e-2, 1e-3], "seed": [0, 1, 2]}
    runs = parse_campaign({**BASE, "sweep": sweep}).runs
    found = [(run.train.learning_rate, run.seed) for run in runs]
    assert found == [(1e-2, 0), (1e-2, 1), (1e-2, 2), (1e-3, 0), (1e-3, 1), (1e-3, 2)]


@pytest.mark.parametrize("key", ['"train.steps"', "train.steps"])
def test_keys_with_and_without_quotes(key: str) -> None:
    written = {"train.steps": [5, 6]} if key.startswith('"') else {"train": {"steps": [5, 6]}}
    campaign = parse_campaign({**BASE, "sweep": written})
    assert campaign.sweep == {"train.steps": (5, 6)}
    assert [run.train.steps for run in campaign.runs] == [5, 6]


def test_models_names_and_keys_of_models() -> None:
    runs = parse_campaign({**BASE, "sweep": {"model": ["mlp", {"name": "conv2", "dropout": 0.5}]}}).runs
    assert [run.model.name for run in runs] == ["mlp", "conv2"]
    # The shorter key comes first into the table, whichever is swept first.
    sweep = {"data.validation": [7, 8], "data": ["mnist", "digits"]}
    runs = parse_campaign({**BASE, "sweep": sweep}).runs
    assert [(run.data.validation, run.data.name) for run in runs] == [
        (7, "mnist"),
        (7, "digits"),
        (8, "mnist"),
        (8, "digits"),
    ]


def test_what_is_swept_need_not_be_given_outside() -> None:
    runs = parse_campaign({"name": "x", "sweep": {"data": ["mnist1d", "digits"], "model": ["mlp"]}}).runs
    assert [(run.data.name, run.data.validation) for run in runs] == [("mnist1d", 500), ("digits", 200)]


def test_rates_follow_the_swept_rate() -> None:
    runs = parse_campaign({**BASE, "sweep": {"prune.rate": [0.1, 0.5]}}).runs
    assert [run.prune.output_rate for run in runs] == [0.1, 0.5]
    runs = parse_campaign({**BASE, "rounds": 1, "sweep": {"prune.density": [0.1, 0.5]}}).runs
    assert [run.prune.rate for run in runs] == [0.9, 0.5]


def test_options_of_a_users_function_can_be_swept() -> None:
    runs = parse_campaign({**BASE, "model": "a:b", "sweep": {"model.depth.left": [1, 2]}}).runs
    assert [run.model.options for run in runs] == [{"depth": {"left": 1}}, {"depth": {"left": 2}}]


def test_inits_and_their_options_can_be_swept() -> None:
    sweep = {"model.init": ["zeros", {"name": "constant", "value": 0.25}, {"name": "constant"}]}
    runs = parse_campaign({**BASE, "sweep": sweep}).runs
    found = [run.model_dump()["model"]["init"] for run in runs]
    constants = [{"name": "constant", "biases": "zeros", "value": value} for value in (0.25, 0.5)]
    assert found == ["zeros", *constants]
    # The shorter key comes first into the table here too.
    sweep = {"model.init.biases": ["model", "zeros"], "model.init": ["constant"]}
    runs = parse_campaign({**BASE, "sweep": sweep}).runs
    assert [run.model.init.table for run in runs] == [
        {"name": "constant", "biases": "model", "value": 0.5},
        {"name": "constant", "biases": "zeros", "value": 0.5},
    ]


@pytest.mark.parametrize(
    ("sweep", "line"),
    [
        ({"train.learning_rat": [1]}, f'sweep."train.learning_rat": unknown key; did you mean \'train.learning_rate\'? ({CAN})'),
        ({"learning_rate": [1]}, f"sweep.learning_rate: unknown key; did you mean 'train.learning_rate'? ({CAN})"),
        ({"sed": [1]}, f"sweep.sed: unknown key; did you mean 'seed'? ({CAN})"),
        ({"seed.x": [1]}, f'sweep."seed.x": unknown key; did you mean \'seed\'? ({CAN})'),
        ({"data.": [1]}, f'sweep."data.": unknown key; did you mean \'data\'? ({CAN})'),
        *(
            ({key: [2]}, f"sweep.{shown}: does not make separate runs, since it changes no ticket's numbers ({CAN}); give '{key}' one value, outside the sweep")
            for key, shown in (("replicates", "replicates"), ("rounds", "rounds"), ("arms", "arms"), ("name", "name"), ("compute.threads", '"compute.threads"'))
        ),
        ({"seed": []}, "sweep.seed = []: must be a list of values, not an empty one"),
        ({"seed": 3}, "sweep.seed = 3: must be a list of values, not a whole number"),
        ("seed", 'sweep = "seed": must be a table of lists, not a string'),
        ({"model.init": ["dct", "dtc"]}, "model.init = 'dtc': unknown init; did you mean 'dct'? (allowed: constant, dct, glorot_normal, glorot_uniform, hadamard, kaiming_normal, kaiming_uniform, normal, orthogonal, planted, pytorch, quasi_normal, quasi_orthogonal, sign_constant, uniform, zeros) (in the sweep, at model.init = \"dtc\")"),
        ({"model.init": ["pytorch", {"name": "pytorch"}]}, 'sweep: model.init = "pytorch" and model.init = {"name": "pytorch"} do not make separate runs (both are mnist1d-mlp-adam-0.001-seed0-d1012b5252); leave one out'),
        ({"model.width": [[5]]}, "model.width: unknown key; did you mean 'widths'? (allowed: bias, dropout, init, name, parametrisation, widths)"),
        ({"train.steps": [5, 0]}, "train.steps = 0: must be at least 1 (in the sweep, at train.steps = 0)"),
        ({"rewind.step": [0, 1000], "seed": [0, 1]}, "rewind.step = 1000: must be less than train.steps = 1000 (in the sweep, at rewind.step = 1000, seed = 0)"),
        ({"prune.rate": [0.2, 0.5, 2e-1]}, "sweep: prune.rate = 0.2 and prune.rate = 0.2 do not make separate runs (both are mnist1d-mlp-adam-0.001-seed0-d1012b5252); leave one out"),
        ({"train.weight_decay": [0, 0.0]}, "sweep: train.weight_decay = 0 and train.weight_decay = 0.0 do not make separate runs (both are mnist1d-mlp-adam-0.001-seed0-d1012b5252); leave one out"),
    ],
)  # fmt: skip
def test_what_a_sweep_cannot_be(sweep: object, line: str) -> None:
    assert lines(sweep=sweep) == [line]


def test_a_problem_of_every_point_is_told_once_with_the_others() -> None:
    found = lines(rounds=-1, sweep={"seed": [0, -1], "replicats": [1]}, data_folder=3)
    assert found == [
        "rounds = -1: must be at least 0",
        "seed = -1: must be at least 0 and less than 2**63 (in the sweep, at seed = -1)",
        f"sweep.replicats: unknown key; did you mean 'replicates'? ({CAN})",
        "data_folder = 3: must be a string, the path of a folder, not a whole number",
    ]


def test_a_key_below_something_that_is_no_table() -> None:
    assert lines(train=3, sweep={"train.steps": [5]}) == [
        "train.steps = 5: train = 3 is a whole number, which has no keys"
    ]
