"""Networks for probes, with the values, masks and examples that a test gives them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tickets.config import parse_run
from tickets.data import Examples
from tickets.measures import Label
from tickets.probes import Context, Networks
from tickets.stack.anatomy import examine

CPU = torch.device("cpu")


def networks_by_hand(
    build: Callable[[], nn.Module],
    values: Sequence[Mapping[str, Tensor]],
    masks: Sequence[Mapping[str, Tensor]],
    inputs: Tensor,
    targets: Tensor,
    *,
    initial: Sequence[Mapping[str, Tensor]] | None = None,
    earlier: Callable[[int, bool], Networks | None] = lambda round, trained: None,
    number: int = 1,
    **changes: Any,
) -> Networks:
    """Tickets of replicates 0, 1, ... with these values; parameters that are not given are those of one new module."""
    run = parse_run({"name": "tiny", "data": "digits", "model": "mlp", **changes})
    examples = Examples(inputs, targets, inputs[:1], targets[:1], inputs[:1], targets[:1], classes=2)
    anatomy = examine(build(), tuple(inputs.shape[1:]), inputs.dtype)
    torch.manual_seed(0)
    module = build()
    base = {**dict(module.named_parameters()), **dict(module.named_buffers())}

    def stacked(given: Sequence[Mapping[str, Tensor]], names: Sequence[str]) -> dict[str, Tensor]:
        return {name: torch.stack([{**base, **one}[name].detach() for one in given]) for name in names}

    whole = {tensor.name: torch.ones(tensor.shape, dtype=torch.bool) for tensor in anatomy.prunable}
    kept = {name: torch.stack([{**whole, **one}[name] for one in masks]) for name in whole}

    def masked(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: value * kept[name] if name in kept else value for name, value in tensors.items()}

    return Networks(
        labels=tuple(Label(place, number, 0.5, "ticket", 0) for place in range(len(values))),
        step=run.train.steps,
        values=masked(stacked(values, list(base))),
        initial=masked(stacked(values if initial is None else initial, list(base))),
        masks=kept,
        context=Context(run, lambda: examples, build, lambda: anatomy, CPU, chunk=100),
        _probe="test",
        _earlier=earlier,
    )
