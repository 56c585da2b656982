"""Options as functions declare them: read from source text, and described for `tickets list`."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from typing import Annotated, Any, get_args, get_type_hints

import pytest

from tickets import catalogue
from tickets.config import ArmConfig, ModelConfig, ScoreConfig, parse_run, signatures
from tickets.config.named import added_later
from tickets.config.own_train import NONE
from tickets.config.signatures import options_of
from tickets.config.types import (
    ADDED_LATER,
    AddedLater,
    Biases,
    Count,
    CountsFromOne,
    FractionBelowOne,
    Label,
    Number,
    Positive,
    Target,
    Zero,
    described,
)

TABLES = (catalogue.MODELS, catalogue.DATA, catalogue.INITS, catalogue.ARMS, catalogue.SCORES, catalogue.PROBES)
TARGETS = sorted({target for table in TABLES for entry in table.values() for target in entry.targets})


@pytest.mark.parametrize("target", TARGETS)
def test_what_is_read_from_the_source_is_what_python_sees(target: str) -> None:
    module, _, name = target.partition(":")
    function = getattr(importlib.import_module(module), name)
    parameters = inspect.signature(function).parameters.values()
    wanted = {one.name: one.default for one in parameters if one.default is not one.empty}
    found = options_of(target)
    assert {key: option.default for key, option in found.items()} == wanted
    assert list(found) == list(wanted)
    hints = get_type_hints(function, include_extras=True) if wanted else {}
    for key, option in found.items():
        assert get_args(option.type) == get_args(hints[key])


def test_two_functions_share_their_options() -> None:
    found = options_of("tickets.arms:sign_constant", "tickets.arms:constant")
    assert {key: option.default for key, option in found.items()} == {"value": 0.5, "biases": "model", "start": None}
    assert options_of("tickets.arms:random_mask", "tickets.arms:constant") == options_of("tickets.arms:constant")


def test_a_function_of_another_package_declares_nothing() -> None:
    assert options_of("numpy:mean") == {}
    assert options_of("no_such_package:f") == {}


SOURCE = """
def bare(x, k=1): ...
def other(x, k: float = 1.0, *, j: NoSuchType = 2): ...
def good(x, /, y, k: Count = 1, *, needed, j: AddedLater[Positive] = 2.0) -> None: ...
class Made:
    def inner(self, k: Count = 1): ...
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    (tmp_path / "own.py").write_text(SOURCE)
    monkeypatch.setattr(signatures, "_PACKAGE", tmp_path)
    monkeypatch.setattr(signatures, "_NAME", "some")
    yield
    options_of.cache_clear()


def test_parameters_with_a_default_are_options_and_others_are_given_by_the_program(package: None) -> None:
    found = options_of("some.own:good")
    assert {key: (option.default, option.added_later) for key, option in found.items()} == {
        "k": (1, False), "j": (2.0, True),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("bare", "some.own:bare: k needs a type of tickets.config.types"),
        ("other", "some.own:other: the type of j is not one of tickets.config.types"),
        ("inner", "some.own:inner: no such function at the top of its module"),
        ("none", "some.own:none: no such function at the top of its module"),
    ],
)
def test_a_signature_without_types_is_an_error_of_the_package(package: None, function: str, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        options_of(f"some.own:{function}")


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (int, "a whole number"),
        (float, "a number"),
        (bool, "true or false"),
        (Number, "a number"),
        (Count, "a whole number, at least 0"),
        (Positive, "a number, greater than 0"),
        (Positive | None, "a number, greater than 0"),
        (FractionBelowOne, "a number, at least 0 and less than 1"),
        (AddedLater[FractionBelowOne], "a number, at least 0 and less than 1"),
        (CountsFromOne, "a list of whole numbers, each at least 1"),
        (tuple[str, ...], "a list of strings"),
        (Biases, '"zeros" or "model"'),
        (Zero | None, "0"),
        (Target, '"module:function"'),
        (Annotated[Label, "more"], described(Label)),
    ],
)  # fmt: skip
def test_types_are_described_by_what_they_allow(kind: Any, words: str) -> None:
    assert described(kind) == words


def test_what_was_added_later_is_written_only_where_it_is_not_at_its_default() -> None:
    assert ADDED_LATER in get_args(AddedLater[Positive])
    assert added_later(ArmConfig.form({"name": "sign_constant"})) == {
        "pruned": "zero", "train": NONE, "biases": "model",
    }  # fmt: skip
    assert added_later(ArmConfig.form({"name": "reinit"})) == {"pruned": "zero", "train": NONE}
    assert ModelConfig(name="mlp", dropout=0).model_dump() == ModelConfig(name="mlp").model_dump()
    assert "dropout" not in ModelConfig(name="mlp").model_dump()
    assert ModelConfig(name="mlp", dropout=0.5).model_dump()["dropout"] == 0.5
    assert ModelConfig(name="conv2").model_dump()["dropout"] == 0.0
    assert ScoreConfig(name="magnitude").model_dump() == "magnitude"


def test_options_may_have_any_name() -> None:
    names = ("options", "form", "entries", "names", "is_own", "shortest", "model_fields", "copy")
    model = parse_run({"name": "x", "data": "digits", "model": {"name": "f:g", **dict.fromkeys(names, 1)}}).model
    assert model.options == dict.fromkeys(names, 1)
    assert model.model_dump() == {"name": "f:g", "init": "pytorch", **dict.fromkeys(names, 1)}


def test_reading_a_campaign_imports_no_torch() -> None:
    code = (
        "import sys; from tickets.config import parse_run; from tickets import catalogue\n"
        "for model in catalogue.MODELS:\n"
        "    parse_run({'name': 'x', 'data': 'cifar10', 'model': model, 'arms': list(catalogue.ARMS)})\n"
        "print(sorted({'torch', 'pandas', 'numpy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"
