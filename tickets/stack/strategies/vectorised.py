"""`vectorised`: any model that torch.func.vmap can run, as one network (stack/vectorised.py)."""

from __future__ import annotations

from collections.abc import Sequence

from tickets.data import Examples
from tickets.stack.captured import begin_steps
from tickets.stack.feed import NetworkSeeds
from tickets.stack.memory import Bytes
from tickets.stack.networks import Stack
from tickets.stack.shard import Shard
from tickets.stack.stepwise import stepwise_bytes
from tickets.stack.strategies.strategy import Preference, Strategy
from tickets.stack.vectorised import Vectorised
from tickets.stack.workload import Workload

# On a CPU: what a step may touch for each call of a module, of a network in a stack of many.
CALL_BYTES = 64 * 2**10
# The time that a step by vmap takes however many networks there are, in steps of one network by a loop.
OVERHEAD = 3


class VectorisedStrategy(Strategy):
    """Preferred on a GPU, which one small network leaves idle; on a CPU for many small networks without convolutions.

    On a CPU a stack of convolutions becomes a grouped convolution, which is slower there than one after the other.
    Of other networks vmap saves time by the call: a loop spends some for each operation of each network, vmap OVERHEAD
    times as much for all networks together. It loses time by the byte, for the networks of a lane do not fit into the
    cache together. So a step of a network may touch CALL_BYTES x (1 - OVERHEAD / R) for each module that it calls,
    where R networks share a lane: a batch's activations and the parameters. In a lane of three networks or fewer a loop
    is always faster.

    Evidence: thread CPU time of a step and network over that of the tuned loop (tests/benchmarks/loops.py), one thread
    of an AMD EPYC with 1 MiB of L2 cache, torch 2.13, the lowest of four turns beside other work; batch 100 unless
    stated; Adam. Residual is Linear, ReLU, then a skip around Linear and ReLU, then Linear.

    | network | KiB a call | R = 1 | R = 4 | R = 12 | looped, R = 12 |
    | --- | --- | --- | --- | --- | --- |
    | residual 40-16-16, batch 10 | 1.8 | 2.7 | 0.95 | 0.34 | 0.88 |
    | residual 40-50-50 | 23 | 2.6 | 0.82 | 0.49 | 1.0 |
    | residual 40-100-100 | 47 | 2.9 | 1.2 | 0.72 | 0.97 |
    | residual 40-50-50, batch 500 | 102 | 2.7 | 1.4 | 1.0 | 1.2 |
    | residual 40-200-200 | 106 | 1.9 | 1.2 | 1.3 | 1.0 |
    | residual 40-500-500 | 376 | 1.6 | 1.2 | 1.2 | 1.1 |
    | Tanh 40-300-300 | 180 | 2.1 | 1.4 | 1.1 | 1.1 |
    | attention, 8 tokens of 8 | 37 | 1.7 | 0.80 | 0.54 | 1.0 |

    Timed again by tests/benchmarks/test_strategies.py.
    """

    records_steps = True

    def obstacle(self, workload: Workload) -> str | None:
        """See Strategy."""
        return workload.vmap_obstacle

    def preference(self, workload: Workload) -> Preference:
        """See Strategy."""
        if not workload.on_cpu:
            return Preference(1.0, "vmap trains this model")
        if workload.anatomy.has_convolutions:
            return Preference(0.0, "convolutions on a CPU")
        in_a_lane = workload.networks / min(workload.lanes, workload.networks)
        touched = workload.batch_activations + workload.sizes.parameters
        if touched > workload.anatomy.calls * CALL_BYTES * (1 - OVERHEAD / in_a_lane):
            return Preference(0.0, "vmap is slower than a loop for networks of this size and number")
        return Preference(1.0, "vmap trains this model")

    def bytes(self, workload: Workload, left: float = 1.0) -> Bytes:
        """It holds two sets of a batch's activations for each network: outputs, and gradients on the way back."""
        return Bytes(stepwise_bytes(workload.sizes) + 2 * workload.batch_activations)

    def begin(self, workload: Workload, start: Stack, seeds: Sequence[NetworkSeeds], examples: Examples) -> Shard:
        """See Strategy."""
        return begin_steps(Vectorised(workload.anatomy.module, workload.task.loss), workload, start, seeds, examples)
