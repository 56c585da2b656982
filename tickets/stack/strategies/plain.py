"""`plain`: a module, a torch.optim optimizer and a loop for each network (stack/plain.py)."""

from __future__ import annotations

from collections.abc import Sequence

from tickets.data import Examples
from tickets.stack.feed import NetworkSeeds
from tickets.stack.memory import Bytes
from tickets.stack.networks import Stack
from tickets.stack.plain import Plain
from tickets.stack.shard import Shard
from tickets.stack.stepwise import stepwise_bytes
from tickets.stack.strategies.strategy import Preference, Strategy
from tickets.stack.workload import Workload


class PlainStrategy(Strategy):
    """The strategy that all others are compared with (guard.py), and the last resort where none of them agrees."""

    def obstacle(self, workload: Workload) -> str | None:
        """None: it trains every model."""
        return None

    def preference(self, workload: Workload) -> Preference:
        """Never before `looped`, which shares one optimizer among the networks."""
        return Preference(1.0, "a plain loop over the module")

    def lanes(self, workload: Workload) -> int:
        """One: its modules are the user's, which may share anything."""
        return 1

    def bytes(self, workload: Workload, left: float = 1.0) -> Bytes:
        """As `looped`, and a module for each network."""
        held = stepwise_bytes(workload.sizes) + workload.sizes.values + workload.batch_inputs
        return Bytes(held, 2 * workload.batch_activations)

    def begin(self, workload: Workload, start: Stack, seeds: Sequence[NetworkSeeds], examples: Examples) -> Shard:
        """See Strategy."""
        return Plain(workload.build, start, seeds, examples, workload.recipe, workload.device)
