"""The machine on which a process trains: its device, its CPU threads, and the memory that is free there.

A run keeps the plan that it began with (run.json), so that its bits stay the same. Where that plan does not fit the
machine, fewer networks train at once, in fewer threads; each round's manifest records the plan it was trained with.
"""

from __future__ import annotations

import bisect
import os
from dataclasses import dataclass, replace
from typing import Any

import torch

from tickets.catalogue import Pruned
from tickets.errors import InputError, nearest
from tickets.fitting import Fitted
from tickets.planning import Plan, memory_needed, networks_in_lockstep
from tickets.stack.memory import free_bytes


@dataclass(frozen=True)
class Placement:
    """How a run is computed on this machine.

    Parameters
    ----------
    plan
        The run's plan, with no more networks at once than fit into the free memory.
    free_memory
        The memory that was free on the device when the plan was made, in bytes.
    """

    plan: Plan
    free_memory: int

    def record(self) -> dict[str, Any]:
        """The placement as JSON values, for the manifests of the rounds that are trained with it."""
        return {**_record(self.plan), "free_memory_bytes": self.free_memory}

    def exceeds(self, at_most: int | None) -> bool:
        """Whether more networks than `at_most` may train at once; False for None, which is no limit."""
        plans = (self.plan, self.plan.pruned_initial)
        return at_most is not None and any(plan.networks_at_once > at_most for plan in plans if plan is not None)


def _record(plan: Plan) -> dict[str, Any]:
    nested = {} if plan.pruned_initial is None else {"pruned_initial": _record(plan.pruned_initial)}
    return {
        "strategy": plan.strategy,
        "takes_over": dict(plan.takes_over),
        "lanes": plan.lanes,
        "networks_at_once": plan.networks_at_once,
        "threads": plan.threads,
        **nested,
    }


def find_device(name: str) -> torch.device:
    """The PyTorch device with a name.

    Parameters
    ----------
    name
        "cpu", "cuda" or "cuda:0", "cuda:1", ...

    Returns
    -------
    torch.device

    Raises
    ------
    InputError
        If the name is none of these, or if this machine has no such device.
    """
    kind = name.partition(":")[0]
    if kind not in ("cpu", "cuda"):
        raise InputError(f"--device = {name!r}: must be cpu or cuda{nearest(name, ('cpu', 'cuda'))}")
    if kind == "cuda" and not torch.cuda.is_available():
        raise InputError(
            f"--device = {name!r}: this PyTorch ({torch.__version__}) finds no CUDA device here; use cpu, or install "
            "a CUDA build of PyTorch (see the README)"
        )
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError(f"--device = {name!r}: must be cpu, cuda or cuda:0, cuda:1, ...") from error
    if kind == "cuda" and device.index is not None and device.index >= torch.cuda.device_count():
        raise InputError(f"--device = {name!r}: there are {torch.cuda.device_count()} CUDA devices, from cuda:0")
    return device


def cores() -> int:
    """The number of CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def with_threads_here(plan: Plan, wanted: int | None) -> Plan:
    """A run's plan with no more threads than this machine has cores.

    Parameters
    ----------
    plan
        The plan that the run began with.
    wanted
        The run's `compute.threads`. A number that the campaign file states is kept as it is.

    Returns
    -------
    Plan
        The same plan, with another number of threads where the machine has fewer. The lanes stay: they decide how a
        stack is divided, and with it the last bits.
    """
    if wanted is not None:
        return plan
    # OMP_NUM_THREADS, or the caller, may allow PyTorch more threads than there are cores.
    nested = None if plan.pruned_initial is None else with_threads_here(plan.pruned_initial, wanted)
    threads = min(plan.threads, max(cores(), torch.get_num_threads()))
    return replace(plan, threads=threads, pruned_initial=nested)


def place(fitted: Fitted, plan: Plan, device: torch.device, at_most: int | None = None) -> Placement:
    """A run's plan with as many networks at once as the free memory of this machine allows.

    A plan that fits into the memory that is free now stays as it is. For one that does not, the networks get half of
    the memory that is left beside what a round holds whatever their number; at least one trains at a time.

    Parameters
    ----------
    fitted
        The run.
    plan
        Its plan.
    device
        The device on which it trains.
    at_most
        The most networks at once, whatever the free memory.

    Returns
    -------
    Placement
    """
    if at_most is not None:
        plan = _limited(plan, at_most)
    if device.type == "cuda":
        torch.cuda.empty_cache()  # what this process has freed counts as free
    free = free_bytes(device)
    return Placement(_fitting(fitted, plan, device, free, "zero"), free)


def _limited(plan: Plan, at_most: int) -> Plan:
    """The plan, and the one that it includes, each with no more networks at once than `at_most`."""
    nested = None if plan.pruned_initial is None else _limited(plan.pruned_initial, at_most)
    count = min(plan.networks_at_once, at_most)
    return replace(plan, networks_at_once=count, lanes=min(plan.lanes, count), pruned_initial=nested)


def _fitting(fitted: Fitted, plan: Plan, device: torch.device, free: int, pruned: Pruned) -> Plan:
    """The plan, and the one that it includes, each with as many networks at once as the free memory allows."""
    nested = None
    if plan.pruned_initial is not None:
        nested = _fitting(fitted, plan.pruned_initial, device, free, "initial")
    most = min(plan.networks_at_once, networks_in_lockstep(fitted.run))

    def with_networks(count: int) -> Plan:
        return replace(plan, networks_at_once=count, lanes=min(plan.lanes, count), pruned_initial=None)

    def bytes_of(count: int) -> int:
        return memory_needed(fitted, with_networks(count), device, pruned)

    if bytes_of(most) <= free:
        return replace(plan, pruned_initial=nested)
    fixed = bytes_of(0)
    count = bisect.bisect_right(range(1, most), fixed + max(0, free - fixed) // 2, key=bytes_of)
    return replace(with_networks(max(1, count)), pruned_initial=nested)
