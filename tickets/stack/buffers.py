"""A module's buffers, which its forward pass may change in place or replace (self.m = ...)."""

from __future__ import annotations

from torch import Tensor, nn

from tickets.stack.networks import Tensors


class BuffersOf:
    """The places of a module's buffers. names: the first name of each buffer, which may be registered twice."""

    def __init__(self, module: nn.Module) -> None:
        self._places = [
            (f"{path}.{key}" if path else key, owner, key, buffer)
            for path, owner in module.named_modules()
            for key, buffer in owner._buffers.items()
            if buffer is not None
        ]
        # A buffer may be registered twice: the first name counts.
        self._first = {id(buffer): name for name, _, _, buffer in reversed(self._places)}
        self.names = frozenset(self._first.values())

    def stand_for(self, index: int, buffers: Tensors) -> None:
        """Make the buffers views of network `index` of a stack, whose buffers are (R, *shape)."""
        for name, _, _, buffer in self._places:
            if self._first[id(buffer)] == name:
                buffer.data = buffers[name][index]

    def replaced(self, there: Tensors | None = None) -> Tensors:
        """The buffers that the forward pass has replaced, by name.

        Parameters
        ----------
        there
            The buffers before the forward pass, by name; None: the module's own.

        Raises
        ------
        ValueError
            If a replacement has another type or shape.
        """
        found: Tensors = {}
        for name, owner, key, buffer in self._places:
            first = self._first[id(buffer)]
            now = owner._buffers.get(key)
            if now is not (buffer if there is None else there[first]):
                found[first] = _same_kind(name, buffer, now)
        return found

    def put_back(self) -> None:
        """Undo the replacements."""
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
