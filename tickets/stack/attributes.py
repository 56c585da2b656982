"""State of a module in plain Python attributes, which is neither a parameter nor a buffer and is not saved."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence, Set
from types import CellType, FunctionType, MethodType
from typing import Any

import numpy as np
from torch import Tensor, nn

SMALL = 100  # items of a container, nested ones included
DEPTH = 5  # of nested containers
_OF_EVERY_MODULE = frozenset(vars(nn.Module()))
_IN_STATE = frozenset({"_parameters", "_buffers", "_modules"})
_UNLIKE = frozenset({"training"})  # an evaluation leaves it off, and every step sets it


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


def kept_elsewhere(module: nn.Module) -> dict[str, str]:
    """Everything that a module and its submodules keep outside of parameters and buffers, whatever it is.

    Unlike `plain_attributes` it reads tensors and containers of any size, objects, hooks and what functions enclose.

    Returns
    -------
    dict
        By dotted name, a digest; equal content gives equal digests.
    """
    named = {id(one): f"its {name}" for name, one in [*module.named_parameters(), *module.named_buffers()]}
    named |= {id(part): f"its {path}" for path, part in module.named_modules()}
    found = {}
    for path, part in module.named_modules():
        for key, value in vars(part).items():
            if key not in _IN_STATE and key not in _UNLIKE:
                if key in _OF_EVERY_MODULE and isinstance(value, Mapping):
                    value = list(value.values())  # hooks, by numbers that count all hooks of the process
                content = hashlib.sha256("\n".join(_content(value, named, set())).encode()).hexdigest()
                found[f"{path}.{key}" if path else key] = content
    return found


def _content(value: Any, named: Mapping[int, str], within: set[int]) -> Iterator[str]:
    """Texts of an object and all that it contains. named: by identity, what is known. within: what it is part of."""
    if id(value) in named:
        yield named[id(value)]
    elif id(value) in within:
        yield "itself"
    elif isinstance(value, Tensor):
        yield from (str(value.dtype), str(value.shape), repr(value.detach().cpu().reshape(-1).tolist()))
    elif isinstance(value, np.ndarray):
        yield from (str(value.dtype), str(value.shape), repr(value.reshape(-1).tolist()))
    elif value is None or isinstance(value, bool | int | float | complex | str | bytes | np.generic | type):
        yield repr(value)
    else:
        yield type(value).__qualname__
        parts = [_content(part, named, within | {id(value)}) for part in _parts(value)]
        yield from (text for part in parts for text in part)


def _parts(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return [*value.keys(), *value.values()]
    if isinstance(value, Set):
        return sorted(value, key=repr)
    if isinstance(value, Sequence):
        return list(value)
    if isinstance(value, nn.Module):  # one that is not registered
        return [vars(value)[key] for key in sorted(vars(value)) if key not in _UNLIKE]
    if isinstance(value, MethodType):
        return [value.__self__, value.__func__.__qualname__]
    if isinstance(value, FunctionType):
        cells = [cell.cell_contents for cell in value.__closure__ or () if cell != CellType()]
        return [value.__qualname__, value.__defaults__, *cells]
    return [part for pair in sorted(getattr(value, "__dict__", {}).items()) for part in pair]


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
