"""Test whether two trainings of the same networks differ by more than rounding.

A rounding error can grow. Adam divides a gradient by its magnitude, so that a gradient that consists of rounding errors
moves its weight by a whole learning rate. A ReLU whose input is nearly 0 is active in one training and not in the
other. No fixed tolerance suits both such networks and smooth ones. The tolerance is therefore measured: the network is
trained again from initial values that are perturbed in their last bits, by up to PERTURBED roundoff units. What this
changes in a tensor, times SPREADS, is what rounding may change. Norms of whole tensors are compared and not single
numbers: how many weights are affected in this way varies little between trainings, but which ones are does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tickets.stack.networks import Stack, hold_pruned

ROUNDOFF = {"float32": 2.0**-24, "tf32": 2.0**-11, "bf16": 2.0**-9}  # relative error of one operation
PERTURBED = 8.0  # the largest relative perturbation of a weight, in units of ROUNDOFF
SPREADS = 32.0  # the allowed difference, in units of the effect of such perturbations
STORED = 32 * ROUNDOFF["float32"]  # the least allowed difference, relative to a tensor's norm: storage is float32


@dataclass(frozen=True)
class Course:
    """A training of a few steps. All tensors are on the CPU.

    Attributes
    ----------
    stacks
        The networks at several steps, from the first on.
    logits
        The outputs in evaluation mode before and after the training, (R, n, classes).
    unreached
        For each network, the parameters whose gradient was None at every step, if known.
    counted
        The plain attributes of modules that changed from step to step, if known.
    """

    stacks: Sequence[Stack]
    logits: tuple[Tensor, Tensor]
    unreached: Sequence[Set[str]] = ()
    counted: Sequence[str] = ()


@dataclass(frozen=True)
class Gap:
    """The difference of one tensor between two trainings.

    Attributes
    ----------
    what
        The tensor.
    difference
        The norm of the difference, relative to the tensor's norm.
    allowed
        The largest difference that rounding explains, likewise relative.
    """

    what: str
    difference: float
    allowed: float

    @property
    def beyond(self) -> bool:
        """Whether the difference exceeds what rounding explains."""
        return not self.difference <= self.allowed

    @property
    def share(self) -> float:
        """The difference as a share of what is allowed."""
        return self.difference / self.allowed if self.allowed else math.inf if self.difference else 0.0


def perturbed(stack: Stack, precision: str, seed: int) -> Stack:
    """The same networks with every trained weight perturbed in its last bits; pruned weights do not change."""
    generator = torch.Generator().manual_seed(seed)
    most = PERTURBED * ROUNDOFF[precision]

    def changed(tensor: Tensor) -> Tensor:
        return tensor * (1 + most * (2 * torch.rand(tensor.shape, generator=generator) - 1))

    parameters = {name: changed(tensor) for name, tensor in stack.parameters.items()}
    hold_pruned(parameters, stack.masks, stack.pruned_values)
    return replace(stack, parameters=parameters)


def widest_gap(found: Course, wanted: Course, others: Sequence[Course]) -> Gap:
    """The tensor with the largest difference relative to what rounding allows.

    Tensors of `wanted` with numbers that are not finite are ignored. Buffers and frozen parameters that `wanted` does
    not change must be unchanged bit for bit, as must parameters that receive no gradient.

    Parameters
    ----------
    found
        The training to test.
    wanted
        The reference.
    others
        Trainings like `wanted`, from perturbed values.
    """
    here, there, elsewhere = _numbers(found), _numbers(wanted), [_numbers(other) for other in others]
    gaps = [
        _gap(what, _of(here, what, like), like, [_of(other, what, like) for other in elsewhere])
        for what in here.keys() | there.keys()
        for like in [there[what] if what in there else _nothing_like(here[what])]
    ]
    return max(gaps, key=lambda gap: (gap.share, gap.what))


def largest_difference(found: Course, wanted: Course) -> float:
    """The largest difference of a parameter or buffer at the end; NaN if one is not finite."""
    one, other = ({**course.stacks[-1].parameters, **course.stacks[-1].buffers} for course in (found, wanted))
    apart = [(one[name].double() - tensor.double()).abs().max() for name, tensor in other.items() if tensor.numel()]
    return float(torch.stack(apart).max())


@dataclass(frozen=True)
class _Numbers:
    """One tensor of one network.

    numbers: (n,) float64; of a parameter or buffer, its change since the start. length: the norm of the tensor itself.
    exact: whether a tensor that the reference does not change must not change.
    """

    numbers: Tensor
    length: float
    exact: bool


def _numbers(course: Course) -> dict[str, _Numbers]:
    """All tensors that are compared, by a description."""
    first, *later = course.stacks
    start = {**first.parameters, **first.buffers}
    found: dict[str, _Numbers] = {}

    def put(what: str, tensors: Tensor, starts: Tensor | None = None, name: str = "") -> None:
        for network, tensor in enumerate(tensors.double().reshape(len(tensors), -1)):
            moved = tensor if starts is None else tensor - starts[network].double().reshape(-1)
            untouched = name in first.buffers or name in (*course.unreached, *[()] * len(tensors))[network]
            found[f"{what} (network {network})"] = _Numbers(moved, float(tensor.norm()), exact=untouched)

    for stack in later:
        for name, tensor in {**stack.parameters, **stack.buffers}.items():
            put(f"{name} after step {stack.step}", tensor, start[name], name)
        for state, tensors in stack.optimizer.items():
            for name, tensor in tensors.items():
                put(f"{state} of {name} after step {stack.step}", tensor)
    for when, logits in zip(("before", "after"), course.logits, strict=True):
        put(f"outputs in evaluation mode, {when} training", logits)
    return found


def _of(numbers: Mapping[str, _Numbers], what: str, like: _Numbers) -> _Numbers:
    """The tensor, or zeros if it is missing: an optimizer state is zero before the first step."""
    return numbers[what] if what in numbers else _nothing_like(like)


def _nothing_like(one: _Numbers) -> _Numbers:
    return _Numbers(torch.zeros_like(one.numbers), 0.0, one.exact)


def _gap(what: str, found: _Numbers, wanted: _Numbers, others: Sequence[_Numbers]) -> Gap:
    if not wanted.numbers.isfinite().all():
        return Gap(what, 0.0, math.inf)
    spread = max((_apart(other, wanted) for other in others), default=0.0)
    still = wanted.exact and not wanted.numbers.any()
    allowed = 0.0 if still else max(SPREADS * spread, STORED * wanted.length)
    scale = wanted.length or 1.0
    return Gap(what, _apart(found, wanted) / scale, allowed / scale)


def _apart(one: _Numbers, other: _Numbers) -> float:
    length = float((one.numbers - other.numbers).norm())
    return math.inf if math.isnan(length) else length
