"""What is timed against one another must be the same work: the loops and the stack end with the same weights."""

from __future__ import annotations

from dataclasses import replace
from operator import attrgetter

import pytest
import torch

from .contestants import train_stack
from .loops import Loop, plain_loop, train_alone, tuned_loop
from .workloads import HALF, LENET, SMALL, ZOO, Workload, make_ready, step_flops

pytestmark = pytest.mark.bench
CPU = torch.device("cpu")
STEPS = 7


@pytest.mark.parametrize("loop", [plain_loop, tuned_loop])
@pytest.mark.parametrize("workload", [SMALL, LENET], ids=attrgetter("id"))
def test_a_loop_and_the_stack_end_with_the_same_weights(workload: Workload, loop: Loop, device: torch.device) -> None:
    ready = make_ready(replace(workload, examples=5 * workload.batch_size), HALF, device, networks=7)
    networks = train_stack(ready, STEPS)
    for index in (0, 6):  # the first and the last differ in initial values, mask and data order
        alone = dict(train_alone(loop, ready, index, STEPS).named_parameters())
        start, mask = ready.start(index), ready.chains[index].masks
        for name, values in networks[index].trained.items():
            moved = (values - start[name]).norm()
            assert moved > 0
            # By the norm: where a gradient is all but 0, Adam makes much of its last bits.
            assert (alone[name].detach().cpu() - values).norm() < 1e-3 * moved
            if name in mask:
                assert not values[~mask[name]].any()


def test_processes_train_their_own_networks_of_the_same_stack() -> None:
    whole = make_ready(SMALL, HALF, CPU, networks=7)
    one = make_ready(SMALL, HALF, CPU, first=6, networks=1)
    assert one.order(0) == whole.order(6)
    assert all(torch.equal(value, whole.start(6)[name]) for name, value in one.start(0).items())


def test_the_masks_have_the_density_exactly() -> None:
    masks = make_ready(SMALL, 0.05, CPU, networks=2).chains[1].masks
    assert [int(mask.sum()) for mask in masks.values()] == [200, 500, 50]


@pytest.mark.parametrize("workload", [SMALL, LENET], ids=attrgetter("id"))
def test_the_floor_counts_every_dense_multiply_add(workload: Workload) -> None:
    weights = [mask.numel() for mask in make_ready(workload, HALF, CPU, networks=1).chains[0].masks.values()]
    multiply_adds = workload.batch_size * (3 * sum(weights) - weights[0])
    assert step_flops(make_ready(workload, HALF, CPU, networks=1)) == 2 * multiply_adds


def test_the_zoo_is_whole() -> None:
    from tickets.catalogue import MODELS

    assert [workload.model["name"] for workload in ZOO] == list(MODELS)
