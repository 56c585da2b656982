"""A module's buffers, which its forward pass may change in place, or put others in their place (self.m = ...)."""

from __future__ import annotations

from torch import Tensor, nn

from tickets.stack.networks import Tensors


class BuffersOf:
    """Where a module's buffers are, as they stood when this was made; names: each buffer's first one."""

    def __init__(self, module: nn.Module) -> None:
        self._places = [
            (f"{path}.{key}" if path else key, owner, key, buffer)
            for path, owner in module.named_modules()
            for key, buffer in owner._buffers.items()
            if buffer is not None
        ]
        self._first = {id(buffer): name for name, _, _, buffer in reversed(self._places)}  # one may stand twice
        self.names = frozenset(self._first.values())

    def stand_for(self, index: int, buffers: Tensors) -> None:
        """Make them views of one network's, of a stack's (R, *shape)."""
        for name, _, _, buffer in self._places:
            if self._first[id(buffer)] == name:
                buffer.data = buffers[name][index]

    def replaced(self, there: Tensors | None = None) -> Tensors:
        """What was put in the buffers' place, by name. there: what stood there before, if not the buffers themselves.

        Raises ValueError if it has another type or shape: a stack cannot hold it.
        """
        found: Tensors = {}
        for name, owner, key, buffer in self._places:
            first = self._first[id(buffer)]
            now = owner._buffers.get(key)
            if now is not (buffer if there is None else there[first]):
                found[first] = _same_kind(name, buffer, now)
        return found

    def put_back(self) -> None:
        """Forget what was put in their place."""
        for _, owner, key, buffer in self._places:
            owner._buffers[key] = buffer


def _same_kind(name: str, buffer: Tensor, now: Tensor | None) -> Tensor:
    if now is None or now.shape != buffer.shape or now.dtype != buffer.dtype:
        became = "None" if now is None else f"{now.dtype} of shape {tuple(now.shape)}"
        raise ValueError(
            f"the buffer {name!r}, {buffer.dtype} of shape {tuple(buffer.shape)}, became {became} in training; "
            "a buffer must keep its type and shape"
        )
    return now.detach()
