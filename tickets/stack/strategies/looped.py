"""`looped`: any model, one network after the other through one module (stack/looped.py)."""

from __future__ import annotations

from collections.abc import Sequence

from tickets.data import Examples
from tickets.stack.feed import NetworkSeeds
from tickets.stack.looped import Looped
from tickets.stack.memory import Bytes
from tickets.stack.networks import Stack
from tickets.stack.shard import Shard
from tickets.stack.stepwise import Stepwise, stepwise_bytes
from tickets.stack.strategies.strategy import Preference, Strategy
from tickets.stack.workload import Workload


class LoopedStrategy(Strategy):
    """The fallback for every model. As fast as a tuned loop in each lane."""

    def obstacle(self, workload: Workload) -> str | None:
        """None: it trains every model."""
        return None

    def preference(self, workload: Workload) -> Preference:
        """Always, for the reason that the strategy before it was passed over."""
        return Preference(1.0, "")

    def bytes(self, workload: Workload, left: float = 1.0) -> Bytes:
        """Each network has a batch of inputs; each lane has two sets of activations, outputs and gradients."""
        return Bytes(stepwise_bytes(workload.sizes) + workload.batch_inputs, 2 * workload.batch_activations)

    def begin(self, workload: Workload, start: Stack, seeds: Sequence[NetworkSeeds], examples: Examples) -> Shard:
        """See Strategy."""
        execution = Looped(workload.anatomy.module, workload.task.loss)
        return Stepwise(execution, start, seeds, examples, workload.recipe, workload.device)
