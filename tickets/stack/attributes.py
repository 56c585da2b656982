"""State of a module in plain Python attributes, which is neither a parameter nor a buffer and is not saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any

import numpy as np
from torch import Tensor, nn

SMALL = 100  # items of a container, nested ones included
DEPTH = 5  # of nested containers
_OF_EVERY_MODULE = frozenset(vars(nn.Module()))


def plain_attributes(module: nn.Module) -> dict[str, str]:
    """The attributes of a module and its submodules that are numbers, strings or small containers of these.

    A tensor with one element counts as a number.

    Returns
    -------
    dict
        By dotted name, each value as text; equal values give equal text.
    """
    found = {}
    for path, part in module.named_modules():
        for key, value in vars(part).items():
            if key not in _OF_EVERY_MODULE and (items := _items(value)) is not None and items <= SMALL:
                found[f"{path}.{key}" if path else key] = _text(value)
    return found


def changed_in(seen: Sequence[Mapping[str, str]]) -> tuple[str, ...]:
    """The names whose values differ between the given states, sorted."""
    names = {name for each in seen for name in each}
    return tuple(sorted(name for name in names if len({each.get(name) for each in seen}) > 1))


def _items(value: Any, depth: int = 0) -> int | None:
    """The number of plain values in it; None if it contains anything else or is nested too deeply."""
    if value is None or isinstance(value, bool | int | float | complex | str | bytes | np.generic):
        return 1
    if isinstance(value, Tensor):
        return 1 if value.numel() == 1 and not value.requires_grad else None
    if depth == DEPTH or not isinstance(value, Mapping | Sequence | Set) or len(value) > SMALL:
        return None
    within = [*value.keys(), *value.values()] if isinstance(value, Mapping) else value
    counts = [_items(one, depth + 1) for one in within]
    return None if None in counts else 1 + sum(count or 0 for count in counts)


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return repr([(_text(key), _text(one)) for key, one in value.items()])
    if isinstance(value, Set):
        return repr(sorted(map(_text, value)))
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return repr([_text(one) for one in value])
    return repr(value.item() if isinstance(value, Tensor) else value)
