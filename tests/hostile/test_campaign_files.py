"""Any text, and campaign files with any values in them, are a Campaign or an InputError, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hostile.campaign_readers import READERS, refused
from hostile.places import Place, changed, places, value_at
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tickets.config import Campaign, parse_campaign, read_campaign
from tickets.errors import InputError

# Each example rewrites the file of its test.
QUICK = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None)

FULL: dict[str, Any] = {
    "name": "full",
    "seed": 1,
    "replicates": 3,
    "rounds": 2,
    "cohort_size": 2,
    "data_folder": "there",
    "data": {"name": "circle", "examples": 100, "test": 50, "noise": 0.1, "validation": 5},
    "model": {"name": "mlp", "widths": [5, 4], "dropout": 0.1, "init": {"name": "constant", "value": 0.5}},
    "arms": [
        "ticket",
        {"name": "reinit", "draws": 2, "label": "again", "train": {"steps": 9, "learning_rate": 0.1}},
        {"name": "mine", "mask": "a.b:c", "values": "d:e", "role": "control", "depth": [1, {"k": 2}]},
        {"name": "pruned_at_init", "score": {"name": "snip", "examples": 5}},
    ],
    "probes": ["units", {"name": "connectivity", "points": 5}, {"name": "sharpness", "examples": 5}],
    "train": {
        "optimizer": "sgd", "learning_rate": 0.1, "momentum": 0.9, "weight_decay": 0.0, "batch_size": 5, "steps": 10,
        "evaluate_every": 2, "evaluate_on": 5, "schedule": "step", "milestones": [3, 6], "gamma": 0.5,
        "warmup_steps": 1, "loss": "cross_entropy", "label_smoothing": 0.1, "class_weights": [1.0, 2.0],
    },
    "prune": {"score": "magnitude", "scope": "layer", "rate": 0.2, "output_rate": 0.1, "exclude": ["a*"]},
    "rewind": {"step": 2},
    "store": {"trained": "all"},
    "compute": {"memory_gib": 1.0, "threads": 2},
    "verdict": {"density": 0.5, "controls": ["again"], "margin": 0.1},
    "sweep": {"seed": [1]},
}  # fmt: skip

NUMBERS = (
    0, -1, 1, 2**31, 2**63 - 1, 2**63, 2**64, -(2**63) - 1, 10**12, 10**300, 0.0, -0.0, 0.5, 1e-320, 1e308,
    float("inf"), float("-inf"), float("nan"), True,
)  # fmt: skip
EXTREME = (-1, 2**63, 10**12, 10**300, 10**5000, -0.0, 1e308, float("inf"), float("nan"))
TEXTS = st.sampled_from(("", "\0", "\x1b]0;x\x07", "\u202e", "\ud800", "a" * 100_000, "a.b:c", "../..", "mlp", "a\nb"))
LEAVES = st.none() | st.sampled_from(NUMBERS) | TEXTS | st.text(max_size=5)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)


PLACES = places(FULL)[1:]


def problems(table: dict[str, Any]) -> tuple[str, ...]:
    """The errors of a table; empty for a campaign. Any other exception passes."""
    try:
        assert isinstance(parse_campaign(table), Campaign)
    except InputError as error:
        return error.problems
    return ()


def test_the_campaign_that_is_changed_is_right() -> None:
    assert len(parse_campaign(FULL).runs) == 1


@QUICK
@given(place=st.sampled_from(PLACES), new=VALUES)
def test_any_value_at_any_place_of_a_mapping(place: Place, new: Any) -> None:
    assert all(len(line) < 5000 for line in problems(changed(FULL, place, new)))


@pytest.mark.parametrize("number", EXTREME, ids=range(len(EXTREME)))
def test_any_number_at_every_place_with_a_number(number: float) -> None:
    numbers = [place for place in PLACES if isinstance(value_at(FULL, place), int | float)]
    assert len(numbers) > 30
    for place in numbers:
        problems(changed(FULL, place, number))


SNIPPETS = (
    'name = "a"\n', 'data = "digits"\n', 'model = "mlp"\n', "[sweep]\n", "seed = [1, 2]\n", "[train]\n", "steps = ",
    "1e999", "1979-05-27", "nan", "[[", "]]", "{", "}", '"', '"""', "'''", "#", "\\", "\n", "=", ",", "a.b.c", "0x",
    "\x1b",
)  # fmt: skip


