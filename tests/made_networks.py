"""Networks with values and masks of the test's own, for exact tests of probes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from tickets.config import parse_run
from tickets.data import Examples
from tickets.measures import Label
from tickets.probes import Context, Networks
from tickets.random_state import untouched_generators
from tickets.stack.anatomy import Anatomy, examine

CPU = torch.device("cpu")


def label(replicate: int = 0, number: int = 1, arm: str = "ticket", draw: int = 0) -> Label:
    return Label(replicate, number, 0.5**number, arm, draw)


def made_networks(
    labels: Sequence[Label],
    values: Mapping[str, Tensor],
    examples: Examples,
    build: Callable[[], nn.Module],
    masks: Mapping[str, Tensor] | None = None,
    earlier: Sequence[Networks] = (),
    step: int = 10,
    **changes: Any,
) -> Networks:
    """Networks whose earlier rounds are the given ones. values, masks: (R, *shape). changes: of the run."""
    arms = list(dict.fromkeys(["ticket", *(one.arm for one in labels)]))
    table: dict[str, Any] = {"name": "made", "data": "digits", "model": "mlp", "arms": arms, "train": {"batch_size": 4}}
    run = parse_run({**table, **changes})

    @functools.cache
    def anatomy() -> Anatomy:
        return examine(build(), tuple(examples.train_inputs.shape[1:]), examples.train_inputs.dtype)

    def quiet() -> nn.Module:
        with untouched_generators():
            return build()

    context = Context(run, lambda: examples, quiet, anatomy, CPU, chunk=3)
    by_round = {one.round: one for one in earlier}
    return Networks(
        tuple(labels),
        step,
        values,
        values,
        masks if masks is not None else {},
        context,
        _earlier=lambda number, trained: by_round.get(number),
    )


def with_masks(networks: Networks, masks: Sequence[Mapping[str, Tensor]]) -> Networks:
    """The same networks, with the masks that pruning would give each of them."""
    return replace(networks, _next_masks=lambda given, place: masks[place])


def stacked(*networks: nn.Module) -> dict[str, Tensor]:
    """The values of modules, (R, *shape)."""
    states = [{**dict(one.named_parameters()), **dict(one.named_buffers())} for one in networks]
    return {name: torch.stack([state[name].detach() for state in states]) for name in states[0]}
