"""`layered`: a chain of Linear layers by batched matrix products, without autograd (stack/layered.py)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from torch import nn

from tickets.data import Examples
from tickets.models.scale import Scale
from tickets.stack.captured import begin_steps
from tickets.stack.chain import Link
from tickets.stack.feed import NetworkSeeds
from tickets.stack.layered import Layered
from tickets.stack.memory import Bytes
from tickets.stack.networks import Stack
from tickets.stack.shard import Shard
from tickets.stack.stepwise import stepwise_bytes
from tickets.stack.strategies.strategy import Preference, Strategy
from tickets.stack.workload import ONLY_PLAIN_LOSS, Workload
from tickets.tasks import OneHotSquaredError

_LETTERS = {Scale: "S", nn.ReLU: "R", nn.Dropout: "D"}
_BETWEEN = re.compile("S?R*D?")


class LayeredStrategy(Strategy):
    """Preferred wherever it can be: it does what `vectorised` does, without the time that autograd takes.

    Evidence: tests/benchmarks/test_strategies.py, the rows of fully connected networks.
    """

    records_steps = True

    def obstacle(self, workload: Workload) -> str | None:
        """See Strategy."""
        chain = workload.anatomy.chain
        if workload.recipe.precision == "bf16":
            return "computes in float32, not in train.precision = 'bf16'"
        if not workload.has_plain_loss and not _is_one_hot(workload):
            return f"{ONLY_PLAIN_LOSS}, or 'mse_one_hot'"
        if chain is None or not chain.complete or not chain.linear or not all(map(_is_plain, chain.links)):
            return "the model must be an nn.Sequential of Flatten, Linear, ReLU and Dropout"
        return None

    def preference(self, workload: Workload) -> Preference:
        """See Strategy."""
        return Preference(1.0, "the model is a chain of Linear, ReLU and Dropout layers")

    def lanes(self, workload: Workload) -> int:
        """Each network draws its dropout from a generator of its own, so that lanes never share one."""
        return workload.threads if workload.on_cpu else 1

    def bytes(self, workload: Workload, left: float = 1.0) -> Bytes:
        """It holds one set of a batch's activations for each network."""
        return Bytes(stepwise_bytes(workload.sizes) + workload.batch_activations)

    def begin(self, workload: Workload, start: Stack, seeds: Sequence[NetworkSeeds], examples: Examples) -> Shard:
        """See Strategy."""
        chain = workload.anatomy.chain
        assert chain is not None
        return begin_steps(Layered(chain.links, one_hot=_is_one_hot(workload)), workload, start, seeds, examples)


def _is_one_hot(workload: Workload) -> bool:
    return isinstance(workload.task, OneHotSquaredError)


def _is_plain(link: Link) -> bool:
    """Whether one Scale at most, ReLU, then one Dropout at most, is all that follows a layer."""
    return _BETWEEN.fullmatch("".join(_LETTERS.get(type(layer), "?") for layer in link.between)) is not None
