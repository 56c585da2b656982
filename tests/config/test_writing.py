from __future__ import annotations

import tempfile
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickets.catalogue import INITS as RULES
from tickets.config import Campaign, parse_campaign, read_campaign, to_toml

BASE: dict[str, Any] = {"name": "x", "data": "mnist1d", "model": "mlp"}


def read_back(campaign: Campaign) -> Campaign:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "campaign.toml"
        path.write_text(to_toml(campaign), encoding="utf-8")
        return read_campaign(path)


def test_defaults_are_written_and_what_has_no_value_is_not() -> None:
    written = tomllib.loads(to_toml(parse_campaign({**BASE, "data_folder": "d", "arms": ["ticket"]})))
    assert written == {
        "name": "x",
        "data_folder": "d",
        "seed": 0,
        "replicates": 5,
        "rounds": 16,
        "data": {"name": "mnist1d", "validation": 500},
        "model": {"name": "mlp", "init": "pytorch", "widths": [100, 100]},
        "arms": [{"name": "ticket", "draws": 1}],
        "train": {
            "optimizer": "adam",
            "learning_rate": 0.001,
            "momentum": 0.0,
            "weight_decay": 0.0,
            "batch_size": 100,
            "steps": 1000,
            "evaluate_every": 100,
            "schedule": "constant",
            "milestones": [],
            "gamma": 0.1,
            "warmup_steps": 0,
        },
        "prune": {
            "score": "magnitude",
            "scope": "layer",
            "rate": 0.2,
            "output_rate": 0.2,
            "conv_rate": 0.2,
            "exclude": [],
        },
        "rewind": {"step": 0},
        "store": {"trained": "ticket", "units": False},
        "compute": {"strategy": "auto"},
        "verdict": {"controls": ["reinit"], "margin": 0.05},
    }


def test_what_is_swept_and_what_follows_from_it_is_left_to_the_sweep() -> None:
    sweep = {"prune.rate": [0.1, 0.2], "model": ["mlp", "lenet_300_100"]}
    written = tomllib.loads(to_toml(parse_campaign({**BASE, "sweep": sweep})))
    assert written["sweep"] == sweep
    assert "model" not in written
    assert written["prune"] == {"score": "magnitude", "scope": "layer", "exclude": []}


def test_density_is_written_instead_of_the_rate() -> None:
    written = tomllib.loads(to_toml(parse_campaign({**BASE, "rounds": 1, "prune": {"density": 0.25}})))
    assert written["prune"]["density"] == 0.25
    assert "rate" not in written["prune"]


SWEEPS: list[dict[str, list[Any]]] = [
    {"prune.rate": [0.1]},
    {"prune.rate": [0.1, 0.3], "prune.output_rate": [0.5]},
    {"data": ["mnist", {"name": "digits", "validation": 3}]},
    {"data.name": ["mnist", "digits"]},
    {"data.name": ["mnist", "fashion_mnist"], "data.validation": [3]},
    {"model": [{"name": "a:b", "flag": 1}, {"name": "a:b", "flag": True}, "mlp"]},
    {"model.name": ["mlp", "a:b"], "model.widths": [[5], []]},
    {"model.init": ["zeros", {"name": "normal", "scale": 0.1}, "constant"]},
    {"model.init.name": ["constant", "pytorch", "sign_constant"]},
    {"model.init": ["uniform", "normal"], "model.init.scale": [0.05, 0.1]},
    {"model.name": ["mlp", "a:b"], "model.init": [{"name": "orthogonal", "gain": 2}]},
    {"train": [{"steps": 5}, {"schedule": "step", "milestones": [3]}], "train.batch_size": [7]},
    {"prune": [{"rate": 0.5}, {"scope": "global"}]},
    {"rewind.step": [0, 10], "seed": [1, 2]},
    {"prune.score": ["random", {"name": "a:b", "scale": 1}, "a:b"]},
    {"prune.score.name": ["a:b", "c:d"], "prune.score.scale": [1, 2]},
    {"train.loss": ["cross_entropy", "mse"]},
    {"train.label_smoothing": [0, 0.1], "train.class_weights": [[1, 2], []]},
]


