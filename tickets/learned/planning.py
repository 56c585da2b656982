"""How masks are learned in a run, as run.json says it, and the memory that it takes."""

from __future__ import annotations

from collections.abc import Sequence

from tickets.config import Run
from tickets.stack.memory import Bytes
from tickets.stack.strategies import strategy_named
from tickets.stack.workload import Workload


def needs_learned(run: Run) -> bool:
    """Whether a mask is learned in an arm of the run."""
    return any(arm.entry.learned for arm in run.arms)


def how_learned(strategy: str, workload: Workload) -> dict[str, str]:
    """How masks are learned where other networks train by a strategy: "strategy" and "reason".

    A learned mask needs the gradients of all weights, also of those that it leaves out, so that no strategy by the
    surviving weights serves. vmap is taken where it trains the other networks too, or where they are a chain on a GPU.
    """
    on_a_gpu = not workload.on_cpu and strategy in ("sparse", "layered") and workload.vmap_obstacle is None
    found = "vectorised" if strategy == "vectorised" or on_a_gpu else "looped"
    own = ", each with a module of its own" if strategy == "plain" else ""
    reason = f"a learned mask needs the gradient of every weight{own}; not compared with a plain loop"
    return {"strategy": found, "reason": reason}


def learning_bytes(strategy: str, workloads: Sequence[Workload], other: Bytes) -> Bytes:
    """The larger of what other networks take and what networks take whose masks are learned.

    Beside what a strategy takes: the weights as they are, those that a mask leaves, and the gradients of these.

    Parameters
    ----------
    strategy
        By which the other networks train.
    workloads
        One for each recipe.
    other
        What they take.
    """
    for one in workloads:
        taken = strategy_named(how_learned(strategy, one)["strategy"]).bytes(one)
        other = Bytes(max(other.each, taken.each + 3 * one.sizes.weights), max(other.lane, taken.lane))
    return other
