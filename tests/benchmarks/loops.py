"""The loops that the stack is measured against: one network after the other, in plain PyTorch.

Both get the examples as tensors in memory and gather their batches by index, which is already better than the
DataLoader that most would use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from tickets.data import Examples
from tickets.stack.order import epoch_order, steps_per_epoch

from .clocks import LoopClock
from .workloads import Ready

Batch = tuple[Tensor, Tensor]  # inputs (batch, *input_shape), labels (batch,)
Loop = Callable[[nn.Module, Mapping[str, Tensor], float, Iterable[Batch]], None]


def batches(examples: Examples, order: int, batch_size: int, steps: int) -> Iterator[Batch]:
    """The first `steps` batches of a data order, the same ones that the stack sees."""
    count, device = len(examples.train_labels), examples.train_labels.device
    for step in range(steps):
        epoch, place = divmod(step, steps_per_epoch(count, batch_size))
        if place == 0:
            permutation = epoch_order(order, epoch, count).to(device)
        places = permutation[place * batch_size : (place + 1) * batch_size]
        yield examples.train_inputs.index_select(0, places), examples.train_labels.index_select(0, places)


def evaluated(feed: Iterable[Batch], module: nn.Module, examples: Examples, every: int) -> Iterator[Batch]:
    """The same batches; the module is scored as the stack is, at every so many steps and at both ends."""
    step = -1
    for step, batch in enumerate(feed):
        if step % every == 0:
            scores(module, examples)
        yield batch
    if (step + 1) % every == 0:
        scores(module, examples)


@torch.no_grad()
def scores(module: nn.Module, examples: Examples) -> list[float]:
    """Loss and accuracy on the validation examples, on as many of the training examples, and on the test's."""
    seen = len(examples.validation_labels)
    found = []
    for inputs, labels in (
        (examples.train_inputs[:seen], examples.train_labels[:seen]),
        (examples.validation_inputs, examples.validation_labels),
        (examples.test_inputs, examples.test_labels),
    ):
        outputs = torch.cat([module(x) for x in inputs.split(1000)])
        found += [functional.cross_entropy(outputs, labels).item(), (outputs.argmax(1) == labels).float().mean().item()]
    return found


def plain_loop(module: nn.Module, masks: Mapping[str, Tensor], rate: float, feed: Iterable[Batch]) -> None:
    """What a user would write. masks: 0 and 1, by parameter name."""
    optimizer = torch.optim.Adam(module.parameters(), lr=rate)
    for x, y in feed:
        optimizer.zero_grad()
        loss = functional.cross_entropy(module(x), y)
        loss.backward()
        for name, parameter in module.named_parameters():
            if name in masks:
                parameter.grad *= masks[name]
        optimizer.step()


def tuned_loop(module: nn.Module, masks: Mapping[str, Tensor], rate: float, feed: Iterable[Batch]) -> None:
    """The same with the fused optimizer, and with nothing in the loop that can stand before it."""
    parameters = list(module.parameters())
    optimizer = torch.optim.Adam(parameters, lr=rate, fused=True)
    pairs = [(parameter, masks[name]) for name, parameter in module.named_parameters() if name in masks]
    for x, y in feed:
        optimizer.zero_grad(set_to_none=True)
        functional.cross_entropy(module(x), y).backward()
        for parameter, mask in pairs:
            parameter.grad.mul_(mask)
        optimizer.step()


def train_alone(
    loop: Loop, ready: Ready, index: int, steps: int, clock: LoopClock | None = None, evaluate_every: int | None = None
) -> nn.Module:
    """Train one network of a stack by a loop, and give it back. evaluate_every: steps; None for no evaluation."""
    module, masks = ready.alone(index)
    recipe = ready.setting.run.train
    feed = batches(ready.setting.examples, ready.order(index), recipe.batch_size, steps)
    if evaluate_every:
        feed = evaluated(feed, module, ready.setting.examples, evaluate_every)
    loop(module, masks, recipe.learning_rate, clock.around(feed) if clock else feed)
    return module
