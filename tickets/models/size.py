"""A bound on the size of a network, checked before it is built."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn

from tickets.errors import InputError
from tickets.process_state import standard_state
from tickets.stack.memory import free_bytes


@standard_state()
def check_size(build: Callable[[], nn.Module], widths: Sequence[int]) -> None:
    """Check that a network of the catalogue fits into the memory at all. Nothing is allocated for it.

    Parameters
    ----------
    build
        Makes the network.
    widths
        Its option `widths`, for the message.

    Raises
    ------
    InputError
        If one copy of its parameters takes more memory than is free.
    """
    with torch.device("meta"):  # shapes alone
        module = build()
    count = sum(parameter.numel() for parameter in module.parameters())
    size, free = 4 * count, free_bytes(torch.device("cpu"))
    if size > free:
        listed = ", ".join(map(str, widths[:20])) + (", ..." if len(widths) > 20 else "")
        raise InputError(
            f"model.widths = [{listed}]: means {count:,} parameters, {size / 2**30:,.1f} GiB for one copy, and "
            f"{free / 2**30:,.1f} GiB of memory are free here; give smaller widths"
        )
