from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tickets.errors import InputError
from tickets.models import check_output, factory

MODULE = """
from torch import nn

def wide(input_shape, width=8, *, depth):
    wide.seen = input_shape
    return nn.Sequential(nn.Flatten(), nn.Linear(4, width), nn.Linear(width, depth))

def fixed():
    return nn.Linear(4, 2)

class Net(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.layer = nn.Linear(4, classes)

    def forward(self, inputs):
        return self.layer(inputs)

def broken(classes):
    raise TypeError("no good")

def nothing(classes):
    return "a model"
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """The name of an importable module of the user's, another one for every test."""
    name = f"users_models_{request.node.name}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    return name


def shapes(build: Any) -> list[tuple[int, ...]]:
    return [tuple(parameter.shape) for parameter in build().parameters()]


def test_a_name_of_the_catalogue() -> None:
    build = factory("mlp", {"widths": [3]}, (2, 2), 5)
    assert shapes(build) == [(3, 4), (3,), (5, 3), (5,)]
    assert build() is not build()
    assert len(shapes(factory("resnet20", {}, [3, 8, 8], 10))) == 65


def test_users_functions_get_what_they_have_parameters_for(module: str) -> None:
    import importlib

    assert shapes(factory(f"{module}:wide", {"depth": 3}, [4], 9)) == [(8, 4), (8,), (3, 8), (3,)]
    assert importlib.import_module(module).wide.seen == (4,)
    assert shapes(factory(f"{module}:fixed", {}, (4,), 2)) == [(2, 4), (2,)]
    assert shapes(factory(f"{module}:Net", {}, (4,), 3)) == [(3, 4), (3,)]


def test_a_class_that_is_no_module_is_not_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a_class_of_mine.py").write_text("class Loud:\n    def __init__(self):\n        raise SystemExit\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match=r"model 'a_class_of_mine:Loud': is a class, but no torch.nn.Module; it was"):
        factory("a_class_of_mine:Loud", {}, (4,), 2)


def test_an_unknown_name_offers_the_nearest() -> None:
    with pytest.raises(
        InputError, match=r"model = 'conv3': unknown; did you mean 'conv.'\? \(allowed: mlp, lenet_300_100"
    ):
        factory("conv3", {}, (3, 8, 8), 10)


def test_wrong_and_missing_options_are_all_told(module: str) -> None:
    name = f"{module}:wide"
    with pytest.raises(InputError) as caught:
        factory(name, {"widht": 3, "classes": 4}, (4,), 2)
    assert caught.value.problems == (
        f"model.widht = 3: '{name}' has no such option; did you mean 'width'? (allowed: width, depth)",
        f"model.classes = 4: '{name}' gets 'classes' from the program; leave it out",
        f"model.depth: '{name}' needs this option and it is not given (allowed: width, depth)",
    )


def test_a_constructor_that_fails_is_quoted(module: str) -> None:
    build = factory(f"{module}:broken", {}, (4,), 2)
    with pytest.raises(InputError, match="broken': building it failed: TypeError: no good") as caught:
        build()
    assert isinstance(caught.value.__cause__, TypeError)
    with pytest.raises(InputError, match="multiples of 8"):  # its own InputError as it is
        factory("conv6", {}, (1, 28, 28), 10)()


def test_what_is_no_module_is_refused(module: str) -> None:
    with pytest.raises(InputError, match=r"nothing': its function returned a str; must be a torch.nn.Module"):
        factory(f"{module}:nothing", {}, (4,), 2)()
    with pytest.raises(InputError, match=r"'f': its function returned a int; must be a torch.nn.Module"):
        check_output(3, (4,), 2, "f")


class Odd(nn.Module):
    """Returns what it is told to, whatever goes in."""

    def __init__(self, output: Any) -> None:
        super().__init__()
        self.output = output

    def forward(self, inputs: Tensor) -> Any:
        return self.output


def test_a_fitting_model_passes_and_is_left_as_it_was() -> None:
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Dropout(0.5))
    model[1].eval()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    torch.manual_seed(0)
    before = torch.get_rng_state()
    check_output(model, (4,), 3, "m")
    assert [part.training for part in model.modules()] == [True, True, False, True]
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in state.items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert torch.equal(torch.get_rng_state(), before)


def test_the_random_numbers_of_a_forward_pass_leave_no_trace() -> None:
    class Noisy(nn.Module):
        def forward(self, inputs: Tensor) -> Tensor:
            return torch.rand(len(inputs), 3)

    before = torch.get_rng_state()
    check_output(Noisy(), (4,), 3, "noisy")
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (
            torch.zeros(2, 4),
            r"model 'm' maps inputs of shape \(2, 7\) to \(2, 4\); must be "
            r"\(2, 3\): \(examples, classes\), as the data has 3",
        ),
        (torch.zeros(3), r"to \(3,\); must be \(2, 3\)"),
        (torch.zeros(2, 3, dtype=torch.int64), "returns torch.int64 numbers; must be floating-point logits"),
        ((torch.zeros(2, 3),), r"returns a tuple; must be one tensor of shape \(2, 3\)"),
    ],
)
def test_another_output_is_refused(output: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_output(Odd(output), (7,), 3, "m")


def test_a_forward_pass_that_fails_is_quoted() -> None:
    model = nn.Linear(5, 3)
    with pytest.raises(
        InputError, match=r"model 'm' fails on inputs of shape \(2, 4\): RuntimeError: mat1 and mat2"
    ) as caught:
        check_output(model, (4,), 3, "m")
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert model.training


def test_a_function_that_writes_to_its_options_gets_the_same_ones_at_the_next_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = (
        "from torch import nn\ndef net(sizes, classes):\n    sizes.append(classes)\n    return nn.Linear(*sizes[-2:])\n"
    )
    (tmp_path / "users_models_that_write.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    options = {"sizes": [4]}
    build = factory("users_models_that_write:net", options, (4,), 3)
    assert shapes(build) == shapes(build) == [(3, 4), (3,)]
    assert options == {"sizes": [4]}
