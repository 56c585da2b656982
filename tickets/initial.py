"""The initial values of a network: every parameter and buffer, as a function of a seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor, nn

from tickets.errors import InputError, nearest
from tickets.random_state import seed_generators, untouched_generators

# Each fills a weight in place. Glorot: variance 2 / (fan_in + fan_out) (Glorot & Bengio 2010), which is the
# "Gaussian Glorot" of Frankle & Carbin 2019. Kaiming: variance 2 / fan_in (He et al. 2015).
INITS: Mapping[str, Callable[[Tensor], Tensor] | None] = {
    "pytorch": None,  # what the module's own constructor draws
    "glorot_normal": nn.init.xavier_normal_,
    "glorot_uniform": nn.init.xavier_uniform_,
    "kaiming_normal": partial(nn.init.kaiming_normal_, mode="fan_in", nonlinearity="relu"),
    "kaiming_uniform": partial(nn.init.kaiming_uniform_, mode="fan_in", nonlinearity="relu"),
}

_DRAWN = (
    nn.Linear,
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
)


def initial_values(build: Callable[[], nn.Module], init: str, seed: int) -> dict[str, Tensor]:
    """Every parameter and buffer of a freshly built network, by name: CPU tensors that nothing else holds.

    With init "pytorch" they are what `build` makes. With any other of `INITS` the weights of Linear and
    convolution modules are drawn by it, in the modules' order, their biases are 0, and the rest is as built.
    A function of (build, init, seed) alone: all random numbers come from `seed`, in [0, 2**63), and the
    global generators are left as they were. Raises InputError for an unknown `init`.
    """
    if init not in INITS:
        raise InputError(f"model.init = {init!r}: unknown{nearest(init, INITS)} (allowed: {', '.join(INITS)})")
    draw = INITS[init]
    with untouched_generators(), torch.device("cpu"), torch.no_grad():
        seed_generators(seed)
        module = build()
        if draw is not None:
            _redraw(module, draw)
    tensors = [*module.named_parameters(), *module.named_buffers()]
    return {name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format) for name, tensor in tensors}


def _redraw(module: nn.Module, draw: Callable[[Tensor], Tensor]) -> None:
    """Fill the module's weights in place; only ever done to a module that was just built."""
    for part in module.modules():
        if isinstance(part, _DRAWN):
            draw(part.weight)
            if part.bias is not None:
                part.bias.zero_()
