"""torch.optim's SGD, Adam and AdamW without the wrappers that import the compiler of `torch.compile`.

The first call of a wrapper imports it, which takes longer than a short training, and nothing here is compiled. What is
wrapped is used as it is.
"""

from __future__ import annotations

from typing import Any

import torch


def _undecorated(function: Any) -> Any:
    return getattr(function, "__wrapped__", function)


class _WithoutCompiler(torch.optim.Optimizer):
    add_param_group = _undecorated(torch.optim.Optimizer.add_param_group)
    zero_grad = _undecorated(torch.optim.Optimizer.zero_grad)


class SGD(_WithoutCompiler, torch.optim.SGD):
    """torch.optim.SGD."""

    step = torch.no_grad()(_undecorated(torch.optim.SGD.step))


class Adam(_WithoutCompiler, torch.optim.Adam):
    """torch.optim.Adam."""

    step = torch.no_grad()(_undecorated(torch.optim.Adam.step))


class AdamW(_WithoutCompiler, torch.optim.AdamW):
    """torch.optim.AdamW."""

    step = torch.no_grad()(_undecorated(torch.optim.AdamW.step))