@pytest.mark.parametrize("sweep", SWEEPS)
def test_sweeps_read_back(sweep: dict[str, list[Any]]) -> None:
    campaign = parse_campaign({**BASE, "sweep": sweep})
    assert read_back(campaign) == campaign


@pytest.mark.parametrize("values", [[0.5], [0.25], [0.25, 0.5], [0.5, 0.25]])
def test_a_swept_option_of_an_init_reads_back(values: list[float]) -> None:
    table = {**BASE, "model": {"name": "mlp", "init": {"name": "constant", "biases": "model"}}}
    campaign = parse_campaign({**table, "sweep": {"model.init.value": values}})
    assert tomllib.loads(to_toml(campaign))["model"]["init"] == {"name": "constant", "biases": "model"}
    assert read_back(campaign) == campaign
    plain = parse_campaign(
        {**BASE, "model": {"name": "mlp", "init": "constant"}, "sweep": {"model.init.value": values}}
    )
    assert read_back(plain) == plain


@pytest.mark.parametrize("densities", [[0.1], [0.1, 0.5]])
def test_swept_densities_read_back(densities: list[float]) -> None:
    campaign = parse_campaign({**BASE, "rounds": 1, "sweep": {"prune.density": densities}})
    assert read_back(campaign) == campaign


def test_a_density_below_a_swept_seed_reads_back() -> None:
    table = {**BASE, "rounds": 1, "prune": {"density": 0.1, "output_rate": 0.5}, "sweep": {"seed": [1, 2]}}
    assert read_back(parse_campaign(table)) == parse_campaign(table)


