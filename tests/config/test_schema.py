from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from tickets.catalogue import ARMS, ArmEntry, arm_entry
from tickets.config import parse_run, run_id

BASE = {"name": "x", "data": "mnist1d", "model": "mlp"}


def test_the_defaults_of_a_run() -> None:
    assert parse_run(BASE).model_dump() == {
        "name": "x",
        "seed": 0,
        "replicates": 5,
        "rounds": 16,
        "cohort_size": None,
        "data": {"name": "mnist1d", "validation": 500},
        "model": {"name": "mlp", "init": "pytorch", "widths": (100, 100)},
        "arms": tuple(
            {"name": name, "draws": 1, "start": None, "value": None} for name in ("ticket", "reinit", "random_mask")
        ),
        "train": {
            "optimizer": "adam",
            "learning_rate": 1e-3,
            "momentum": 0.0,
            "weight_decay": 0.0,
            "batch_size": 100,
            "steps": 1000,
            "evaluate_every": 100,
            "schedule": "constant",
            "milestones": (),
            "gamma": 0.1,
            "warmup_steps": 0,
        },
        "prune": {
            "score": "magnitude",
            "scope": "layer",
            "density": None,
            "rate": 0.2,
            "output_rate": 0.2,
            "conv_rate": 0.2,
            "exclude": (),
        },
        "rewind": {"step": 0},
        "store": {"trained": "ticket", "units": False},
        "compute": {"strategy": "auto", "memory_gib": None, "threads": None},
        "verdict": {"density": None, "controls": ("reinit",), "margin": 0.05},
    }


@pytest.mark.parametrize(
    ("data", "validation", "options"),
    [
        ("mnist1d", 500, {}),
        ("digits", 200, {}),
        ("mnist", 5000, {"normalise": True}),
        ("fashion_mnist", 5000, {}),
        ("cifar10", 5000, {"augment": False}),
        ({"name": "cifar10", "augment": True}, 5000, {"augment": True}),
        ("my.data:f", None, {}),  # known once the data is loaded
        ({"name": "my.data:f", "validation": 1000}, 1000, {}),
        ({"name": "f:g", "validation": 7, "k": [1, {"l": 0.5}]}, 7, {"k": [1, {"l": 0.5}]}),
    ],
)
def test_data(data: object, validation: int, options: dict[str, Any]) -> None:
    table = parse_run({**BASE, "data": data}).data
    assert (table.validation, table.options) == (validation, options)


@pytest.mark.parametrize(
    ("model", "init", "options"),
    [
        ("mlp", "pytorch", {"widths": (100, 100), "dropout": 0.0, "bias": True, "parametrisation": "standard"}),
        (
            {"name": "mlp", "widths": []},
            "pytorch",
            {"widths": (), "dropout": 0.0, "bias": True, "parametrisation": "standard"},
        ),
        ("lenet_300_100", "glorot_normal", {}),
        ("conv2", "glorot_normal", {"dropout": 0.0, "widths": (64, 256, 256)}),
        ("conv4", "glorot_normal", {"dropout": 0.0, "widths": (64, 128, 256, 256)}),
        (
            {"name": "conv6", "dropout": 0.5, "init": "kaiming_uniform"},
            "kaiming_uniform",
            {"dropout": 0.5, "widths": (64, 128, 256, 256, 256)},
        ),
        ("resnet20", "kaiming_normal", {}),
        ("my.nets:wide", "pytorch", {}),
        ({"name": "f:g", "init": "glorot_uniform", "depth": 3}, "glorot_uniform", {"depth": 3}),
        ({"name": "f:g", "init": {"name": "dct"}, "depth": 3}, "dct", {"depth": 3}),
    ],
)
def test_models(model: object, init: str, options: dict[str, Any]) -> None:
    table = parse_run({**BASE, "model": model}).model
    assert (table.init.name, table.options) == (init, options)


SCALE_ADDED_LATER = ("dct", "orthogonal")  # not written at its default
PLAIN = ("glorot_normal", "glorot_uniform", "kaiming_normal", "kaiming_uniform", "zeros", "dct")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("pytorch", {"biases": "model"}),
        *((name, {"biases": "zeros"}) for name in PLAIN),
        ("constant", {"biases": "zeros", "value": 0.5}),
        ("sign_constant", {"biases": "zeros", "scale": None}),
        ("uniform", {"biases": "zeros", "scale": 0.05}),
        ("normal", {"biases": "zeros", "scale": 0.05}),
        ("orthogonal", {"biases": "zeros", "gain": 1.0}),
        ("hadamard", {"biases": "zeros", "scale": None}),
        ("quasi_normal", {"biases": "zeros", "scale": None}),
        ("quasi_orthogonal", {"biases": "zeros", "scale": None}),
    ],
)
def test_an_init_has_one_form_however_it_was_written(name: str, options: dict[str, Any]) -> None:
    runs = [
        parse_run({**BASE, "model": {"name": "mlp", "init": init}})
        for init in (name, {"name": name}, {"name": name, **options})
    ]
    later = {"scale": None} if name in SCALE_ADDED_LATER else {}
    assert runs[0].model.init.table == {"name": name, **options, **later}
    assert runs[0] == runs[1] == runs[2]
    # Options of its own are written out, or an id would not notice that a default was changed.
    form = name if options.keys() == {"biases"} else {"name": name, **options}
    assert [run.model_dump(mode=mode)["model"]["init"] for run in runs for mode in ("python", "json")] == [form] * 6


