"""Before a run's first round: is the network that will be trained the network that the user wrote?

A few steps of the run's strategy are compared with a plain loop (stack/plain.py) over modules fresh from the function
that builds the model: torch.optim, module(x), cross-entropy, the run's batches, schedule and seeds. Two networks train,
replicate 0 dense and with half of its weights pruned at random, so that what one does to the other is seen as well.
"""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tickets.config import TrainConfig
from tickets.data import Examples
from tickets.errors import InputError, UserCodeError
from tickets.process_state import standard_state
from tickets.seeds import stream
from tickets.setting import Fitted, Plan, on_device, plan_execution
from tickets.stack.captured import EAGER_STEPS
from tickets.stack.feed import NetworkSeeds
from tickets.stack.likeness import Course, Gap, largest_difference, perturbed, widest_gap
from tickets.stack.memory import activation_bytes
from tickets.stack.networks import Stack, stack_networks
from tickets.stack.part import Part
from tickets.stack.plain import Plain
from tickets.stack.precision import lowered, products
from tickets.stack.strategies import begin
from tickets.users_code import told

STEPS, STEPS_OF_LARGE = 3, 2
LARGE_BYTES = 2**23  # of a batch's activations, or of parameters: fewer steps, of fewer examples
FEWEST = 4  # examples of a batch
EVALUATED = 16  # examples
DENSITY = 0.5  # of the second network
# The second number where the first is not enough: a unit so near 0 that rounding decides whether a ReLU passes it
# crosses over in every second one, and with it all that its effect comes to.
PERTURBATIONS = (2, 12)
SAME = {"cuda": 1e-2}  # of two plain loops' outputs; elsewhere they are the same bit for bit
FALLBACKS = ("layered", "vectorised", "looped", "plain")

Begin = Callable[..., Part]


