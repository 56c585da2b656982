"""A run made ready to train: what is the same for all its replicates and rounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from tickets.config import Run
from tickets.data import Examples
from tickets.fitting import Fitted, score_function
from tickets.planning import Plan, workload_of
from tickets.probes import Probe
from tickets.process_state import standard_state
from tickets.scores import Score
from tickets.selection import Candidates
from tickets.stack.architecture import Prunable
from tickets.stack.workload import Workload
from tickets.tasks import Scale
from tickets.transfer import Transfer, transfer_of


@dataclass(frozen=True)
class ReadyRun:
    """A run whose examples and module are on the device that trains it.

    Parameters
    ----------
    fitted
        The run, its model and its data.
    plan
        How it is computed.
    workload
        What its strategies are given.
    examples
        On the workload's device.
    score
        The score that it prunes by.
    candidates
        Makes the networks that scores see.
    narrower
        By hidden widths, the run with the narrower networks of the arm `small_dense`, as they are made.
    transfer
        Where its masks come from, if they are another run's.
    begins
        Is called before each stack trains, with the number of its networks that train at once.
    """

    fitted: Fitted
    plan: Plan
    workload: Workload
    examples: Examples
    score: Score
    candidates: Candidates
    transfer: Transfer | None = None
    narrower: dict[tuple[int, ...], ReadyRun] = field(default_factory=dict)
    begins: Callable[[int], None] = lambda networks: None

    @property
    def run(self) -> Run:
        """Its configuration."""
        return self.fitted.run

    @property
    def build(self) -> Callable[[], nn.Module]:
        """Makes the model as the user's function does."""
        return self.fitted.build

    @property
    def fresh(self) -> Callable[[int], dict[str, Tensor]]:
        """Every parameter and buffer from a seed, on the CPU."""
        return self.fitted.fresh

    @property
    def fresh_draw(self) -> Callable[[int], dict[str, Tensor]]:
        """Every parameter and buffer as a control draws them anew, from a seed, on the CPU."""
        return self.fitted.fresh_draw

    @property
    def module(self) -> nn.Module:
        """The architecture's template, on the device."""
        return self.fitted.module

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the parameters that are trained; the others are frozen."""
        return self.fitted.trained

    @property
    def prunable(self) -> tuple[Prunable, ...]:
        """The prunable tensors, in the model's order."""
        return self.fitted.prunable

    @property
    def biases(self) -> frozenset[str]:
        """Names of the biases that are trained."""
        return self.fitted.biases

    @property
    def probes(self) -> tuple[Probe, ...]:
        """What is measured of each round."""
        return self.fitted.probes

    @property
    def scale(self) -> Scale:
        """What losses and accuracies mean."""
        return self.fitted.scale

    @property
    def pixels(self) -> Mapping[str, int]:
        """How often weights are used for one example; see Anatomy."""
        return self.fitted.anatomy.pixels

    @property
    def activations(self) -> int:
        """Bytes of one example's activations."""
        return self.fitted.anatomy.activations

    @property
    def device(self) -> torch.device:
        """Where it is trained."""
        return self.workload.device


@standard_state()
def ready_run(fitted: Fitted, plan: Plan, device: torch.device) -> ReadyRun:
    """Make a run ready: its examples and its module are moved to the device."""
    fitted.module.to(device)
    examples = fitted.source.examples.to(device)
    return ReadyRun(
        fitted=fitted,
        plan=plan,
        workload=workload_of(fitted, device, plan.threads),
        examples=examples,
        score=score_function(fitted.run),
        candidates=Candidates(fitted.run, fitted.build, examples, device),
        transfer=transfer_of(fitted),
    )
