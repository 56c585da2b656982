"""What the caller's process is set to neither changes a campaign's bits nor is changed by a campaign."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy  # noqa: F401 - torch imports it at its first use, and it adds a filter of warnings
import torch
from torch import nn

import tickets

LABELS = torch.arange(40) % 3
INPUTS = torch.randn(40, 4, generator=torch.Generator().manual_seed(1))


def data() -> tuple[torch.Tensor, ...]:
    """40 training and 6 test examples, made anew from nothing that is drawn."""
    return INPUTS, LABELS, INPUTS[:6], LABELS[:6]


def chain(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, classes))


def noisy(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """Vectorised by nothing: it draws."""
    return nn.Sequential(nn.Linear(4, 300), nn.Tanh(), nn.Dropout(0.5), nn.Linear(300, classes))


def attentive(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """Vectorised, with what makes tensors in its forward."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.outer = nn.Linear(4, 6), nn.Linear(6, classes)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            hidden = torch.tanh(self.inner(x)) + torch.arange(6) / torch.tensor(6.0)
            return self.outer(hidden) * torch.ones(classes)

    return Net()


@contextmanager
def torch_set_to(put: Any, value: Any, back: Any) -> Any:
    put(value)
    try:
        yield
    finally:
        put(back)


@contextmanager
def no_warnings() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@contextmanager
def another_folder(path: Path) -> Any:
    before = os.getcwd()
    os.chdir(path)
    try:
        yield
    finally:
        os.chdir(before)


CALLERS = {
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "grad disabled": lambda: torch.set_grad_enabled(False),
    "float64": lambda: torch_set_to(torch.set_default_dtype, torch.float64, torch.float32),
    "bfloat16": lambda: torch_set_to(torch.set_default_dtype, torch.bfloat16, torch.float32),
    "meta by default": lambda: torch_set_to(torch.set_default_device, "meta", None),
    "meta": lambda: torch.device("meta"),
    "deterministic": lambda: torch_set_to(torch.use_deterministic_algorithms, True, False),
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "denormals": lambda: torch_set_to(torch.set_flush_denormal, True, False),
    "numpy raises": lambda: np.errstate(all="raise"),
    "warnings": no_warnings,
    "anomalies": lambda: torch.autograd.set_detect_anomaly(True),
    "lower products": lambda: torch_set_to(torch.set_float32_matmul_precision, "medium", "highest"),
    "no oneDNN fast path": lambda: torch_set_to(torch.backends.mha.set_fastpath_enabled, False, True),
}


def state() -> dict[str, Any]:
    """What a caller can see of it."""
    return {
        "gradients": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "dtype": torch.get_default_dtype(),
        "device": torch.get_default_device(),
        "deterministic": torch.get_deterministic_debug_mode(),
        "autocast": torch.is_autocast_enabled("cpu"),
        "denormals": bool(torch.full((1,), 2.0**-130, dtype=torch.float32, device="cpu") * 1.0 == 0),
        "numpy": np.geterr(),
        "warnings": list(warnings.filters),
        "anomalies": torch.is_anomaly_enabled(),
        "products": torch.get_float32_matmul_precision(),
        "fast path": torch.backends.mha.get_fastpath_enabled(),
        "threads": torch.get_num_threads(),
        "folder": os.getcwd(),
        "python": random.getstate(),
        "generator": torch.get_rng_state().tolist(),
    }


@pytest.fixture
def train(campaign_file: Any, contents: Any, tmp_path: Path) -> Any:
    def run(name: str, model: str, **changes: Any) -> Any:
        table = {"rounds": 1, "data": {"name": f"{__name__}:data", "validation": 8}, "arms": ["ticket", "reinit"]}
        table |= {
            "model": model if ":" in model else f"{__name__}:{model}",
            "train": {"steps": 8, "batch_size": 8},
            **changes,
        }
        file = campaign_file(tmp_path / name, **table)
        tickets.run(file, out=tmp_path / name / "out")
        return contents(tmp_path / name / "out")

    return run


@contextmanager
def calling(*names: str) -> Any:
    """With the caller's settings of these names, all at once."""
    with ExitStack() as entered:
        for name in names:
            entered.enter_context(CALLERS[name]())
        yield


def test_the_callers_settings_change_no_bit_and_stay(train: Any) -> None:
    usual = train("usual", "attentive")
    for name in CALLERS:
        with calling(name):
            before = state()
            found = train(name, "attentive")
            assert state() == before, name
        assert found == usual, name


@pytest.mark.parametrize("model", ["chain", "noisy"])
def test_all_of_them_at_once_change_no_bit_of_other_models(train: Any, model: str) -> None:
    usual = train("usual", model)
    with calling(*CALLERS):
        before = state()
        found = train("set", model)
        assert state() == before
    assert found == usual


