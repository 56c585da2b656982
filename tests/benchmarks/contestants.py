"""Everyone whose training is timed: a number of steps in, seconds a step and network out."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from tickets.config import ArmConfig
from tickets.rounds import Network, train_round

from .clocks import WARM_STEPS, LoopClock, StackClock, now
from .loops import Loop, plain_loop, train_alone, tuned_loop
from .processes import Processes
from .workloads import Ready, step_flops

FEWEST_STEPS, MOST_STEPS = 3, 5_000
PRODUCT = {"cpu": 1024, "cuda": 8192}  # side of the matrices whose product is the floor's measure


@dataclass(frozen=True)
class Contestant:
    """seconds: of a step and network, from a training of so many steps. networks: that one such step trains."""

    seconds: Callable[[int], float]
    networks: int

    def lasting(self, wanted: float) -> Callable[[], float]:
        """A measurement that lasts about `wanted` seconds: trained longer and longer until that can be told."""
        steps = FEWEST_STEPS
        while True:
            lasted = self.seconds(steps) * self.networks * steps
            if lasted > wanted / 4 or steps == MOST_STEPS:
                break
            steps = min(8 * steps, MOST_STEPS)
        enough = min(max(round(steps * wanted / lasted), FEWEST_STEPS), MOST_STEPS)
        return functools.partial(self.seconds, enough)


def plain(ready: Ready, threads: int) -> Contestant:
    """The plain loop on all threads."""
    return Contestant(functools.partial(_loop_seconds, plain_loop, ready, threads), networks=1)


def tuned(ready: Ready, threads: int) -> Contestant:
    """The tuned loop on all threads."""
    return Contestant(functools.partial(_loop_seconds, tuned_loop, ready, threads), networks=1)


def tuned_processes(ready: Ready, density: float, processes: Processes) -> Contestant:
    """The tuned loop in a single-threaded process a core."""
    return Contestant(functools.partial(processes.seconds, ready.workload, density), networks=len(processes))


def stack(ready: Ready) -> Contestant:
    """The stack trainer, planned as a campaign plans it."""
    return Contestant(functools.partial(_stack_seconds, ready), networks=ready.networks)


def floor(ready: Ready, threads: int) -> Callable[[], float]:
    """Seconds that the dense matrix products of a step and network take at the rate of a large one, best of three."""
    flops, device = step_flops(ready), ready.setting.device

    def measure() -> float:
        torch.set_num_threads(threads)
        return flops / rate(device)

    return measure


def rate(device: torch.device) -> float:
    """Floating-point operations a second in a large product of float32 matrices, best of three."""
    side = PRODUCT[device.type]
    a = torch.rand(side, side, device=device)
    out = a @ a
    fastest = math.inf
    for _ in range(3):
        start = now(device)
        torch.mm(a, a, out=out)
        fastest = min(fastest, now(device) - start)
    return 2 * side**3 / fastest


def train_stack(ready: Ready, steps: int, tick: Callable[[int], None] = lambda networks: None) -> tuple[Network, ...]:
    """Train the whole stack as a round of a campaign; evaluated, on one example, at both ends alone.

    Of the arms it is `repeat`: the round's mask and the rewound values, but no masks for the next round.
    """
    plan, run = ready.setting.plan, ready.setting.run
    if plan.networks_at_once < ready.networks:
        raise MemoryError(f"{ready.workload}: the memory that is free holds only {plan.networks_at_once} networks")
    torch.set_num_threads(max(1, plan.threads // plan.lanes))
    recipe = run.train.model_copy(update={"steps": steps, "evaluate_every": steps})
    fitted = replace(ready.fitted, run=run.model_copy(update={"train": recipe}))
    setting = replace(ready.setting, fitted=fitted)
    arm = ArmConfig(name="repeat", draws=ready.draws)
    return train_round(setting, "timing", ready.chains, 1, [(arm, draw) for draw in range(ready.draws)], tick).networks


def _stack_seconds(ready: Ready, steps: int) -> float:
    taken = WARM_STEPS + steps
    clock = StackClock(ready.setting.device, ready.networks, taken)
    train_stack(ready, taken, clock.tick)
    return clock.seconds


def _loop_seconds(loop: Loop, ready: Ready, threads: int, steps: int) -> float:
    torch.set_num_threads(threads)
    clock = LoopClock(ready.setting.device)
    train_alone(loop, ready, 0, WARM_STEPS + steps, clock)
    return (clock.stop - clock.start) / steps
