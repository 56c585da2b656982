"""What a run's strategy is compared with: a short training by a plain loop over new modules of the user's function.

Networks that no strategy could train as they are written are refused here: those that give other numbers the second
time, or whose state is not all in their parameters and buffers.
"""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from tickets.catalogue import Pruned
from tickets.config import TrainConfig
from tickets.data import Examples
from tickets.errors import InputError, UserCodeError
from tickets.fitting import Fitted
from tickets.process_state import standard_state
from tickets.random_state import seed_generators, untouched_generators
from tickets.seeds import stream
from tickets.stack.attributes import changed_in
from tickets.stack.captured import EAGER_STEPS
from tickets.stack.feed import NetworkSeeds
from tickets.stack.likeness import Course, perturbed
from tickets.stack.networks import Stack, stack_networks
from tickets.stack.plain import Plain
from tickets.stack.precision import lowered, products
from tickets.stack.shard import Shard
from tickets.users_code import one_line

STEPS, STEPS_OF_LARGE = 3, 2
LARGE_BYTES = 2**23  # of a batch's activations, or of parameters: fewer steps, of fewer examples
FEWEST = 4  # examples of a batch
EVALUATED = 16  # examples
DENSITY = 0.5  # of the second network
SAME = {"cuda": 1e-2}  # of two plain loops' outputs; elsewhere they are the same bit for bit

Begin = Callable[..., Shard]


@dataclass(frozen=True)
class ShortTraining:
    """A short training.

    Parameters
    ----------
    stack
        The networks at its start.
    seeds
        One for each network.
    examples
        On the device.
    recipe
        The run's, perhaps with smaller batches.
    steps
        At which stacks are compared; the last is the end.
    device
        Where it takes place.
    """

    stack: Stack
    seeds: Sequence[NetworkSeeds]
    examples: Examples
    recipe: TrainConfig
    steps: tuple[int, ...]
    device: torch.device

    def by(self, recipe: TrainConfig) -> ShortTraining:
        """The same networks, trained by another recipe, with a batch that is no larger."""
        batch = min(recipe.batch_size, self.recipe.batch_size)
        last = min(self.steps[-1], recipe.steps)
        return replace(self, recipe=recipe.model_copy(update={"batch_size": batch}), steps=tuple(sorted({1, last})))

    @standard_state()  # what a forward sets for the whole process ends with its course
    def course(
        self,
        kind: Begin,
        *first: object,
        perturbed_by: int | None = None,
        evaluates: bool = False,
        start: Stack | None = None,
        **options: object,
    ) -> Course:
        """Train the networks, and return their course.

        Parameters
        ----------
        kind
            Makes them ready to train: called with `first`, the stack, its seeds, the examples, the recipe, the device
            and `options`.
        perturbed_by
            The seed of a perturbation of the values at the start; None for none.
        evaluates
            Whether the networks are evaluated on the way too, as in a run; this must change nothing.
        start
            Another stack to start from.
        """
        stack = start or self.stack
        if perturbed_by is not None:
            stack = perturbed(stack, self.recipe.precision, perturbed_by)
        inputs, precision = self.examples.validation_inputs[:EVALUATED], self.recipe.precision

        def begun() -> Shard:
            return kind(*first, stack, self.seeds, self.examples, self.recipe, self.device, **options)

        def outputs(shard: Shard) -> Tensor:
            with lowered(precision, self.device):
                return shard.logits(inputs).float().cpu()

        stacks, seen = [stack], list[list[dict[str, str]]]()

        def tick(networks: int) -> None:
            if isinstance(shard, Plain):
                seen.append(shard.attributes())

        with products(precision):
            shard = begun()
            before = outputs(shard if evaluates else begun())
            for here, there in itertools.pairwise([stack.step, *(step for step in self.steps if step > stack.step)]):
                with lowered(precision, self.device):
                    shard.advance(here, there, tick, threading.Event())
                stacks.append(shard.standing(there))
                if evaluates:
                    outputs(shard)
            after = outputs(shard)
        counted = {name for each in zip(*seen, strict=True) for name in changed_in(each)}
        unreached = shard.unreached if isinstance(shard, Plain) else ()
        return Course(stacks, (before, after), unreached, sorted(counted))


def reference(fitted: Fitted, device: torch.device, pruned: Pruned = "zero") -> tuple[ShortTraining, Course]:
    """The short training of a run, and the course of the plain loop in it.

    Raises
    ------
    InputError
        As `guard.guarded`.
    """
    trial = _short_training(fitted, device, pruned)
    try:
        wanted = trial.course(Plain, fitted.build)
    except (Exception, SystemExit):
        trial = replace(trial, recipe=fitted.run.train)  # a smaller batch may be what it cannot take
        try:
            wanted = trial.course(Plain, fitted.build)
        except (Exception, SystemExit) as error:
            name = fitted.run.model.name
            raise UserCodeError(
                f"model {name!r}: a plain PyTorch loop over it fails in training: {one_line(error)}; it must train by "
                f"{_loss_name(fitted)}(module(x), y).backward() and a torch.optim optimizer's step"
            ) from error
    _check_apart(fitted, wanted)
    again = trial.course(Plain, fitted.build, build_seed=1)
    if (gap := _unlike(again, wanted, device)) is not None:
        same_module = _unlike(trial.course(Plain, fitted.build), wanted, device) is None
        raise InputError(
            refusal(
                fitted,
                f"two plain PyTorch loops over it, with the same initial values, batches and seeds, differ: {gap}",
                "it keeps random numbers of its constructor that are neither parameters nor buffers (use "
                "register_buffer)"
                if same_module
                else "it draws random numbers that no seed controls, such as those of the time, the system or a "
                "generator of its own (draw with torch's functions)",
            )
        )
    rewind = fitted.run.rewind
    goes_on = rewind.step > 0 or rewind.keeps_trained  # a ticket's training goes on from trained values
    at = 1 if goes_on else len(wanted.stacks) - 1  # the step from which a run resumes
    anew = trial.course(Plain, fitted.build, start=wanted.stacks[at])
    gap = _unlike(anew, replace(wanted, stacks=wanted.stacks[at:]), device)
    if gap is not None:
        raise InputError(
            refusal(
                fitted,
                f"a new module with the trained parameters and buffers gives other results: {gap}",
                "it keeps state that is neither a parameter nor a buffer, which no ticket can be rewound with or built "
                "from (use register_buffer)",
            )
        )
    if wanted.counted and goes_on:
        name = ", ".join(wanted.counted)
        raise InputError(
            refusal(
                fitted,
                f"a new module cannot continue the training: {name} changes during training",
                "a plain attribute is neither a parameter nor a buffer, and no ticket can be rewound with it (use "
                "register_buffer)",
            )
        )
    return trial, wanted


