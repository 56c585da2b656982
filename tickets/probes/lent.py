"""Copies of a run's examples and module, for functions of the user's that measure it."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from tickets.data import Examples
from tickets.errors import UserCodeError
from tickets.probes.context import Context
from tickets.random_state import seed_generators, untouched_generators
from tickets.stack.anatomy import Anatomy, examine

_BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}  # by the bytes of a number


class Lent:
    """The copies of a round, each made when it is first read, so that no write reaches the training.

    All calls of a round read the same copies of the examples, which may be large. That none of them wrote is tested
    after each call by PyTorch's count of in-place operations, at no cost, and, since `.numpy()` and `.data` evade it,
    bit by bit at the end of the round. The module is small and is built anew for each call.

    Parameters
    ----------
    context
        What all networks of the run have in common.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._copies: dict[str, Tensor] = {}
        self._versions: dict[str, int] = {}

    def context(self) -> Context:
        """The context for one call."""
        return replace(
            self._context,
            read_examples=functools.cache(self._examples),
            read_anatomy=functools.cache(self._anatomy),
        )

    def check_versions(self, named: str) -> None:
        """Raise UserCodeError if an operation of PyTorch has written to the examples. named: who is to blame."""
        if any(copy._version != self._versions[name] for name, copy in self._copies.items()):
            raise _wrote(named)

    def check_bits(self, named: str) -> None:
        """Raise UserCodeError if a number of the examples is no longer the same. named: who is to blame."""
        own = _tensors(self._context.examples) if self._copies else {}
        if not all(torch.equal(_bits(copy), _bits(own[name])) for name, copy in self._copies.items()):
            raise _wrote(named)

    def _examples(self) -> Examples:
        own = self._context.examples
        if not self._copies:
            self._copies = {name: tensor.clone() for name, tensor in _tensors(own).items()}
            self._versions = {name: copy._version for name, copy in self._copies.items()}
        # Other tensors of the same memory: requires_grad_() or resize_() by one call is not seen by the next one.
        lent: dict[str, Any] = {name: copy.detach() for name, copy in self._copies.items()}
        return replace(own, **lent)

    def _anatomy(self) -> Anatomy:
        own, prune = self._context.anatomy, self._context.run.prune
        with untouched_generators():
            seed_generators(0)
            made = examine(
                self._context.build(),
                own.input_shape,
                own.dtype,
                exclude=prune.exclude,
                include=prune.include,
                chance=own.chance,
            )
        made.module.to(self._context.device)
        return made


def _tensors(examples: Examples) -> dict[str, Tensor]:
    return {name: value for name, value in vars(examples).items() if isinstance(value, Tensor)}


def _bits(tensor: Tensor) -> Tensor:
    """The numbers as whole numbers of the same bits: NaN equals itself, and 0.0 differs from -0.0."""
    return tensor.view(_BITS[tensor.element_size()])


def _wrote(named: str) -> UserCodeError:
    return UserCodeError(f"{named}: writes to networks.examples; write to a clone of them")