def test_a_network_is_built_whatever_the_caller_has_set(train: Any, tmp_path: Path) -> None:
    train("usual", "noisy")
    ticket = tickets.load(tmp_path / "usual" / "out", trust_code=True).ticket(0, 1)
    for name in CALLERS:
        with calling(name):
            before = state()
            network = ticket.build()
            assert state() == before, name
        for parameter, value in network.named_parameters():
            assert value.dtype == torch.float32
            assert not value.is_inference()
            assert np.array_equal(value.detach().numpy(), ticket.values[parameter]), name


def test_the_backends_own_precision_does_not_matter(train: Any) -> None:
    if not hasattr(torch.backends, "fp32_precision"):
        pytest.skip("this PyTorch has one way to set it")
    usual = train("usual", "noisy")
    torch.backends.mkldnn.matmul.fp32_precision = "bf16"
    try:
        assert train("lower", "noisy") == usual
        assert torch.backends.mkldnn.matmul.fp32_precision == "bf16"
    finally:
        torch.backends.mkldnn.matmul.fp32_precision = "none"


def test_what_a_users_function_sets_ends_with_it(train: Any, module: Any) -> None:
    source = """
import os, tempfile, torch
from torch import nn
if {early}:
    torch.set_default_dtype(torch.float64)
    torch.use_deterministic_algorithms(True)
def net(input_shape, classes):
    torch.set_default_dtype(torch.float64)
    os.chdir(tempfile.gettempdir())
    return nn.Sequential(nn.Linear(4, 6).float(), nn.Tanh(), nn.Linear(6, classes).float())
"""
    before = state()
    names = [f"{module('nets', source.format(early=early))}:net" for early in (False, True)]
    late, early = (train(when, name) for when, name in zip(("late", "early"), names, strict=True))
    assert state() == before
    key = next(name for name in late if name.endswith("initial/values.safetensors"))
    assert late[key] == early[next(name for name in early if name.endswith("initial/values.safetensors"))]


@pytest.mark.parametrize("model", ["chain", "noisy"])
def test_what_a_users_forward_sets_ends_with_its_trial(train: Any, module: Any, model: str) -> None:
    source = """
import torch
from torch import nn
from {here} import {model} as usual
class Net(nn.Module):
    def __init__(self, input_shape, classes):
        super().__init__()
        self.inner = usual(input_shape, classes)
    def forward(self, x):
        torch.set_default_dtype(torch.float64)
        return self.inner(x)
"""
    before = state()
    train("set", f"{module('nets', source.format(here=__name__, model=model))}:Net")
    assert state() == before


def test_what_a_score_or_a_training_sets_is_not_set_in_the_next_one(train: Any, module: Any) -> None:
    source = """
import torch
from torch import nn
from tickets.scores import by_tensor
found = []
@by_tensor
def score(weights):
    found.append(torch.get_default_dtype())
    torch.set_default_dtype(torch.float64)
    return weights.trained.abs()
class Net(nn.Module):
    def __init__(self, input_shape, classes):
        super().__init__()
        self.layer = nn.Linear(4, classes)
    def forward(self, x):
        torch.set_default_dtype(torch.float64)
        return self.layer(x)
"""
    name = module("nets", source)
    train("set", f"{name}:Net", prune={"score": f"{name}:score"}, compute={"strategy": "looped"}, replicates=2)
    assert len(found := sys.modules[name].found) >= 3  # tried, and of two replicates
    assert set(found) == {torch.float32}


def test_threads_that_train_at_once_get_the_bits_of_one_alone(train: Any) -> None:
    threads = torch.get_num_threads()
    tasks = [("noisy", {"seed": 0}), ("noisy", {"seed": 1, "compute": {"threads": 2}}), ("chain", {"seed": 2})]
    alone = [train(f"alone{index}", model, **changes) for index, (model, changes) in enumerate(tasks)]
    for trial in range(2):
        with ThreadPoolExecutor(3) as pool:
            futures = [
                pool.submit(train, f"together{trial}{index}", model, **changes)
                for index, (model, changes) in enumerate(tasks)
            ]
            assert [future.result() for future in futures] == alone
            assert list(pool.map(lambda _: torch.get_num_threads(), range(3))) == [threads] * 3
    assert torch.get_num_threads() == threads


WARNING = """
import warnings
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(64, 10)
    def forward(self, x):
        warnings.warn("as PyTorch gives one for many operations")
        return self.layer(x.flatten(1)).tanh()
"""


@pytest.mark.usefixtures("preloaded")
def test_a_warning_that_the_caller_has_raised_is_shown_by_a_campaign(module: Any, campaign_file: Any, tmp_path: Path):
    file = campaign_file(tmp_path, rounds=0, model=f"{module('warning', WARNING)}:Net")
    script = "import sys, warnings, tickets; warnings.simplefilter('error'); tickets.run(sys.argv[1], out=sys.argv[2])"
    given = [sys.executable, "-c", script, str(file), str(tmp_path / "out")]
    done = subprocess.run(given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "as PyTorch gives one for many operations" in done.stderr
