"""What is the same for every replicate and round of a run: its model, its data, and how they are computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor, nn

from tickets.config import Run
from tickets.data import Examples
from tickets.execution_plan import Plan
from tickets.fitting import Fitted, score_function
from tickets.probes import Probe
from tickets.process_state import standard_state
from tickets.scores import Score
from tickets.selection import Candidates
from tickets.stack.architecture import Prunable, bias_names
from tickets.stack.chain import chain_of
from tickets.stack.convolutions import convolutions_met
from tickets.stack.memory import activation_bytes
from tickets.tasks import Scale


@dataclass(frozen=True)
class Setting:
    """A run, made ready. examples, module (the architecture's template): on `device`. fresh: every parameter and
    buffer from a seed, on the CPU. parameters: the names of those that are trained; the others are frozen.

    probes: what is measured of each round. pixels: of a chain's weights, or of a model's convolutions, how often each
    is used for one example. scale: what losses and accuracies mean.
    """

    run: Run
    examples: Examples
    build: Callable[[], nn.Module]
    fresh: Callable[[int], dict[str, Tensor]]
    parameters: tuple[str, ...]
    prunable: tuple[Prunable, ...]
    probes: tuple[Probe, ...]
    score: Score
    candidates: Candidates
    module: nn.Module
    plan: Plan
    pixels: Mapping[str, int]
    activations: int
    device: torch.device
    scale: Scale

    @property
    def has_images(self) -> bool:
        """Whether the model has convolutions that may be sparse."""
        return any(pixels > 1 for pixels in self.pixels.values())

    @property
    def biases(self) -> frozenset[str]:
        """The parameters that are biases, less those that are frozen."""
        return bias_names(self.module, self.prunable)


@standard_state()
def make_setting(fitted: Fitted, plan: Plan, device: torch.device) -> Setting:
    """Everything that the rounds of a run need, with its examples on the device."""
    run, module = fitted.run, fitted.module
    shape, dtype = fitted.source.examples.input_shape, fitted.source.examples.train_inputs.dtype
    examples = on_device(fitted.source.examples, device)
    return Setting(
        run=run,
        examples=examples,
        build=fitted.build,
        fresh=fitted.fresh,
        parameters=fitted.trained,
        prunable=fitted.prunable,
        probes=fitted.probes,
        score=score_function(run),
        candidates=Candidates(run, fitted.build, examples, device),
        module=module.to(device),
        plan=plan,
        pixels=_pixels(module, shape, dtype),
        activations=activation_bytes(module, shape, dtype),
        device=device,
        scale=fitted.scale,
    )


def _pixels(module: nn.Module, input_shape: tuple[int, ...], dtype: torch.dtype) -> dict[str, int]:
    links = chain_of(module, input_shape)
    if links:
        return {link.weight: link.pixels for link in links}
    met = convolutions_met(module, input_shape, dtype)
    return {weight: sum(each.pixels for each in times) for weight, times in met.items()}


def on_device(examples: Examples, device: torch.device) -> Examples:
    """The same examples with their tensors on a device."""
    moved: dict[str, Any] = {
        field.name: value.to(device)
        for field in fields(examples)
        if isinstance(value := getattr(examples, field.name), Tensor)
    }
    return replace(examples, **moved)
