"""The data order: a function of the seed and the epoch, and of nothing else."""

from __future__ import annotations

import functools

import torch

from tickets.stack.feed import NetworkSeeds
from tickets.stack.order import Batches, epoch_order, steps_per_epoch
from tickets.stack.stepwise import Stepwise
from tickets.stack.training import train

CPU = torch.device("cpu")


def batches(*seeds: int) -> Batches:
    return Batches(seeds, 43, 8, CPU)


def test_whole_batches_only() -> None:
    assert steps_per_epoch(43, 8) == 5
    assert steps_per_epoch(40, 8) == 5
    assert steps_per_epoch(8, 8) == 1
    assert [tuple(batches(1, 2).at(step).shape) for step in range(12)] == [(2, 8)] * 12


def test_an_epoch_is_a_permutation_and_each_is_another_one() -> None:
    orders = [epoch_order(3, epoch, 43) for epoch in range(4)]
    assert all(sorted(order.tolist()) == list(range(43)) for order in orders)
    assert len({tuple(order.tolist()) for order in orders}) == 4


def test_an_epoch_visits_an_example_at_most_once_in_the_epochs_order() -> None:
    feed = batches(3)
    for epoch in range(3):
        seen = torch.cat([feed.at(5 * epoch + place)[0] for place in range(5)])
        assert torch.equal(seen, epoch_order(3, epoch, 43)[:40])


def test_any_step_can_be_the_first() -> None:
    feed = batches(3, 4)
    in_order = [feed.at(step).clone() for step in range(17)]
    for step in (0, 4, 5, 11, 16):
        assert torch.equal(batches(3, 4).at(step), in_order[step])
    backwards = batches(3, 4)
    for step in range(16, -1, -1):
        assert torch.equal(backwards.at(step), in_order[step])


def test_a_seed_is_an_order_of_its_own_whoever_else_is_there() -> None:
    both, alone = batches(3, 4), batches(4)
    for step in range(7):
        assert torch.equal(both.at(step)[1], alone.at(step)[0])
        assert not torch.equal(both.at(step)[0], both.at(step)[1])


def test_the_global_generator_has_no_say_and_is_left_alone() -> None:
    before = torch.get_rng_state()
    first = epoch_order(3, 0, 43)
    assert torch.equal(torch.get_rng_state(), before)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(99)
        assert torch.equal(epoch_order(3, 0, 43), first)


class Recorder:
    """An execution that trains nothing and keeps what it was fed."""

    def __init__(self) -> None:
        self.x: list[torch.Tensor] = []
        self.y: list[torch.Tensor] = []

    def gradients(self, parameters, buffers, x, y, noise) -> None:
        self.x.append(x.clone())
        self.y.append(y.clone())
        for parameter in parameters.values():
            parameter.grad = torch.zeros_like(parameter)

    def logits(self, parameters, buffers, x):
        return torch.zeros(len(next(iter(parameters.values()))), len(x), 3)


def fed(bench, orders: list[int], examples=None) -> Recorder:
    recorder = Recorder()
    seeds = [NetworkSeeds(order=order, noise=0) for order in orders]
    start = bench.stack(bench.mlp, len(orders))
    train(functools.partial(Stepwise, recorder), start, seeds, examples or bench.examples(), bench.recipe())
    return recorder


def test_networks_with_the_same_order_see_the_same_batches(bench) -> None:
    examples = bench.examples()
    recorder = fed(bench, [8, 9, 8], examples)
    for step, (x, y) in enumerate(zip(recorder.x, recorder.y, strict=True)):
        places = batches(8, 9).at(step)
        for network, row in enumerate([0, 1, 0]):
            assert torch.equal(x[network], examples.train_inputs[places[row]])
            assert torch.equal(y[network], examples.train_labels[places[row]])
    assert len(recorder.x) == 15


def test_augmentation_is_drawn_once_for_an_order_and_a_step(bench) -> None:
    def shift(batch, generator):
        return batch + torch.rand(len(batch), 1, generator=generator)

    examples = bench.examples(augment=shift)
    together, alone = fed(bench, [8, 9, 8], examples), fed(bench, [9], examples)
    places = batches(8, 9)
    offsets = []
    for step, (x, y) in enumerate(zip(together.x, together.y, strict=True)):
        assert torch.equal(x[0], x[2])
        assert torch.equal(x[1], alone.x[step][0])
        assert torch.equal(y[1], examples.train_labels[places.at(step)[1]])
        offsets += [(x[row] - examples.train_inputs[places.at(step)[row]])[0, 0].item() for row in (0, 1)]
    assert min(offsets) > 0
    assert len({round(offset, 4) for offset in offsets}) > 25, "another draw for every order and step"