@pytest.mark.parametrize("name", READERS)
@settings(QUICK, max_examples=40)
@given(text=st.lists(st.sampled_from(SNIPPETS) | st.text(max_size=4), max_size=12).map("".join))
def test_any_text(name: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / "any.toml"
    path.write_text(text, encoding="utf-8", errors="replace")
    refused(READERS[name], path)


@pytest.mark.parametrize("name", ["campaign_of_json", "saved_config"])
@settings(QUICK, max_examples=40)
@given(place=st.sampled_from(PLACES), new=VALUES)
def test_any_json(name: str, place: Place, new: Any, tmp_path: Path) -> None:
    path = tmp_path / "any.json"
    path.write_text(json.dumps(changed(FULL, place, new)))
    refused(READERS[name], path)


STRINGS = "s = \"\"\"a\\\"\"\"\"\nt = '''b'''\nu = 'c\"'\n"
SEEDS = f"[sweep]\nseed = {list(range(1000))}\n"
B = 'name = "z"\ndata = "digits"\nmodel = "mlp"\n'
BOMBS = {
    "nested lists": (f"a = {'[' * 50_000}", "nested too deep"),
    "nested tables": ("a = " + "{a = " * 50_000, "nested too deep"),
    "a table of many parts": (f"[{'a.' * 50_000}a]", "nested too deep"),
    "a key of many parts": (f"{'a.' * 50_000}a = 1", "nested too deep"),
    "a key of many quoted parts": ('"a" . ' * 50_000 + "a = 1", "nested too deep"),
    "many parts after a comment": ("# it's\n" + "a." * 50_000 + "a = 1", "nested too deep"),
    "many parts after strings": (STRINGS + "a." * 50_000 + "a = 1", "nested too deep"),
    "many values": (f"a = [{'1,' * 600_000}]", "more than 250,000 values"),
    "a long number": (f"a = {'9' * 5000}", "a whole number of more than 4,300 digits"),
    "a long hexadecimal number": (f"{B}a = 0x{'f' * 5000}", "a: must be a number of fewer digits"),
    "many unknown keys": (B + "\n".join(f"k{n} = 1" for n in range(20_000)), "and 19,900 more errors like these"),
    "a long key": (f"{B}{'k' * 100_000} = 1", f"{'k' * 100}... (100,000 characters): unknown key"),
    "a sweep of a million": (f"{B}{SEEDS}train.batch_size = {list(range(1, 1001))}", "1,000,000 points"),
    "many equal points": (f"{B}[sweep]\nseed = {[0] * 150}", "do not make separate runs"),
    "many wrong points": (f"{B}rounds = -1\n[sweep]\nseed = {list(range(300))}", "rounds = -1: must be at least 0"),
    "a swept key of many parts": (f"{B}[sweep]\n\"data." + "a." * 50_000 + 'a" = [1]', "too many parts"),
    "many arms": (f"{B}arms = [" + '"ticket",' * 100_000 + "]", "has 100,000 elements; must be at most 1,000"),
    "trainings": (f"{B}replicates = 100000\nrounds = 9999", "asks for 3,000,000,000 trainings in one run"),
    "draws": (
        f"{B}replicates = 1\nrounds = 0\n" + 'arms = ["ticket"' + "".join(
            f', {{ name = "reinit", label = "l{n}", draws = 10000 }}' for n in range(900)) + "]",
        "makes 9,000,001 networks of one replicate"),
    "evaluations": (f"{B}[train]\nsteps = 1000000000\nevaluate_every = 1", "means 1,000,000,000 evaluations in each"),
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_an_error_that_says_its_bound(name: str, tmp_path: Path) -> None:
    text, said = BOMBS[name]
    path = tmp_path / "bomb.toml"
    path.write_text(text)
    error = refused(READERS["campaign_file"], path)
    assert error is not None
    assert said in str(error)
    assert len(error.problems) <= 101
    assert len(str(error)) < 100_000


@pytest.mark.parametrize(
    ("key", "value", "most"),
    [
        ("replicates", 100_001, "100,000"),
        ("rounds", 10_001, "10,000"),
        ("compute.threads", 4097, "4,096"),
        ("compute.memory_gib", 1e308, "1,048,576"),
        ("train.steps", 10**9 + 1, "1,000,000,000"),
        ("train.batch_size", 10**12, "1,000,000,000"),
        ("data.validation", 2**70, "1,000,000,000"),
    ],
)
def test_a_count_above_its_bound(key: str, value: float, most: str) -> None:
    with pytest.raises(InputError) as caught:
        read_campaign({"name": "z", "data": "digits", "model": "mlp"}, [f"{key}={value!r}"])
    assert f"{key} = {value}: must be at most {most}" in str(caught.value)


def test_what_a_large_campaign_asks_for_is_allowed() -> None:
    table = {"name": "z", "data": "digits", "model": "mlp", "replicates": 5000, "rounds": 100}
    assert parse_campaign(table).runs[0].replicates == 5000
    assert len(parse_campaign({**table, "sweep": {"seed": list(range(500))}}).runs) == 500


def test_a_mapping_that_holds_itself() -> None:
    table: dict[str, Any] = {"name": "z", "data": "digits", "model": "mlp"}
    table["data"] = {"name": "a:b", "again": table}
    with pytest.raises(InputError, match=r"^data.again.data: its lists or tables are nested too deep"):
        parse_campaign(table)
    wide: list[Any] = []
    wide += [wide, wide]
    with pytest.raises(InputError, match="nested too deep"):
        parse_campaign({"name": "z", "data": {"name": "a:b", "wide": wide}, "model": "mlp"})


def test_not_a_regular_file(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "fifo")
    for path, kind in ((tmp_path / "fifo", "is a FIFO"), (Path("/dev/zero"), "is a device"), (tmp_path, "is a folder")):
        error = refused(READERS["campaign_file"], path)
        assert error is not None
        assert kind in str(error)


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "large.toml").open("wb") as file:
        file.truncate(100 * 2**20)  # no byte of it is on the disk
    error = refused(READERS["campaign_file"], tmp_path / "large.toml")
    assert error is not None
    assert "has 104,857,600 bytes; such a file has at most 8,388,608" in str(error)


def test_the_largest_campaign_that_is_written_is_read_again(tmp_path: Path) -> None:
    table = {"name": "z", "data": "digits", "model": "mlp", "sweep": {"seed": [10**18 + n for n in range(100_000)]}}
    assert len(tomli_w.dumps(table)) < 8 * 2**20