@pytest.mark.parametrize("name", SCALE_ADDED_LATER)
def test_an_option_that_was_added_later_is_written_where_it_is_given(name: str) -> None:
    plain, scaled = (
        parse_run({**BASE, "model": {"name": "mlp", "init": init}}) for init in (name, {"name": name, "scale": 0.5})
    )
    gain = {"gain": 1.0} if name == "orthogonal" else {}
    assert scaled.model_dump()["model"]["init"] == {"name": name, "biases": "zeros", "scale": 0.5, **gain}
    assert "scale" not in plain.model_dump()["model"]["init"]
    assert run_id(plain) != run_id(scaled)


def test_an_init_with_another_option_is_a_table_of_them_all() -> None:
    init = {"name": "sign_constant", "biases": "model"}
    run = parse_run({**BASE, "model": {"name": "mlp", "init": init}})
    assert run.model_dump()["model"]["init"] == {**init, "scale": None}
    assert run.model_dump(exclude_none=True)["model"]["init"] == init
    assert parse_run(run.model_dump(mode="json")) == run


def test_options_can_be_changed_without_changing_the_run() -> None:
    run = parse_run({**BASE, "model": {"name": "f:g", "sizes": [1, 2]}})
    run.model.options["sizes"].append(3)
    assert run.model.options == {"sizes": [1, 2]}


@pytest.mark.parametrize(
    ("prune", "rates"),
    [
        ({}, (0.2, 0.2, 0.2)),
        ({"rate": 0.3}, (0.3, 0.3, 0.3)),
        ({"rate": 0.3, "output_rate": 0.1}, (0.3, 0.1, 0.3)),
        ({"conv_rate": 0.15}, (0.2, 0.2, 0.15)),
        ({"density": 0.9}, (0.1, 0.1, 0.1)),  # and not 0.09999999999999998
        ({"density": 0.1, "output_rate": 0.5}, (0.9, 0.5, 0.9)),
        ({"density": 1}, (0.0, 0.0, 0.0)),
        ({"density": 0.25, "rate": 0.75}, (0.75, 0.75, 0.75)),  # says one thing twice
    ],
)
def test_rates_that_are_not_given_follow(prune: dict[str, float], rates: tuple[float, ...]) -> None:
    found = parse_run({**BASE, "rounds": 1, "prune": prune}).prune
    assert (found.rate, found.output_rate, found.conv_rate) == rates


def test_arms_short_and_long() -> None:
    arms = ["ticket", {"name": "reinit", "draws": 3, "start": 0}, "constant", {"name": "sign_constant"}]
    found = [
        (arm.name, arm.draws, *(arm.options.get(key) for key in ("start", "value")))
        for arm in parse_run({**BASE, "arms": arms}).arms
    ]
    assert found == [
        ("ticket", 1, None, None),
        ("reinit", 3, 0, None),
        ("constant", 1, None, 0.5),
        ("sign_constant", 1, None, None),
    ]
    (_, constant) = parse_run({**BASE, "arms": ["ticket", {"name": "constant", "value": -2}]}).arms
    assert constant.options["value"] == -2.0


def test_one_arm_may_stand_there_twice_under_labels() -> None:
    arms = ["ticket", "reinit", {"name": "reinit", "label": "reinit_full", "start": 0}]
    found = parse_run({**BASE, "arms": arms}).arms
    assert [(arm.name, arm.label) for arm in found] == [
        ("ticket", "ticket"),
        ("reinit", "reinit"),
        ("reinit", "reinit_full"),
    ]
    dumped = [arm.model_dump() for arm in found]
    assert ["label" in arm for arm in dumped] == [False, False, True]
    assert parse_run({**BASE, "arms": dumped}).arms == found


def test_the_biases_of_constant_starts_are_each_arms_own_unless_given() -> None:
    arms = ["ticket", "constant", "sign_constant", "random_sign_constant"]
    found = parse_run({**BASE, "arms": arms}).arms
    assert [arm.options.get("biases") for arm in found] == [None, "zeros", "model", "model"]
    assert not any("biases" in arm.model_dump() for arm in found)
    other = {"name": "sign_constant", "biases": "zeros"}
    (_, changed) = parse_run({**BASE, "arms": ["ticket", other]}).arms
    assert changed.model_dump()["biases"] == "zeros"
    assert parse_run({**BASE, "arms": ["ticket", {**other, "biases": "model"}]}).arms[1] == found[2]


