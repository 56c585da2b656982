"""A run whose model, data and recipe are known to fit one another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from tickets.catalogue import MODELS, SCORES, resolve
from tickets.config import Run
from tickets.coverage import Coverage
from tickets.errors import InputError
from tickets.initial import initial_values
from tickets.models import factory
from tickets.models.chance import check_chance, draws_of
from tickets.models.trainable import check_trainable
from tickets.process_state import standard_state
from tickets.scores import Weights
from tickets.source import Source, as_taken
from tickets.stack.anatomy import Anatomy, examine
from tickets.stack.architecture import Prunable
from tickets.stack.hidden import NO_HIDDEN_LAYERS, HiddenLayer
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
    trial
        What the run's own functions gave on initial values.
    """

    run: Run
    source: Source
    build: Callable[[], nn.Module]
    anatomy: Anatomy
    trial: Trial

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

    @property
    def hidden(self) -> tuple[HiddenLayer, ...]:
        """The hidden layers whose units are counted; () if the run does not ask for it."""
        return (self.anatomy.hidden or ()) if self.run.store.units else ()

    def fresh(self, seed: int) -> dict[str, Tensor]:
        """Every parameter and buffer from a seed, on the CPU."""
        return _fresh(self.build, self.run)(seed)


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
    try:
        score = score_function(run)
    except InputError as error:
        problems += error.problems
    try:
        build = factory(run.model.name, run.model.options, shape, examples.classes)
        with standard_state():  # the template's own values are never used, whatever its constructor draws
            module = build()
        check_trainable(module, run.model.name)
        source = as_taken(source, module, run.model.name)
        inputs = source.examples.train_inputs
        chance = draws_of(build, inputs[:TRIED])
        anatomy = examine(
            module, shape, inputs.dtype, exclude=run.prune.exclude, include=run.prune.include, chance=chance
        )
        if run.store.units and anatomy.hidden is None:
            raise InputError(f"store.units = true: {NO_HIDDEN_LAYERS}; leave store.units out")
        if run.model.name not in MODELS:
            check_chance(chance, _fresh(build, run), run.model.name)
        trial = try_out(run, build, anatomy.prunable, anatomy.biases, score) if score else Trial()
    except InputError as error:
        raise type(error)([*problems, *error.problems]) from error
    if problems:
        raise InputError(problems)
    return Fitted(run, source, build, anatomy, trial)


def _fresh(build: Callable[[], nn.Module], run: Run) -> Callable[[int], dict[str, Tensor]]:
    """Every parameter and buffer of a new network, from a seed."""
    return lambda seed: initial_values(build, run.model.init.model_dump(), seed)


def score_function(run: Run) -> Callable[[Weights], Tensor]:
    """The score that a run prunes by: one of the catalogue, or the user's "module:function"."""
    name = run.prune.score
    return resolve(SCORES[name].target if name in SCORES else name)