@standard_state()
def guarded(fitted: Fitted, plan: Plan, device: torch.device, workers: int = 1) -> Plan:
    """The plan with a strategy that trains as the plain loop does: its own, or the next one that does.

    What came of the comparison is in the plan that comes back, and says which strategies were passed over.

    Raises InputError if the plain loop itself fails, does not come to the same twice, or keeps state that is no
    parameter and no buffer.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, plan.threads // plan.lanes))  # as it will train
    try:
        trial, wanted = _reference(fitted, device)
        return _settled(fitted, plan, device, workers, _Comparison(fitted, trial, wanted, []))
    finally:
        torch.set_num_threads(threads)


def _settled(fitted: Fitted, plan: Plan, device: torch.device, workers: int, comparison: _Comparison) -> Plan:
    """The plan with the first strategy that passes, and the record of the comparison."""
    passed_over: list[str] = []

    def passes(strategy: str) -> _Result | None:
        result = comparison.of(strategy)
        if result.why is not None:
            passed_over.append(f"{strategy}: {result.why}")
        return result if result.why is None else None

    first, result = plan.strategy, passes(plan.strategy)
    for strategy in FALLBACKS[FALLBACKS.index(first) + 1 if first in FALLBACKS else 0 :]:
        if result is None:
            try:
                another = plan_execution(fitted, device, workers, strategy)
            except InputError:
                continue  # it is not for this model
            result = passes(strategy)
            plan = replace(another, reason=f"{first} does not train this model as a plain PyTorch loop does")
    if result is None:
        why = "evaluated on the way, it trains on as another network does; an evaluation must change nothing"
        raise InputError(_refusal(fitted, passed_over[-1], why))
    if plan.sparse_up_to and passes("sparse") is None:
        plan = replace(plan, sparse_up_to=0.0)
    record = {
        "steps": comparison.trial.steps[-1],
        "examples": comparison.trial.recipe.batch_size,
        "largest_difference": _finite(result.largest),
        "nearest_to_its_limit": result.gap.what,
        "share_of_its_limit": _finite(result.gap.share),
        "passed_over": passed_over,
    }
    return replace(plan, compared=record)


@dataclass(frozen=True)
class _Result:
    """Of one strategy. why: it does not pass, or None. largest: difference of a parameter or buffer at the end."""

    why: str | None
    gap: Gap
    largest: float


@dataclass(frozen=True)
class _Comparison:
    """What strategies are compared with. others: the plain loop from perturbed values, as many as were needed yet."""

    fitted: Fitted
    trial: _Trial
    wanted: Course
    others: list[Course]

    def of(self, strategy: str) -> _Result:
        """What comes of one."""
        module = self.fitted.module.to(self.trial.device)
        try:
            found = self.trial.course(begin, strategy, module, build=self.fitted.build, evaluates=True)
        except Exception as error:  # whatever a user's own code raises
            return _Result(told(error), Gap("all", math.inf, 0.0), math.inf)
        for most in PERTURBATIONS:
            while len(self.others) < most:
                self.others.append(self.trial.course(Plain, self.fitted.build, perturbed_by=len(self.others)))
            gap = widest_gap(found, self.wanted, self.others)
            if not gap.beyond:
                break
        return _Result(_said(gap) if gap.beyond else None, gap, largest_difference(found, self.wanted))


@dataclass(frozen=True)
class _Trial:
    """A short training. steps: at which stacks are compared; the last is the end."""

    stack: Stack
    seeds: Sequence[NetworkSeeds]
    examples: Examples
    recipe: TrainConfig
    steps: tuple[int, ...]
    device: torch.device

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
        """Train by a kind of Part. evaluates: also on the way, as a run does, which must change nothing."""
        stack = start or self.stack
        if perturbed_by is not None:
            stack = perturbed(stack, self.recipe.precision, perturbed_by)
        inputs, precision = self.examples.validation_inputs[:EVALUATED], self.recipe.precision

        def begun() -> Part:
            return kind(*first, stack, self.seeds, self.examples, self.recipe, self.device, **options)

        def outputs(part: Part) -> Tensor:
            with lowered(precision, self.device):
                return part.logits(inputs).float().cpu()

        stacks = [stack]
        with products(precision):
            part = begun()
            before = outputs(part if evaluates else begun())
            for here, there in itertools.pairwise([stack.step, *(step for step in self.steps if step > stack.step)]):
                with lowered(precision, self.device):
                    part.advance(here, there, _nobody, threading.Event())
                stacks.append(part.standing(there))
                if evaluates:
                    outputs(part)
            after = outputs(part)
        return Course(stacks, (before, after), part.unreached if isinstance(part, Plain) else ())


def _reference(fitted: Fitted, device: torch.device) -> tuple[_Trial, Course]:
    """The trial of a run, and what the plain loop comes to in it. Raises InputError as `guarded`."""
    trial = _trial(fitted, device)
    try:
        wanted = trial.course(Plain, fitted.build)
    except Exception:
        trial = replace(trial, recipe=fitted.run.train)  # it may want whole batches
        try:
            wanted = trial.course(Plain, fitted.build)
        except Exception as error:
            name = fitted.run.model.name
            raise UserCodeError(
                f"model {name!r}: a plain PyTorch loop over it fails in training: {told(error)}; it must train by "
                "cross_entropy(module(x), y).backward() and a torch.optim optimizer's step"
            ) from error
    again = trial.course(Plain, fitted.build, build_seed=1)
    if (gap := _unlike(again, wanted, device)) is not None:
        same_module = _unlike(trial.course(Plain, fitted.build), wanted, device) is None
        raise InputError(
            _refusal(
                fitted,
                f"two plain PyTorch loops over it, with the same initial values, batches and seeds, differ: {gap}",
                "it keeps random numbers of its constructor that are neither parameters nor buffers (use "
                "register_buffer)"
                if same_module
                else "it draws from a source of chance that no seed reaches, such as the time, the system or a "
                "generator of its own (draw with torch's functions)",
            )
        )
    at = 1 if fitted.run.rewind.step > 0 else len(wanted.stacks) - 1  # where a run takes up what it has stored
    anew = trial.course(Plain, fitted.build, start=wanted.stacks[at])
    gap = _unlike(anew, replace(wanted, stacks=wanted.stacks[at:]), device)
    if gap is not None:
        raise InputError(
            _refusal(
                fitted,
                f"a module built anew, with the trained network's parameters and buffers, is another network: {gap}",
                "it keeps state that is neither a parameter nor a buffer, which no ticket can be rewound with or built "
                "from (use register_buffer)",
            )
        )
    return trial, wanted


@standard_state()
def _trial(fitted: Fitted, device: torch.device) -> _Trial:
    run, examples = fitted.run, on_device(fitted.source.examples, device)
    values = fitted.fresh(stream(run.seed, 0, "initial"))
    size = sum(values[name].numel() * values[name].element_size() for name in fitted.trained)
    activations = activation_bytes(fitted.module, examples.input_shape, examples.train_inputs.dtype)
    batch = min(run.train.batch_size, max(FEWEST, LARGE_BYTES // activations))
    large = batch < run.train.batch_size or size > LARGE_BYTES
    recorded = EAGER_STEPS + 2 if device.type == "cuda" else 0  # what is recorded must be replayed
    last = min(run.train.steps, max(STEPS_OF_LARGE if large else STEPS, recorded))
    generator = torch.Generator().manual_seed(stream(run.seed, 0, "guard"))
    dense = {tensor.name: torch.ones(tensor.shape, dtype=torch.bool) for tensor in fitted.prunable}
    half = {name: torch.rand(mask.shape, generator=generator) < DENSITY for name, mask in dense.items()}
    order = stream(run.seed, 0, "order")
    return _Trial(
        stack=stack_networks([values, values], [dense, half], fitted.trained),
        seeds=[NetworkSeeds(order, stream(run.seed, 0, "noise", 0, "guard", network)) for network in range(2)],
        examples=examples,
        recipe=run.train.model_copy(update={"batch_size": batch}),
        steps=tuple(sorted({1, last})),
        device=device,
    )


def _unlike(found: Course, wanted: Course, device: torch.device) -> str | None:
    """How two plain loops differ that should be the same, or None.

    On a GPU sums may be added up in any order, so that only their outputs are compared, and not to the last bit.
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


def _nobody(networks: int) -> None:
    """Counts no steps."""


def _refusal(fitted: Fitted, what: str, why: str) -> str:
    return f"model {fitted.run.model.name!r}: {what}; {why}"


def _said(gap: Gap) -> str:
    return f"{gap.what} is {gap.difference:.1g} of its length from a plain loop's; rounding explains {gap.allowed:.1g}"


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None
