"""Whether two trainings of the same networks differ by more than rounding.

A rounding error is small where it is made, but not always where it ends up: Adam divides a gradient by its own size,
so that one that is nothing but rounding moves its weight by a whole learning rate, and a unit whose input is nearly 0
passes it in one training and not in the other. No fixed tolerance is right for both a weight of a smooth network and
such a one. So the network itself is asked: it is trained once more from initial values that are changed in their
last bits, by PERTURBED units of rounding, and what that changes of a tensor is what rounding may change of it, up to a
factor of SPREADS. Lengths of whole tensors are compared, not single numbers: how many of a tensor's weights are at
such an edge differs little from one training to the next, which ones they are does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tickets.stack.networks import Stack, hold_pruned

ROUNDOFF = {"float32": 2.0**-24, "tf32": 2.0**-11, "bf16": 2.0**-9}  # relative, of one operation, by train.precision
PERTURBED = 8.0  # of these, at most, that a weight is changed by
SPREADS = 32.0  # times what such changes come to
STORED = 32 * ROUNDOFF["float32"]  # of a tensor's length: how it is kept is float32 in every precision


@dataclass(frozen=True)
class Course:
    """A training of a few steps. All on the CPU.

    stacks: on the way, from the first on. logits: the outputs in evaluation mode at the beginning and at the end,
    (R, n, classes).
    unreached: of each network, the parameters that no loss has reached, if that is known.
    counted: the plain attributes of its modules that change from step to step, if that is known.
    """

    stacks: Sequence[Stack]
    logits: tuple[Tensor, Tensor]
    unreached: Sequence[Set[str]] = ()
    counted: Sequence[str] = ()


@dataclass(frozen=True)
class Gap:
    """How far one tensor of two trainings is apart.

    what: the tensor. difference: the length of the difference, as a share of the tensor's length. allowed: what
    rounding may come to, likewise.
    """

    what: str
    difference: float
    allowed: float

    @property
    def beyond(self) -> bool:
        """Whether rounding cannot explain it."""
        return not self.difference <= self.allowed

    @property
    def share(self) -> float:
        """Of what is allowed."""
        return self.difference / self.allowed if self.allowed else math.inf if self.difference else 0.0


def perturbed(stack: Stack, precision: str, seed: int) -> Stack:
    """The same networks with every trained weight changed in its last bits; a pruned weight stays what it is."""
    generator = torch.Generator().manual_seed(seed)
    most = PERTURBED * ROUNDOFF[precision]

    def changed(tensor: Tensor) -> Tensor:
        return tensor * (1 + most * (2 * torch.rand(tensor.shape, generator=generator) - 1))

    parameters = {name: changed(tensor) for name, tensor in stack.parameters.items()}
    hold_pruned(parameters, stack.masks, stack.pruned_values)
    return replace(stack, parameters=parameters)


def widest_gap(found: Course, wanted: Course, others: Sequence[Course]) -> Gap:
    """Where `found` is furthest from `wanted`, measured by what rounding may do there.

    others: trainings like `wanted`, from perturbed values. A tensor of `wanted` with numbers that are not finite says
    nothing. Buffers and frozen parameters that `wanted` leaves as they were must be left so, bit for bit, and so must
    parameters that no loss has reached.
    """
    here, there, elsewhere = _numbers(found), _numbers(wanted), [_numbers(other) for other in others]
    gaps = [
        _gap(what, _of(here, what, like), like, [_of(other, what, like) for other in elsewhere])
        for what in here.keys() | there.keys()
        for like in [there[what] if what in there else _nothing_like(here[what])]
    ]
    return max(gaps, key=lambda gap: (gap.share, gap.what))


def largest_difference(found: Course, wanted: Course) -> float:
    """The largest difference of a parameter or buffer at the end; NaN where one is not finite."""
    one, other = ({**course.stacks[-1].parameters, **course.stacks[-1].buffers} for course in (found, wanted))
    apart = [(one[name].double() - tensor.double()).abs().max() for name, tensor in other.items() if tensor.numel()]
    return float(torch.stack(apart).max())


@dataclass(frozen=True)
class _Numbers:
    """One tensor of one network. numbers: (n,) float64, for a parameter or buffer how far it has moved from the start.

    length: of the tensor itself. exact: if it has not moved, it must not move.
    """

    numbers: Tensor
    length: float
    exact: bool


def _numbers(course: Course) -> dict[str, _Numbers]:
    """Everything that is compared, by what it is."""
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
    """A state that there is not is one of zeros, as before the first step."""
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
