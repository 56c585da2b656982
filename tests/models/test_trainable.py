"""Networks that cannot be trained are refused in words before anything is written."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
import torch
from torch import nn

import tickets
from tickets.errors import InputError
from tickets.models.trainable import check_trainable, untrainable


def plain() -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 3), nn.ReLU(), nn.Linear(3, 10))


def with_buffer(value: torch.Tensor) -> nn.Module:
    module = plain()
    module.register_buffer("extra", value)
    return module


def with_parameter(value: torch.Tensor, trained: bool = True) -> nn.Module:
    module = plain()
    module.register_parameter("extra", nn.Parameter(value, requires_grad=trained))
    return module


def quantised() -> nn.Module:
    if not hasattr(torch.ao.quantization, "quantize_dynamic"):
        pytest.skip("this PyTorch has no quantised modules")
    return torch.ao.quantization.quantize_dynamic(plain(), {nn.Linear})


CPU = r"build it on the CPU \(--device says where it is trained\)"
CASES: dict[str, tuple[Callable[[], nn.Module], list[str]]] = {
    "lazy": (
        lambda: nn.Sequential(nn.Flatten(), nn.LazyLinear(10)),
        ["its module '1' is a LazyLinear whose parameters have no shape before its first input; give its input size"],
    ),
    "lazy buffers": (
        lambda: nn.Sequential(nn.Flatten(), nn.LazyBatchNorm1d(), nn.Linear(64, 10)),
        ["its module '1' is a LazyBatchNorm1d whose parameters"],
    ),
    "data parallel": (lambda: nn.DataParallel(plain()), ["it is a DataParallel; return the network within it"]),
    "data parallel inside": (
        lambda: nn.Sequential(nn.DataParallel(plain())),
        ["its module '0' is a DataParallel; return the network within it"],
    ),
    "half": (
        lambda: plain().half(),
        [r"parameter '1\.weight' \(and 3 more\) has dtype float16; must be float32 \(or float64\)"],
    ),
    "bfloat16": (lambda: plain().bfloat16(), ["has dtype bfloat16; must be float32"]),
    "complex": (
        lambda: with_parameter(torch.zeros(2, dtype=torch.complex64)),
        ["parameter 'extra' has dtype complex64"],
    ),
    "whole numbers": (
        lambda: with_parameter(torch.zeros(2, dtype=torch.int64), trained=False),
        ["parameter 'extra' has dtype int64; .*whole numbers are for buffers"],
    ),
    "half buffer": (
        lambda: with_buffer(torch.zeros(2, dtype=torch.float16)),
        ["buffer 'extra' has dtype float16; must be float32, float64, whole numbers or bool"],
    ),
    "complex buffer": (
        lambda: with_buffer(torch.zeros(2, dtype=torch.complex64)),
        ["buffer 'extra' has dtype complex64"],
    ),
    "sparse": (lambda: with_parameter(torch.eye(3).to_sparse()), ["parameter 'extra' has the layout sparse_coo"]),
    "sparse buffer": (lambda: with_buffer(torch.eye(3).to_sparse()), ["buffer 'extra' has the layout sparse_coo"]),
    "meta": (lambda: plain().to("meta"), [rf"parameter '1\.weight' \(and 3 more\) is on the meta device.*{CPU}"]),
    "meta buffer": (
        lambda: with_buffer(torch.zeros(2, device="meta")),
        [f"buffer 'extra' is on the meta device.*{CPU}"],
    ),
    "nothing": (lambda: nn.Flatten(), ["has no parameter to train; at least one must have requires_grad"]),
    "frozen": (lambda: plain().requires_grad_(False), ["has no parameter to train"]),
    "script": (lambda: torch.jit.script(plain()), ["it is a TorchScript module; return the nn.Module"]),
    "script inside": (lambda: nn.Sequential(torch.jit.script(plain())), ["its module '0' is a TorchScript module"]),
    "compiled": (lambda: torch.compile(plain()), ["it is compiled by torch.compile; return the network as it was"]),
    "quantised": (
        quantised,
        [r"its module '1' is quantised \(Linear\)", r"its module '3' is quantised \(Linear\)"],
    ),
    "several": (
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 10).half(), nn.BatchNorm1d(10).half()),
        [
            r"parameter '1\.weight' \(and 3 more\) has dtype",
            r"buffer '2\.running_mean' \(and 1 more\) has dtype float16",
        ],
    ),
}


def made(case: str) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is old or new in PyTorch says so
        return CASES[case][0]()


@pytest.mark.parametrize("case", CASES)
def test_what_cannot_be_trained_is_said_with_what_to_do(case: str) -> None:
    module = made(case)
    problems = untrainable(module)
    assert len(problems) == len(CASES[case][1])
    for message in CASES[case][1]:
        with pytest.raises(InputError, match=message):
            check_trainable(module, "mine")
    with pytest.raises(InputError, match=r"^model 'mine': "):
        check_trainable(module, "mine")


def not_a_module() -> list[int]:
    return [1]


def a_class() -> type:
    return nn.Linear


@pytest.mark.parametrize("case", ["lazy", "data parallel", "half buffer", "script", "compiled", "meta", "quantised"])
def test_a_campaign_of_it_is_refused_and_writes_nothing(case: str, campaign_file, tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(globals(), "build", lambda: made(case))
    file = campaign_file(tmp_path / "file", model=f"{__name__}:build")
    with pytest.raises(InputError, match=CASES[case][1][0]):
        tickets.run(file, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("function", "what"), [("not_a_module", "list"), ("a_class", "type")])
def test_what_is_no_module_is_refused(function: str, what: str, campaign_file, tmp_path) -> None:
    file = campaign_file(tmp_path / "file", model=f"{__name__}:{function}")
    with pytest.raises(InputError, match=f"its function returned a {what}; must be a torch.nn.Module"):
        tickets.run(file, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "module",
    [
        plain(),
        plain().double(),
        nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)),
        nn.utils.parametrizations.weight_norm(nn.Linear(3, 3)),
        nn.utils.parametrizations.spectral_norm(nn.Linear(3, 3)),
        with_buffer(torch.zeros(2, dtype=torch.bool)),
        with_parameter(torch.tensor(1.0)),
        nn.Sequential(nn.Linear(3, 3).requires_grad_(False), nn.Linear(3, 3)),
    ],
)
def test_what_can_be_trained_is_let_through(module: nn.Module) -> None:
    assert untrainable(module) == []


class Double(nn.Module):
    """Computes in float64."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(64, 6), nn.Tanh(), nn.Linear(6, 10)).double()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x.double())


def test_a_network_of_float64_is_trained_in_float64(campaign_file, tmp_path) -> None:
    saved = tickets.run(campaign_file(tmp_path, rounds=1, model=f"{__name__}:Double"), out=tmp_path / "out")
    ticket = saved.ticket(0, 1)
    assert {str(value.dtype) for value in (*ticket.values.values(), *ticket.trained.values())} == {"float64"}
    assert not saved.rounds["diverged"].any()
    assert saved.rounds["final_test_accuracy"].min() > 0.2


def test_a_network_of_float64_that_converts_nothing_is_told_so(campaign_file, tmp_path) -> None:
    with pytest.raises(InputError, match=r"fails on inputs of shape .*float64.*x\.double\(\)"):
        tickets.run(campaign_file(tmp_path, model=f"{__name__}:doubled"), out=tmp_path / "out")


def doubled() -> nn.Module:
    return plain().double()