def some(**keys: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """A table with any of the keys."""
    return st.fixed_dictionaries({}, optional=keys)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
OPTIONS = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | FINITE | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
KEYS = TEXT.filter(lambda key: key not in ("name", "validation", "init", "folder"))
SHARE = st.floats(0, 1)
INIT_NAMES = st.sampled_from([name for name in RULES if name != "planted"])  # which needs a target
BIASES = st.sampled_from(["zeros", "model"])
SCALE = st.floats(0, 10, exclude_min=True)
INITS = st.one_of(
    INIT_NAMES,
    st.builds(lambda name, more: {"name": name, **more}, INIT_NAMES, some(biases=BIASES)),
    st.builds(lambda more: {"name": "constant", **more}, some(biases=BIASES, value=FINITE)),
    st.builds(
        lambda name, more: {"name": name, **more},
        st.sampled_from(["sign_constant", "uniform", "normal"]),
        some(biases=BIASES, scale=SCALE),
    ),
    st.builds(lambda more: {"name": "orthogonal", **more}, some(biases=BIASES, gain=SCALE)),
)
CUSTOM = st.builds(lambda options: {**options, "name": "my.own:f"}, st.dictionaries(KEYS, OPTIONS, max_size=3))
NAMED = st.sampled_from(["mnist1d", "digits", "mnist", "cifar10", "my.own:f"])
DATA = NAMED | st.builds(lambda name, more: {"name": name, **more}, NAMED, some(validation=st.integers(1, 99))) | CUSTOM
MODEL = (
    st.sampled_from(["mlp", "lenet_300_100", "conv2", "resnet20", "my.own:f"])
    | st.builds(lambda more: {"name": "mlp", **more}, some(init=INITS, widths=st.lists(st.integers(1, 99), max_size=3)))
    | st.builds(lambda more: {"name": "conv4", **more}, some(init=INITS, dropout=st.floats(0, 0.99)))
    | CUSTOM
)
ARM_KEYS = ("name", "label", "draws", "mask", "values", "role", "pruned")
CONTROLS = st.one_of(
    st.just("random_mask"),
    st.builds(lambda more: {"name": "reinit", **more}, some(draws=st.integers(1, 5), start=st.just(0))),
    st.builds(lambda more: {"name": "constant", **more}, some(value=FINITE)),
    st.builds(
        lambda options, more: {**options, "name": "mine", **more, "values": "my.own:f"},
        st.dictionaries(KEYS.filter(lambda key: key not in ARM_KEYS), OPTIONS, max_size=3),
        some(mask=st.just("a:b"), role=st.just("measurement"), pruned=st.just("initial"), draws=st.integers(1, 5)),
    ),
)
ARMS = st.builds(
    lambda controls: ["ticket", *controls],
    st.lists(CONTROLS, unique_by=lambda arm: arm if isinstance(arm, str) else arm["name"]),
)
OPTIMIZERS = some(optimizer=st.sampled_from(["adam", "adamw"])) | st.builds(
    lambda more: {"optimizer": "sgd", **more}, some(momentum=st.floats(0, 0.99))
)
SCHEDULES = some(schedule=st.sampled_from(["constant", "cosine"]), gamma=st.floats(0.01, 1)) | st.builds(
    lambda steps: {"schedule": "step", "milestones": sorted(steps)}, st.sets(st.integers(1, 99), min_size=1)
)
TRAIN = st.builds(
    lambda *tables: {key: value for table in tables for key, value in table.items()},
    some(
        learning_rate=st.integers(1, 10) | st.floats(0, 10, exclude_min=True),
        weight_decay=SHARE,
        label_smoothing=st.floats(0, 0.99),
        class_weights=st.lists(st.floats(0, 9, exclude_min=True), max_size=3),
        batch_size=st.integers(1, 10**9),
        steps=st.integers(100, 1000),
        evaluate_every=st.integers(1, 10**9),
        evaluate_on=st.none() | st.integers(1, 10**9),
        warmup_steps=st.integers(0, 100),
    ),
    OPTIMIZERS,
    SCHEDULES,
)
PRUNE = some(
    score=st.sampled_from(["magnitude", "random", "a.b:c"]) | CUSTOM,
    scope=st.sampled_from(["layer", "global"]),
    output_rate=SHARE,
    conv_rate=SHARE,
    exclude=st.lists(TEXT),
)
AMOUNT = st.builds(lambda rate, rounds: ({"rate": rate}, rounds), SHARE, st.integers(0, 10_000)) | st.builds(
    lambda density: ({"density": density}, 1), st.floats(0, 1, exclude_min=True)
)
SEEDS = st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=3, unique=True)
VALIDATIONS = st.lists(st.integers(1, 99), min_size=1, max_size=2, unique=True)


@st.composite
def campaign_files(draw: st.DrawFn) -> dict[str, Any]:
    amount, rounds = draw(AMOUNT)
    rest = some(
        seed=st.integers(0, 2**63 - 1),
        replicates=st.integers(1, 50),
        cohort_size=st.integers(1, 10**5),
        arms=ARMS,
        probes=st.lists(st.just("units") | CUSTOM, unique_by=lambda probe: isinstance(probe, str), max_size=2),
        data_folder=TEXT.filter(lambda text: text and "\0" not in text),
        train=TRAIN,
        rewind=some(step=st.integers(0, 99)),
        store=some(trained=st.sampled_from(["none", "ticket", "all"])),
        compute=some(
            strategy=st.sampled_from(["auto", "layered", "vectorised", "looped"]),
            memory_gib=st.floats(0, 99, exclude_min=True),
            threads=st.integers(1, 64),
        ),
        sweep=st.fixed_dictionaries({}, optional={"seed": SEEDS, "data.validation": VALIDATIONS}),
    )
    name = draw(st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,20}", fullmatch=True))
    table = {"name": name, "data": draw(DATA), "model": draw(MODEL), **draw(rest)}
    prune = draw(PRUNE)
    return {**table, "rounds": rounds, "prune": {**prune, **amount}}


@given(campaign_files())
def test_what_is_written_reads_back_as_the_same_campaign(table: dict[str, Any]) -> None:
    campaign = parse_campaign(table)
    again = read_back(campaign)
    assert again == campaign
    assert to_toml(again) == to_toml(campaign)
