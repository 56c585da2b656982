"""A run whose model, data and recipe are known to fit one another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tickets.binding import resolve
from tickets.catalogue import MODELS
from tickets.config import Run
from tickets.coverage import Coverage
from tickets.data import Examples
from tickets.errors import InputError
from tickets.initial import initial_values
from tickets.models import factory
from tickets.models.chance import check_chance, draws_of
from tickets.models.size import check_size
from tickets.models.trainable import check_trainable
from tickets.planting import without_ticket
from tickets.probes import Context, Probe, probes_of
from tickets.probes.trial import try_probes
from tickets.process_state import standard_state
from tickets.scores import Score, named_score
from tickets.seeds import stream
from tickets.small_dense import SmallDense, small_dense_of
from tickets.source import Source, as_taken
from tickets.stack.anatomy import Anatomy, examine
from tickets.stack.architecture import Prunable
from tickets.tasks import Scale, Task, task_of
from tickets.tasks.trying import check_loss
from tickets.tasks.users_loss import UsersLoss
from tickets.trial import Trial, try_out

TRIED = 4  # training examples that a network is tried on


@dataclass(frozen=True)
class Fitted:
    """A run whose model, data and recipe are known to fit one another.

    Parameters
    ----------
    run
        The run.
    source
        Its data, as the model takes them.
    build
        Makes the model as the user's function does.
    anatomy
        What is known of the model.
    probes
        What is measured of each round.
    trial
        What the run's own functions gave on initial values.
    scale
        What its losses and accuracies mean.
    small_dense
        The narrower networks of the arm `small_dense`; None if no arm needs them.
    """

    run: Run
    source: Source
    build: Callable[[], nn.Module]
    anatomy: Anatomy
    probes: tuple[Probe, ...]
    trial: Trial
    scale: Scale
    small_dense: SmallDense | None = None

    @property
    def module(self) -> nn.Module:
        """A template of the architecture."""
        return self.anatomy.module

    @property
    def prunable(self) -> tuple[Prunable, ...]:
        """The prunable tensors, in the model's order."""
        return self.anatomy.prunable

    @property
    def coverage(self) -> Coverage:
        """Which of the weights are prunable."""
        return self.anatomy.coverage

    @property
    def trained(self) -> tuple[str, ...]:
        """Names of the parameters that are trained; the others are frozen."""
        return self.anatomy.trained

    @property
    def biases(self) -> frozenset[str]:
        """Names of the biases that are trained."""
        return self.anatomy.biases

    def fresh(self, seed: int) -> dict[str, Tensor]:
        """Every parameter and buffer from a seed, on the CPU."""
        return _fresh(self.build, self.run)(seed)

    def fresh_draw(self, seed: int) -> dict[str, Tensor]:
        """The same as a control draws them anew: from the random values alone where model.init plants a ticket."""
        return initial_values(self.build, without_ticket(self.run.model.init.table), seed)


@standard_state()
def fit(run: Run, source: Source) -> Fitted:
    """Check that a run's model, data set, recipe and pruning fit one another.

    Parameters
    ----------
    run
        The run.
    source
        Its data set.

    Raises
    ------
    InputError
        With everything that does not fit.
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
    small_dense = None
    try:
        score = score_function(run)
    except InputError as error:
        problems += error.problems
    task, outputs = None, None
    try:
        task = task_of(run.train)
        unfit = task.problems(examples.train_labels, examples.classes)
        problems += unfit
        outputs = None if unfit else task.outputs  # avoids reporting the same problem twice
    except InputError as error:
        problems += error.problems
    try:
        probes = probes_of(run)
    except InputError as error:
        problems += error.problems
    problems += _claim_problems(run)
    try:
        build = factory(run.model.name, run.model.options, shape, examples.classes)
        if "widths" in run.model.options and run.model.name in MODELS:
            check_size(build, run.model.options["widths"])
        with standard_state():  # the template's own values are never used, whatever its constructor draws
            module = build()
        check_trainable(module, run.model.name)
        source, output = as_taken(source, module, run.model.name, outputs)
        inputs = source.examples.train_inputs
        chance = draws_of(build, inputs[:TRIED])
        anatomy = examine(
            module, shape, inputs.dtype, exclude=run.prune.exclude, include=run.prune.include, chance=chance
        )
        if run.model.name not in MODELS:
            check_chance(chance, _fresh(build, run), run.model.name)
        try:
            small_dense = small_dense_of(run, anatomy.prunable, shape, examples.classes)
        except InputError as error:
            problems += error.problems
        trial = try_out(run, build, source.examples, anatomy, score) if score else Trial()
        probes = _tried(probes, run, source.examples, build, anatomy)
    except InputError as error:
        raise type(error)([*problems, *error.problems]) from error
    if problems or task is None:
        raise InputError(problems)
    scale = _scale(run, task, build, source, output)
    return Fitted(run, source, build, anatomy, probes, trial, scale, small_dense)


def _claim_problems(run: Run) -> list[str]:
    """Errors in the functions that claims name, which are called after training."""
    problems: list[str] = []
    for index, claim in enumerate(run.claim):
        try:
            if claim.function is not None:
                resolve(claim.function)
        except InputError as error:
            problems += [f"claim[{index}].function: {problem}" for problem in error.problems]
    return problems


def but_for_its_seed(run: Run) -> str:
    """A text that two runs have in common if they differ in nothing but their seed."""
    return repr(run.model_copy(update={"seed": 0}).model_dump())


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
    probes: tuple[Probe, ...], run: Run, examples: Examples, build: Callable[[], nn.Module], anatomy: Anatomy
) -> tuple[Probe, ...]:
    """The probes, tried on the initial values of the first replicates."""
    if not probes:
        return ()
    fresh = _fresh(build, run)
    values = [fresh(stream(run.seed, replicate, "initial")) for replicate in range(min(run.replicates, 2))]
    context = Context(
        run, lambda: examples, build, lambda: anatomy, torch.device("cpu"), chunk=len(examples.train_inputs)
    )
    return try_probes(probes, context, values, [tensor.name for tensor in anatomy.prunable])
