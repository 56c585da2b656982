"""A run whose model, data and recipe are known to fit one another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tickets.catalogue import MODELS
from tickets.config import Run
from tickets.coverage import Coverage
from tickets.data import Examples
from tickets.errors import InputError
from tickets.initial import initial_values
from tickets.models import factory
from tickets.models.chance import Draws, check_chance, draws_of
from tickets.models.trainable import check_trainable
from tickets.probes import Context, Probe, probes_of
from tickets.probes.trial import try_probes
from tickets.process_state import standard_state
from tickets.scores import Score, named_score
from tickets.seeds import stream
from tickets.source import Source, as_taken
from tickets.stack.architecture import Prunable, bias_names, coverage, prunable
from tickets.tasks import Scale, Task, task_of
from tickets.tasks.trying import check_loss
from tickets.tasks.users_loss import UsersLoss
from tickets.trial import Trial, try_out

TRIED = 4  # training examples that a network is tried on


@dataclass(frozen=True)
class Fitted:
    """A run whose model, data and recipe are known to fit one another.

    build: makes the model as the user's function does. module: a template of the architecture. probes: what is measured
    of each round. coverage: which of its weights are prunable. trial: what the run's own functions gave on initial
    values. draws: what it draws from as it computes.
    scale: what its losses and accuracies mean.
    """

    run: Run
    source: Source
    build: Callable[[], nn.Module]
    module: nn.Module
    prunable: tuple[Prunable, ...]
    probes: tuple[Probe, ...]
    coverage: Coverage
    trial: Trial
    draws: Draws
    scale: Scale

    @property
    def trained(self) -> tuple[str, ...]:
        """The names of the parameters that are trained; the others are frozen."""
        return tuple(name for name, parameter in self.module.named_parameters() if parameter.requires_grad)

    def fresh(self, seed: int) -> dict[str, Tensor]:
        """Every parameter and buffer from a seed, on the CPU."""
        return _fresh(self.build, self.run)(seed)


@standard_state()
def fit(run: Run, source: Source) -> Fitted:
    """Check that a run's model, data set, recipe and pruning fit one another.

    Raises InputError with everything that does not.
    """
    problems: list[str] = []
    examples = source.examples
    count, shape = len(examples.train_labels), examples.input_shape
    if run.train.batch_size > count:
        problems.append(
            f"train.batch_size = {run.train.batch_size}: must be at most {count}, the training examples of "
            f"{source.name!r} beside data.validation = {run.data.validation}"
        )
    score = None
    probes: tuple[Probe, ...] = ()
    try:
        score = score_function(run)
    except InputError as error:
        problems += error.problems
    task, outputs = None, None
    try:
        task = task_of(run.train)
        unfit = task.problems(examples.train_labels, examples.classes)
        problems += unfit
        outputs = None if unfit else task.outputs  # else the same would be said of the model's outputs
    except InputError as error:
        problems += error.problems
    try:
        probes = probes_of(run)
    except InputError as error:
        problems += error.problems
    try:
        build = factory(run.model.name, run.model.options, shape, examples.classes)
        with standard_state():  # the template's own values are never used, whatever its constructor draws
            module = build()
        check_trainable(module, run.model.name)
        source, output = as_taken(source, module, run.model.name, outputs)
        found = prunable(module, run.prune.exclude, run.prune.include)
        draws = draws_of(build, source.examples.train_inputs[:TRIED])
        if run.model.name not in MODELS:
            check_chance(draws, _fresh(build, run), run.model.name)
        learns = tuple(name for name, parameter in module.named_parameters() if parameter.requires_grad)
        biases = bias_names(module, found)
        trial = try_out(run, build, source.examples, found, biases, learns, score) if score else Trial()
        probes = _tried(probes, run, source.examples, build, module, found)
    except InputError as error:
        raise type(error)([*problems, *error.problems]) from error
    if problems or task is None:
        raise InputError(problems)
    scale = _scale(run, task, build, source, output)
    covered = coverage(module, found, run.prune.exclude)
    return Fitted(run, source, build, module, found, probes, covered, trial, draws, scale)


def _scale(run: Run, task: Task, build: Callable[[], nn.Module], source: Source, output: tuple[int, ...]) -> Scale:
    """What the measured numbers mean; a loss of the user's is tried on initial values first."""
    examples = source.examples
    if isinstance(task, UsersLoss):
        module, values = build(), _fresh(build, run)(stream(run.seed, 0, "initial"))
        for name, tensor in (*module.named_parameters(), *module.named_buffers()):
            tensor.data = values[name]
        check_loss(task, module, examples, run.train.batch_size)
    return task.scale(examples.train_labels, examples.classes, output)


def _fresh(build: Callable[[], nn.Module], run: Run) -> Callable[[int], dict[str, Tensor]]:
    """Every parameter and buffer of a new network, from a seed."""
    return lambda seed: initial_values(build, run.model.init.model_dump(), seed)


def score_function(run: Run) -> Score:
    """The score that a run prunes by, with its options: one of the catalogue, or the user's "module:function"."""
    return named_score(run.prune.score.name, run.prune.score.options)


def _tried(
    probes: tuple[Probe, ...],
    run: Run,
    examples: Examples,
    build: Callable[[], nn.Module],
    module: nn.Module,
    found: Sequence[Prunable],
) -> tuple[Probe, ...]:
    """The probes, tried on the initial values of the first replicates."""
    if not probes:
        return ()
    fresh = _fresh(build, run)
    values = [fresh(stream(run.seed, replicate, "initial")) for replicate in range(min(run.replicates, 2))]
    context = Context(run, examples, build, module, torch.device("cpu"), chunk=len(examples.train_inputs))
    return try_probes(probes, context, values, [tensor.name for tensor in found])