def _loss_name(fitted: Fitted) -> str:
    name = fitted.run.train.loss
    return "mse_loss" if name in ("mse", "mse_one_hot") else name.rpartition(":")[2]


def _check_apart(fitted: Fitted, wanted: Course) -> None:
    """Check that no two networks share a tensor that is trained, or that changed in the short training.

    A shared constant, such as a mean that is subtracted from the inputs, does no harm.

    Raises
    ------
    InputError
        If two networks share another tensor.
    """
    with untouched_generators():
        seed_generators(0)
        one, other = fitted.build(), fitted.build()
    there = {key for _, tensor in _tensors(one) for key in _places(tensor)}
    first, last = wanted.stacks[0].buffers, wanted.stacks[-1].buffers
    constant = {name for name, values in first.items() if torch.equal(values, last[name])}
    common = [
        name for name, tensor in _tensors(other) if name not in constant and not there.isdisjoint(_places(tensor))
    ]
    if common:
        raise InputError(
            f"model {fitted.run.model.name!r}: every network shares the same tensor {common[0]!r}; create it at "
            "each call"
        )


def _tensors(module: nn.Module) -> list[tuple[str, Tensor]]:
    return [*module.named_parameters(), *module.named_buffers()]


def _places(tensor: Tensor) -> set[tuple[str, int]]:
    """Keys of which two tensors have one in common if they are the same tensor, or share memory."""
    storage = tensor.untyped_storage()
    memory = {("memory", storage.data_ptr())} if storage.nbytes() and storage.data_ptr() else set()
    return {("tensor", id(tensor)), *memory}


@standard_state()
def _short_training(fitted: Fitted, device: torch.device, pruned: Pruned) -> ShortTraining:
    run, examples = fitted.run, fitted.source.examples.to(device)
    values = fitted.fresh(stream(run.seed, 0, "initial"))
    size = sum(values[name].numel() * values[name].element_size() for name in fitted.trained)
    batch = min(run.train.batch_size, max(FEWEST, LARGE_BYTES // fitted.anatomy.activations))
    large = batch < run.train.batch_size or size > LARGE_BYTES
    recorded = EAGER_STEPS + 2 if device.type == "cuda" else 0  # what is recorded must be replayed
    last = min(run.train.steps, max(STEPS_OF_LARGE if large else STEPS, recorded))
    generator = torch.Generator().manual_seed(stream(run.seed, 0, "guard"))
    dense = {tensor.name: torch.ones(tensor.shape, dtype=torch.bool) for tensor in fitted.prunable}
    half = {name: torch.rand(mask.shape, generator=generator) < DENSITY for name, mask in dense.items()}
    order = stream(run.seed, 0, "order")
    return ShortTraining(
        stack=stack_networks(
            [values, values], [dense, half], fitted.trained, pruned_values=[values] * 2 if pruned == "initial" else ()
        ),
        seeds=[NetworkSeeds(order, stream(run.seed, 0, "noise", 0, "guard", network)) for network in range(2)],
        examples=examples,
        recipe=run.train.model_copy(update={"batch_size": batch}),
        steps=tuple(sorted({1, last})),
        device=device,
    )


def _unlike(found: Course, wanted: Course, device: torch.device) -> str | None:
    """How two plain loops differ that should be the same; None if they do not.

    On a GPU sums may be added up in any order, so that only their outputs are compared, with a tolerance.
    """
    apart = [(_relative(found.logits[1], wanted.logits[1]), "its outputs in evaluation mode")]
    if device.type == "cpu":
        for one, other in zip(found.stacks, wanted.stacks, strict=True):
            for name, tensor in {**other.parameters, **other.buffers}.items():
                apart.append((_relative({**one.parameters, **one.buffers}[name], tensor), name))
    widest, name = max(apart)
    return None if widest <= SAME.get(device.type, 0.0) else f"{name} by {widest:.1g} of its length"


def _relative(one: Tensor, other: Tensor) -> float:
    """The length of the difference over the second one's length; 0.0 only if they are the same bit for bit."""
    if torch.allclose(one, other, rtol=0.0, atol=0.0, equal_nan=True):
        return 0.0
    length = float(other.double().norm())
    apart = float((one.double() - other.double()).norm()) / (length or 1.0)
    return math.inf if math.isnan(apart) else apart


def refusal(fitted: Fitted, what: str, why: str) -> str:
    """The message that refuses a run's model."""
    return f"model {fitted.run.model.name!r}: {what}; {why}"
