"""The choice of how a stack is trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch

from tickets.binding import resolve
from tickets.catalogue import STRATEGIES, Entry
from tickets.config import TrainConfig
from tickets.data import Examples
from tickets.errors import InputError
from tickets.stack.feed import NetworkSeeds
from tickets.stack.networks import Stack
from tickets.stack.shard import Shard
from tickets.stack.strategies.strategy import Strategy
from tickets.stack.workload import Workload

# What no campaign file asks for: the last resort, after all of the catalogue (see guard.py).
LAST = {"plain": Entry("tickets.stack.strategies.plain:PlainStrategy", "a plain loop for each network")}


@dataclass(frozen=True)
class Choice:
    """A strategy for a workload.

    Parameters
    ----------
    strategy
        Its name.
    reason
        Why it was chosen.
    lanes
        How many shards of a stack train side by side.
    takes_over
        {strategy: share}, in order of preference: a stack whose networks all have at most this share of their
        multiplications left is trained by that strategy instead.
    """

    strategy: str
    reason: str
    lanes: int
    takes_over: Mapping[str, float] = field(default_factory=dict)


def strategy_names() -> tuple[str, ...]:
    """The names of all strategies, in order of preference."""
    return (*STRATEGIES, *LAST)


def strategy_named(name: str) -> Strategy:
    """The strategy with this name."""
    found: Strategy = resolve({**STRATEGIES, **LAST}[name].target)()
    return found


def choose(workload: Workload, wanted: str = "auto") -> Choice:
    """The strategy for a workload: the first one without an obstacle that is preferred to those after it.

    Parameters
    ----------
    workload
        What is to be trained.
    wanted
        The strategy to take, or "auto".

    Raises
    ------
    InputError
        If the wanted strategy cannot train this workload, or if the device does not have the precision.
    """
    if workload.recipe.precision == "tf32" and workload.on_cpu:
        raise InputError("train.precision = 'tf32': needs a GPU (--device cuda); a CPU has 'float32' and 'bf16'")
    if wanted != "auto":
        strategy = strategy_named(wanted)
        obstacle = strategy.obstacle(workload)
        if obstacle is not None:
            raise InputError(f"compute.strategy = {wanted!r}: {obstacle}; use 'auto'")
        return Choice(wanted, "set by compute.strategy", strategy.lanes(workload))
    passed_over, takes_over = "", dict[str, float]()
    for name, strategy in _strategies():
        obstacle = strategy.obstacle(workload)
        if obstacle is not None:
            passed_over = obstacle
            continue
        preference = strategy.preference(workload)
        if preference.up_to == 1:
            return Choice(name, preference.reason or passed_over, strategy.lanes(workload), takes_over)
        passed_over = preference.reason
        if preference.up_to > 0:
            takes_over[name] = preference.up_to
    raise AssertionError("the last strategy trains everything")


def alternatives(workload: Workload, failed: str) -> tuple[str, ...]:
    """The strategies to try where one has failed, in order: those after it that can train a workload.

    Strategies that are never preferred for it are left out.
    """
    names = strategy_names()
    following = names[names.index(failed) + 1 :]
    found = ((name, strategy_named(name)) for name in following)
    return tuple(name for name, one in found if one.obstacle(workload) is None and one.preference(workload).up_to > 0)


def begin(
    name: str,
    workload: Workload,
    start: Stack,
    seeds: Sequence[NetworkSeeds],
    examples: Examples,
    recipe: TrainConfig,
    device: torch.device,
) -> Shard:
    """Networks made ready to train by the strategy with this name, by this recipe, on this device."""
    return strategy_named(name).begin(replace(workload, recipe=recipe, device=device), start, seeds, examples)


def _strategies() -> Iterator[tuple[str, Strategy]]:
    return ((name, strategy_named(name)) for name in strategy_names())
