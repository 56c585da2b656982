"""What is the same for every replicate and round of a run: its model, its data, and how they are computed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor, nn

from tickets.catalogue import MODELS, SCORES, resolve
from tickets.config import Run
from tickets.coverage import Coverage
from tickets.data import Examples
from tickets.errors import InputError
from tickets.initial import initial_values
from tickets.models import factory
from tickets.models.chance import Draws, check_chance, draws_of
from tickets.models.trainable import check_trainable
from tickets.process_state import standard_state
from tickets.scores import Weights
from tickets.source import Source, as_taken
from tickets.stack.architecture import Prunable, bias_names, coverage, prunable
from tickets.stack.chain import chain_of
from tickets.stack.convolutions import convolutions_met
from tickets.stack.layout import lay_out_chain
from tickets.stack.memory import (
    EVALUATION_BYTES,
    KEPT_BY_THE_ALLOCATOR,
    Sizes,
    Training,
    activation_bytes,
    free_bytes,
    image_bytes,
    networks_that_fit,
    plane_bytes,
    ranking_bytes,
    round_bytes,
    sizes_of,
    training_bytes,
    unit_bytes,
)
from tickets.stack.networks import Stack
from tickets.stack.strategies import Choice, choose, share_left
from tickets.stack.units import HiddenLayer, hidden_layers
from tickets.trial import Trial, try_out

TRIED = 4  # training examples that a network is tried on


@dataclass(frozen=True)
class Plan:
    """How a run's stacks are computed. Kept in run.json, so that a run goes on as it began, bit for bit.

    strategy: a name of `stack.strategies.STRATEGIES`, chosen for `reason`. lanes: parts of a stack that train side
    by side. networks_at_once: that the lanes hold together. threads: of the CPU, for all lanes together.
    sparse_up_to: a stack with at most this share of its multiplications left is trained by `sparse` instead.
    compared: what came of the comparison with a plain loop before the first round (see guard.py); None where none was.
    """

    strategy: str
    reason: str
    lanes: int
    networks_at_once: int
    threads: int
    sparse_up_to: float = 0.0
    compared: Mapping[str, Any] | None = None

    def record(self) -> dict[str, Any]:
        """As run.json holds it."""
        return {key: value for key, value in asdict(self).items() if value is not None}

    def strategy_for(self, stack: Stack, pixels: Mapping[str, int]) -> str:
        """The strategy that trains a stack. pixels: see share_left."""
        takes_over = self.sparse_up_to > 0 and share_left(stack, pixels) <= self.sparse_up_to
        return "sparse" if takes_over else self.strategy


@dataclass(frozen=True)
class Setting:
    """A run, made ready. examples, module (the architecture's template): on `device`. fresh: every parameter and
    buffer from a seed, on the CPU. parameters: the names of those that are trained; the others are frozen.

    hidden: the layers whose units are counted as the networks train; () if the run does not ask for it. pixels: of a
    chain's weights, or of a model's convolutions, how often each is used for one example.
    """

    run: Run
    examples: Examples
    build: Callable[[], nn.Module]
    fresh: Callable[[int], dict[str, Tensor]]
    parameters: tuple[str, ...]
    prunable: tuple[Prunable, ...]
    hidden: tuple[HiddenLayer, ...]
    score: Callable[[Weights], Tensor]
    module: nn.Module
    plan: Plan
    pixels: Mapping[str, int]
    activations: int
    device: torch.device

    @property
    def has_images(self) -> bool:
        """Whether the model has convolutions that may be sparse."""
        return any(pixels > 1 for pixels in self.pixels.values())

    @property
    def biases(self) -> frozenset[str]:
        """The parameters that are biases, less those that are frozen."""
        return bias_names(self.module, self.prunable)

    def rates(self) -> dict[str, float]:
        """The share of its surviving weights that each prunable tensor loses in a round, in layer scope."""
        prune = self.run.prune

        def rate(tensor: Prunable) -> float:
            if tensor.output:
                return prune.output_rate
            return prune.conv_rate if tensor.convolution else prune.rate

        return {tensor.name: rate(tensor) for tensor in self.prunable}


@dataclass(frozen=True)
class Fitted:
    """A run whose model, data and recipe are known to fit one another.

    build: makes the model as the user's function does. module: a template of the architecture. hidden: its hidden
    layers, if the run has their units counted. coverage: which of its weights are prunable. trial: what the run's own
    functions gave on initial values. draws: what it draws from as it computes.
    """

    run: Run
    source: Source
    build: Callable[[], nn.Module]
    module: nn.Module
    prunable: tuple[Prunable, ...]
    hidden: tuple[HiddenLayer, ...]
    coverage: Coverage
    trial: Trial
    draws: Draws

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
        found = prunable(module, run.prune.exclude, run.prune.include)
        hidden = hidden_layers(module) if run.store.units else ()
        draws = draws_of(build, source.examples.train_inputs[:TRIED])
        if run.model.name not in MODELS:
            check_chance(draws, _fresh(build, run), run.model.name)
        trial = try_out(run, build, found, bias_names(module, found), score) if score else Trial()
    except InputError as error:
        raise type(error)([*problems, *error.problems]) from error
    if problems:
        raise InputError(problems)
    covered = coverage(module, found, run.prune.exclude)
    return Fitted(run, source, build, module, found, hidden, covered, trial, draws)


def _fresh(build: Callable[[], nn.Module], run: Run) -> Callable[[int], dict[str, Tensor]]:
    """Every parameter and buffer of a new network, from a seed."""
    return lambda seed: initial_values(build, run.model.init.model_dump(), seed)


def score_function(run: Run) -> Callable[[Weights], Tensor]:
    """The score that a run prunes by: one of the catalogue, or the user's "module:function"."""
    name = run.prune.score
    return resolve(SCORES[name].target if name in SCORES else name)


@standard_state()  # a user's module may have changed it as it was imported
def plan_execution(fitted: Fitted, device: torch.device, workers: int = 1, wanted: str | None = None) -> Plan:
    """How to compute the run's stacks on a device: the strategy, and how many networks at once.

    wanted: the strategy, if it is not to be the one that the run asks for.
    Memory: compute.memory_gib, by default half of what is free on the device now. `workers` processes share
    that default and the CPU's threads. A bound below what one network takes is not kept: one trains at a time.
    """
    run, module = fitted.run, fitted.module
    compute = run.compute
    threads = compute.threads or max(1, torch.get_num_threads() // workers)
    choice = choose(
        module,
        fitted.source.examples.input_shape,
        device,
        threads,
        wanted or compute.strategy,
        run.train.precision,
        run.train.batch_size,
        fitted.source.examples.train_inputs.dtype,
        fitted.draws.obstacle,
    )
    lanes = min(choice.lanes, networks_in_lockstep(run))
    bound = free_bytes(device) // 2 // workers if compute.memory_gib is None else int(compute.memory_gib * 2**30)
    bound = int(bound / KEPT_BY_THE_ALLOCATOR) - EVALUATION_BYTES[device.type]
    sizes = sizes_of(module, fitted.prunable, run.train)
    if device.type == "cpu":  # what a round keeps is on the CPU, where another device's memory is not asked for it
        bound -= _kept_by_a_round(fitted, sizes)
    at_once = networks_that_fit(bound, _training(fitted, sizes, choice), lanes)
    return Plan(choice.strategy, choice.reason, lanes, at_once, threads, choice.sparse_up_to)


def memory_needed(fitted: Fitted, plan: Plan, device: torch.device) -> int:
    """Bytes that a round of a run takes by its plan, by the estimate that planned it.

    Beside the data, Python and PyTorch; on a GPU, of its memory alone.
    """
    sizes = sizes_of(fitted.module, fitted.prunable, fitted.run.train)
    training = _training(fitted, sizes, Choice(plan.strategy, plan.reason, plan.lanes, plan.sparse_up_to))
    at_once = min(plan.networks_at_once, networks_in_lockstep(fitted.run))
    held = at_once * training.each + plan.lanes * training.lane + EVALUATION_BYTES[device.type]
    if device.type == "cpu":
        held += _kept_by_a_round(fitted, sizes)
    return int(held * KEPT_BY_THE_ALLOCATOR)


def networks_in_lockstep(run: Run) -> int:
    """The networks of a round of a cohort: of its replicates, every arm and draw."""
    return _cohort_size(run) * sum(arm.draws for arm in run.arms)


def _cohort_size(run: Run) -> int:
    return min(run.replicates, run.cohort_size or run.replicates)


def _kept_by_a_round(fitted: Fitted, sizes: Sizes) -> int:
    run = fitted.run
    networks = networks_in_lockstep(run)
    kept = round_bytes(sizes, _cohort_size(run), networks, rounds=run.rounds, rewinds=run.rewind.step > 0)
    return kept + ranking_bytes(fitted.prunable, run.prune.scope)


def _training(fitted: Fitted, sizes: Sizes, choice: Choice) -> Training:
    """What a run's networks take while they train, by whichever of its strategies takes more."""
    shape, batch_size = fitted.source.examples.input_shape, fitted.run.train.batch_size
    dtype = fitted.source.examples.train_inputs.dtype
    activations, inputs = activation_bytes(fitted.module, shape, dtype), dtype.itemsize * math.prod(shape)
    links = chain_of(fitted.module, shape) or ()

    def taken(strategy: str, density: float = 1.0) -> Training:
        if strategy == "sparse" and any(link.kernel for link in links):
            return image_bytes(sizes, lay_out_chain(links))
        if strategy == "sparse" and not links:
            held = training_bytes("looped", sizes, batch_size, activations, inputs)
            return plane_bytes(held, sizes, convolutions_met(fitted.module, shape, dtype))
        if strategy == "plain":
            held = training_bytes("looped", sizes, batch_size, activations, inputs)
            return Training(held.each + sizes.values, held.lane)
        return training_bytes(strategy, sizes, batch_size, activations, inputs, density)

    most = taken(choice.strategy)
    if choice.sparse_up_to:
        also = taken("sparse", choice.sparse_up_to)
        most = Training(max(most.each, also.each), max(most.lane, also.lane))
    # The networks as they stood at their early-stop step, and those that are compared with them.
    stood = 2 * sizes.standing if fitted.run.train.evaluate_on else 0
    return Training(most.each + stood + unit_bytes(fitted.module, fitted.hidden), most.lane)


@standard_state()
def make_setting(fitted: Fitted, plan: Plan, device: torch.device) -> Setting:
    """Everything that the rounds of a run need, with its examples on the device."""
    run, module = fitted.run, fitted.module
    shape, dtype = fitted.source.examples.input_shape, fitted.source.examples.train_inputs.dtype
    return Setting(
        run=run,
        examples=on_device(fitted.source.examples, device),
        build=fitted.build,
        fresh=fitted.fresh,
        parameters=fitted.trained,
        prunable=fitted.prunable,
        hidden=fitted.hidden,
        score=score_function(run),
        module=module.to(device),
        plan=plan,
        pixels=_pixels(module, shape, dtype),
        activations=activation_bytes(module, shape, dtype),
        device=device,
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