def test_an_arm_of_the_catalogue_has_the_rules_of_its_entry() -> None:
    (_, arm) = parse_run({**BASE, "arms": ["ticket", "random_mask_reinit"]}).arms
    assert (arm.mask, arm.values, arm.role) == ("tickets.arms:random_mask", "tickets.arms:fresh_draw", "control")
    assert arm.entry == ARMS["random_mask_reinit"]
    (_, frozen) = parse_run({**BASE, "arms": ["ticket", {"name": "reinit", "pruned": "initial"}]}).arms
    assert frozen.entry == replace(ARMS["reinit"], pruned="initial")
    assert frozen.model_dump() == {"name": "reinit", "draws": 1, "pruned": "initial", "start": None, "value": None}


def test_an_arm_of_the_users_has_rules_options_and_a_role() -> None:
    own = {"name": "mine", "values": "f:g", "scale": 2, "layers": ["fc"], "draws": 3}
    (_, arm) = parse_run({**BASE, "arms": ["ticket", own]}).arms
    assert (arm.name, arm.label, arm.draws, arm.options) == ("mine", "mine", 3, {"scale": 2, "layers": ["fc"]})
    assert arm.entry == ArmEntry("tickets.arms:round_mask", "f:g", "", random=True)
    assert arm.model_dump() == {**own, "mask": "tickets.arms:round_mask", "role": "control"}
    assert arm_entry(arm.model_dump(mode="json")) == arm.entry
    other = {**own, "mask": "h:i", "role": "measurement", "pruned": "initial", "label": "m"}
    run = parse_run({**BASE, "arms": ["ticket", other]})
    assert run.arms[1].entry == ArmEntry("h:i", "f:g", "", role="measurement", random=True, pruned="initial")
    assert run.arms[1].model_dump() == other
    assert parse_run(run.model_dump(mode="json")) == run


def test_the_score_and_its_options() -> None:
    for score in ("a:b", {"name": "a:b"}):
        run = parse_run({**BASE, "prune": {"score": score}})
        assert (run.prune.score.name, run.prune.score.options) == ("a:b", {})
        assert run.model_dump()["prune"]["score"] == "a:b"
    table = {"name": "a:b", "scale": 2}
    run = parse_run({**BASE, "prune": {"score": table}})
    assert (run.prune.score.name, run.prune.score.options) == ("a:b", {"scale": 2})
    assert run.model_dump()["prune"]["score"] == table
    assert parse_run(run.model_dump(mode="json")) == run


def test_the_probes_are_those_named_and_the_units_that_are_stored() -> None:
    def probes(**changed: Any) -> list[tuple[str, str, dict[str, Any]]]:
        run = parse_run({**BASE, **changed})
        assert parse_run(run.model_dump(mode="json")) == run
        return [(probe.name, probe.table, probe.options) for probe in run.every_probe]

    own = {"name": "a.b:f", "points": 3}
    assert probes() == []
    assert probes(store={"units": True}) == [("units", "units", {})]
    assert probes(probes=[own], store={"units": True}) == [("units", "units", {}), ("a.b:f", "f", {"points": 3})]
    assert [name for name, _, _ in probes(probes=[own, "units"], store={"units": True})] == ["a.b:f", "units"]
    assert "probes" not in parse_run({**BASE, "probes": []}).model_dump()
    assert parse_run({**BASE, "probes": [own, "units"]}).model_dump()["probes"] == (own, "units")


def test_the_loss_and_what_goes_with_it_are_written_where_they_are_given() -> None:
    given = {"loss": "cross_entropy", "label_smoothing": 0.1, "class_weights": [1, 2.5]}
    train = parse_run({**BASE, "train": given}).train
    assert (train.loss, train.label_smoothing, train.class_weights) == ("cross_entropy", 0.1, (1.0, 2.5))
    written = train.model_dump(mode="json")
    assert {key: written.get(key) for key in given} == {**given, "loss": None}
    assert parse_run({**BASE, "train": written}).train == train


def test_whole_numbers_stand_for_decimal_ones() -> None:
    run = parse_run({**BASE, "train": {"learning_rate": 1, "weight_decay": -0.0}})
    assert repr(run.train.learning_rate) == "1.0"
    assert repr(run.train.weight_decay) == "0.0"


def test_a_run_is_frozen_and_can_be_a_key() -> None:
    run = parse_run({**BASE, "model": {"name": "f:g", "sizes": [1, 2]}})
    with pytest.raises(ValidationError, match="frozen"):
        run.seed = 1
    assert {run: 1}[parse_run({**BASE, "model": {"name": "f:g", "sizes": [1, 2]}})] == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"seed": 2**63 - 1},
        {"rounds": 0},
        {"prune": {"rate": 0}},
        {"prune": {"rate": 1, "scope": "global"}},
        {"train": {"schedule": "step", "milestones": [1, 999]}},
        {"train": {"warmup_steps": 1000}},
        {"rewind": {"step": 999}},
        {"train": {"optimizer": "sgd", "momentum": 0.99}},
        {"prune": {"score": "my.scores:f"}},
        {"name": "x" * 100},
    ],
)
def test_what_is_just_legal(changed: dict[str, Any]) -> None:
    run = parse_run({**BASE, **changed})
    for key, value in changed.items():
        if isinstance(value, dict):
            found = getattr(run, key).model_dump(mode="json")
            assert {inner: found[inner] for inner in value} == value
        else:
            assert getattr(run, key) == value
