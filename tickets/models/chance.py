"""Which random number generators a network uses, found by running it: training must reproduce its random numbers."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import CellType, FunctionType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tickets.errors import InputError
from tickets.process_state import standard_state
from tickets.random_state import seed_generators

TRIES = 4  # forward passes from one seed, since a single pass may miss a draw of small probability
_OWN = (
    "draw from torch's, NumPy's or Python's global generator (torch.rand, np.random.rand, random.random), which the "
    "toolkit seeds for each network and step"
)


@dataclass(frozen=True)
class Draws:
    """The random number generators that a network uses in its forward pass, in training or evaluation mode.

    Attributes
    ----------
    sources
        The global generators that it uses: "torch", "numpy", "python".
    repeatable
        Whether equal values and seeds give equal outputs.
    """

    sources: frozenset[str]
    repeatable: bool

    @property
    def obstacle(self) -> str | None:
        """Why networks cannot be trained as one stack, or None: all would share NumPy's or Python's generator."""
        foreign = [name for name, key in (("NumPy's", "numpy"), ("Python's", "python")) if key in self.sources]
        return f"the model draws from {' and '.join(foreign)} random numbers" if foreign else None


def is_of_torch(module: nn.Module) -> bool:
    """Whether all submodules are PyTorch's or this package's. These use PyTorch's global generators only."""
    parts = list(module.modules())
    hooked = any(part._forward_hooks or part._forward_pre_hooks for part in parts)
    return not hooked and all(type(part).__module__.startswith(("torch.nn.", "tickets.models.")) for part in parts)


@standard_state()
def draws_of(build: Callable[[], nn.Module], inputs: Tensor) -> Draws:
    """Find the generators that a network uses, by running new networks at the same values and from the same seed.

    State that a network keeps between calls is not found here, but by the comparison with a plain loop (guard.py). A
    network that fails counts as one that uses no random numbers; the error is reported when it is trained.

    Parameters
    ----------
    build
        Makes the network.
    inputs
        A few examples, (b, *input_shape).
    """
    values = {name: tensor.detach().clone() for name, tensor in _tensors(build())}
    sources, repeatable = set(), True
    for training in (True, False):
        first: Any = None
        for _ in range(TRIES):
            seed_generators(0)  # random numbers of the constructor do not count
            tried = build().train(training)
            own = [_state(generator) for generator in _own_generators(tried)]
            seed_generators(0)
            before = _states()
            try:
                outputs = _outputs(tried, values, inputs)
            except (Exception, SystemExit):
                break
            after = _states()
            sources |= {name for name in before if before[name] != after[name]}
            first = outputs if first is None else first
            repeatable &= _alike(first, outputs) and own == [_state(one) for one in _own_generators(tried)]
    return Draws(frozenset(sources), repeatable)


@torch.no_grad()
def _outputs(module: nn.Module, values: Mapping[str, Tensor], inputs: Tensor) -> Any:
    """The outputs of a network whose parameters and buffers are set to these values."""
    for name, tensor in _tensors(module):
        if name in values:
            tensor.copy_(values[name])
    return module(inputs.clone())


def check_chance(draws: Draws, fresh: Callable[[int], Mapping[str, Tensor]], name: str) -> None:
    """Raise InputError for a network whose random numbers cannot be reproduced.

    Parameters
    ----------
    draws
        The result of `draws_of`.
    fresh
        Returns every parameter and buffer of a new network, given a seed.
    name
        The model's name, for errors.

    Raises
    ------
    InputError
        If outputs differ although values and seeds are equal, or initial values although the seed is.
    """
    problems = []
    if not draws.repeatable:
        problems.append(
            f"model {name!r}: the same values and seeds give other outputs the next time, for it draws from a "
            f"generator of its own; {_OWN}"
        )
    one, other = fresh(0), fresh(0)
    differ = [key for key in one if key not in other or not _alike(one[key], other[key])]
    if differ:
        problems.append(
            f"model {name!r}: two networks from one seed differ in {differ[0]!r}, which is drawn from a generator of "
            f"its own or never given a value; {_OWN}"
        )
    if problems:
        raise InputError(problems)


def _tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from module.named_parameters()
    yield from module.named_buffers()


def _states() -> dict[str, Any]:
    """The states of the global generators, as values that can be compared."""
    return {
        "torch": torch.default_generator.get_state().numpy().tobytes(),
        "numpy": _of_numpy(np.random.get_state(legacy=True)),
        "python": random.getstate(),
    }


def _own_generators(module: nn.Module) -> Iterator[Any]:
    """The generators that are attributes of the network's modules, or to which their methods refer."""
    kinds = (torch.Generator, np.random.Generator, np.random.RandomState, random.Random)
    for part in module.modules():
        methods = [value for kind in type(part).__mro__ for value in vars(kind).values() if kind is not nn.Module]
        named = [value for method in methods for value in _named(method)]
        yield from (value for value in (*vars(part).values(), *named) if isinstance(value, kinds))


def _named(function: Any) -> list[Any]:
    """The globals and closure variables that a function uses; empty for anything but a function."""
    if not isinstance(function, FunctionType):
        return []
    cells = [cell.cell_contents for cell in function.__closure__ or () if cell != CellType()]
    return [function.__globals__[name] for name in function.__code__.co_names if name in function.__globals__] + cells


def _state(generator: Any) -> Any:
    if isinstance(generator, torch.Generator):
        return generator.get_state().numpy().tobytes()
    if isinstance(generator, np.random.Generator):
        return repr(generator.bit_generator.state)
    if isinstance(generator, np.random.RandomState):
        return _of_numpy(generator.get_state(legacy=True))
    return generator.getstate()


def _of_numpy(state: Any) -> Any:
    """The state of a RandomState (name, key, position, ...) with the key, an array, as bytes."""
    if not isinstance(state, tuple):
        return repr(state)  # another bit generator than MT19937
    return (state[0], state[1].tobytes(), *state[2:])


def _alike(one: Any, other: Any) -> bool:
    """Whether two tensors are equal up to rounding; NaN equals NaN."""
    if not (isinstance(one, Tensor) and isinstance(other, Tensor)):
        return True  # outputs that are not tensors are refused elsewhere
    same = one.shape == other.shape and one.dtype == other.dtype
    return same and torch.allclose(one.double(), other.double(), rtol=1e-4, atol=1e-6, equal_nan=True)
