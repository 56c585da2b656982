"""The interface of a strategy: one way to train a stack."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from tickets.data import Examples
from tickets.stack.feed import NetworkSeeds
from tickets.stack.memory import Bytes, evaluation_chunk
from tickets.stack.networks import Stack
from tickets.stack.shard import Shard
from tickets.stack.workload import Workload


@dataclass(frozen=True)
class Preference:
    """How far a strategy is preferred to those after it in the table.

    Parameters
    ----------
    up_to
        The largest share of its multiplications that a network may have left, in [0, 1]: 1 for always, 0 for never.
    reason
        Why, as run.json keeps it.
    """

    up_to: float
    reason: str


class Strategy(ABC):
    """One way to train a stack of networks. All ways give the same numbers, to the last few bits.

    A strategy has no state: what it says depends on the workload alone, and on the processor.

    Attributes
    ----------
    has_kernels
        Whether it computes with compiled kernels, which `NUMBA_DISABLE_JIT` turns off.
    records_steps
        Whether it records training steps in CUDA graphs on a GPU (stack/captured.py).
    """

    has_kernels: ClassVar[bool] = False
    records_steps: ClassVar[bool] = False

    @abstractmethod
    def obstacle(self, workload: Workload) -> str | None:
        """Why it cannot train this workload, as a clause that an error message can hold; None if it can."""

    @abstractmethod
    def preference(self, workload: Workload) -> Preference:
        """Whether it is the fastest for a workload that it can train, by a rule: nothing is timed."""

    @abstractmethod
    def bytes(self, workload: Workload, left: float = 1.0) -> Bytes:
        """Memory that it takes; left: the largest share of their weights that the networks have left."""

    @abstractmethod
    def begin(self, workload: Workload, start: Stack, seeds: Sequence[NetworkSeeds], examples: Examples) -> Shard:
        """Networks made ready to train from `start`, one seed each; `examples` are on the workload's device."""

    def lanes(self, workload: Workload) -> int:
        """How many shards of a stack train side by side, in threads."""
        return workload.lanes

    def chunk(self, workload: Workload, networks: int) -> int:
        """Examples at a time in an evaluation of so many networks at once."""
        activations, batch_size = workload.anatomy.activations, workload.recipe.batch_size
        return evaluation_chunk(networks, activations, batch_size, workload.device)
