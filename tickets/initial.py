"""The initial values of a network: every parameter and buffer, as a function of a seed.

A rule fills a weight in-place, with random numbers from torch's global generator. A rule that is marked by `whole`
fills a whole module. The rules are listed in `tickets.catalogue.INITS`; the keyword arguments of a rule are its options
in a campaign file.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from tickets.binding import resolve
from tickets.catalogue import INITS
from tickets.config.types import AddedLater, Number, Positive
from tickets.errors import InputError, nearest
from tickets.process_state import standard_state
from tickets.random_state import seed_generators


def pytorch(weight: Tensor) -> None:
    """Leave the values that the module's constructor has drawn."""


def glorot_normal(weight: Tensor) -> None:
    """N(0, 2 / (fan_in + fan_out)): Glorot & Bengio 2010, the "Gaussian Glorot" of Frankle & Carbin 2019."""
    nn.init.xavier_normal_(weight)


def glorot_uniform(weight: Tensor) -> None:
    """U(-a, a) with the variance of `glorot_normal`: a = sqrt(6 / (fan_in + fan_out)) (Glorot & Bengio 2010)."""
    nn.init.xavier_uniform_(weight)


def kaiming_normal(weight: Tensor) -> None:
    """N(0, 2 / fan_in) (He et al. 2015)."""
    nn.init.kaiming_normal_(weight, mode="fan_in", nonlinearity="relu")


def kaiming_uniform(weight: Tensor) -> None:
    """U(-a, a) with the variance of `kaiming_normal`: a = sqrt(6 / fan_in) (He et al. 2015)."""
    nn.init.kaiming_uniform_(weight, mode="fan_in", nonlinearity="relu")


def constant(weight: Tensor, *, value: Number = 0.5) -> None:
    """Set every weight to one value. Variance 0.

    The units of a layer are equal until a mask makes them different.

    Parameters
    ----------
    weight
        The weight to fill.
    value
        A finite number.
    """
    nn.init.constant_(weight, value)


def zeros(weight: Tensor) -> None:
    """Set every weight to 0. Variance 0.

    In a network with a hidden layer and biases of 0, only the biases of the output layer are trained: all other
    gradients are 0.
    """
    nn.init.zeros_(weight)


def sign_constant(weight: Tensor, *, scale: Positive | None = None) -> None:
    """+scale or -scale, each with probability 1/2 (the "signed constant" of Zhou et al. 2019). Variance scale**2.

    Parameters
    ----------
    weight
        The weight to fill.
    scale
        Greater than 0. None for the standard deviation of `glorot_normal`, sqrt(2 / (fan_in + fan_out)).
    """
    size = glorot_deviation(weight) if scale is None else scale
    weight.bernoulli_(0.5).mul_(2).sub_(1).mul_(size)


def uniform(weight: Tensor, *, scale: Positive = 0.05) -> None:
    """U(-scale, scale), independent of fan_in and fan_out. Variance scale**2 / 3.

    Parameters
    ----------
    weight
        The weight to fill.
    scale
        Greater than 0.
    """
    nn.init.uniform_(weight, -scale, scale)


def normal(weight: Tensor, *, scale: Positive = 0.05) -> None:
    """N(0, scale**2), independent of fan_in and fan_out. Variance scale**2.

    Parameters
    ----------
    weight
        The weight to fill.
    scale
        Greater than 0.
    """
    nn.init.normal_(weight, 0.0, scale)


def orthogonal(weight: Tensor, *, gain: Positive = 1.0, scale: AddedLater[Positive | None] = None) -> None:
    """`gain` times a random orthogonal matrix (Saxe et al. 2014). Variance gain**2 / max(rows, columns).

    The weight is viewed as a matrix (out, all other dimensions). Its rows are orthonormal before the multiplication;
    its columns are, if there are more rows than columns.

    Parameters
    ----------
    weight
        The weight to fill.
    gain
        Greater than 0.
    scale
        Greater than 0: the root mean square of the weights, in place of `gain`. None for what `gain` gives.

    Raises
    ------
    InputError
        If both `gain` and `scale` are given.
    """
    if scale is not None:
        if gain != 1:
            raise InputError(f"init 'orthogonal': gain = {gain!r} and scale = {scale!r} say the same; give one of them")
        gain = scale * math.sqrt(max(weight.shape[0], weight[0].numel()))
    # torch's function views its argument as a matrix, which is not possible for every memory layout.
    weight.copy_(nn.init.orthogonal_(torch.empty_like(weight, memory_format=torch.contiguous_format), gain))


_DRAWN = (
    nn.Linear,
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
)


_WHOLE = "_fills_whole_module"
Whole = TypeVar("Whole", bound=Callable[..., Any])


def whole(rule: Whole) -> Whole:
    """Mark a rule that is called as ``rule(module, seed, biases=biases, **options)`` and fills the module in-place."""
    setattr(rule, _WHOLE, True)
    return rule


def initial_values(build: Callable[[], nn.Module], init: str | Mapping[str, Any], seed: int) -> dict[str, Tensor]:
    """Every parameter and buffer of a newly built network, by name, as CPU tensors of their own.

    The result depends on the arguments alone: all random numbers come from `seed`, and the state of the process (see
    process_state.py) is neither read nor changed.

    Parameters
    ----------
    build
        Makes the network.
    init
        A name of `tickets.catalogue.INITS`, or a table with a `name` and options, as in the configuration of a saved
        run. Its rule draws the weights of Linear and convolution modules, in the modules' order. The option `biases`
        sets their biases to 0 ("zeros"), leaves the constructor's values ("model") or draws them (see `draw_biases`);
        it does not affect the weights. All other parameters and buffers, and frozen parameters, keep the constructor's
        values. If a weight is computed from other parameters (weight_norm), these are set so that it has the drawn
        values.
    seed
        In [0, 2**63).

    Raises
    ------
    InputError
        If the name is unknown, a weight cannot be set, or the network cannot have such a start.
    """
    module, _ = drawn(build, init, seed)
    tensors = [*module.named_parameters(), *module.named_buffers()]
    return {name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format) for name, tensor in tensors}


def drawn(build: Callable[[], nn.Module], init: str | Mapping[str, Any], seed: int) -> tuple[nn.Module, Any]:
    """A new network at its initial values, and what the rule returned. See `initial_values`."""
    table = {"name": init} if isinstance(init, str) else dict(init)
    name = table.pop("name")
    if name not in INITS:
        raise InputError(f"model.init = {name!r}: unknown{nearest(name, INITS)} (allowed: {', '.join(INITS)})")
    biases = table.pop("biases", INITS[name].defaults.get("biases", "zeros"))
    rule = resolve(INITS[name].target)
    with standard_state(), torch.device("cpu"), torch.no_grad():
        seed_generators(seed)
        module = build()
        if getattr(rule, _WHOLE, False):
            return module, rule(module, seed, biases=biases, **table)
        redraw(module, None if name == "pytorch" else partial(rule, **table), biases)
    return module, None


def glorot_deviation(weight: Tensor) -> float:
    """sqrt(2 / (fan_in + fan_out)), the standard deviation of `glorot_normal`.

    As in torch.nn.init, (fan_in, fan_out) = (shape[1], shape[0]), each times the size of the kernel, prod(shape[2:]).
    """
    fans = (weight.shape[0] + weight.shape[1]) * math.prod(weight.shape[2:])
    return math.sqrt(2 / fans)


def redraw(module: nn.Module, draw: Callable[[Tensor], None] | None, biases: str) -> None:
    """Fill the weights and biases of a newly built module in-place.

    Parameters
    ----------
    module
        The module.
    draw
        Fills a weight; None leaves the constructor's values.
    biases
        "zeros", "model" or "scaled".
    """
    parts = [(name, part) for name, part in module.named_modules() if isinstance(part, _DRAWN)]
    for name, part in parts:
        if draw is not None:
            _redraw_weight(f"{name}.weight", part, draw)
        if part.bias is not None and part.bias.requires_grad and biases == "zeros":
            part.bias.zero_()
    if biases == "scaled":
        draw_biases([part for _, part in parts])


def draw_biases(parts: Sequence[nn.Module]) -> None:
    """Draw the biases of a module's layers, which follow one another, from N(0, product of 2 / fan_in up to the layer).

    Such biases shrink as the outputs of the layers would if each were multiplied by the deviation of kaiming_normal
    (Fischer & Burkholz 2022). They are drawn after all weights, which do not depend on them.

    Parameters
    ----------
    parts
        The layers, in the module's order.
    """
    deviation = 1.0
    for part in parts:
        weight, bias = part.weight, part.bias
        assert isinstance(weight, Tensor)
        deviation *= math.sqrt(2 / math.prod(weight.shape[1:]))
        if isinstance(bias, Tensor) and bias.requires_grad:
            bias.normal_(0.0, deviation)


def _redraw_weight(name: str, part: nn.Module, draw: Callable[[Tensor], None]) -> None:
    """Draw a layer's weight, unless it is frozen or all parameters from which it is computed are."""
    weight = part.weight
    assert isinstance(weight, Tensor)
    if isinstance(weight, nn.Parameter):
        if weight.requires_grad:
            draw(weight)
        return
    if not any(parameter.requires_grad for key, parameter in part.named_parameters() if key != "bias"):
        return
    drawn = weight.clone()
    draw(drawn)
    try:
        if not parametrize.is_parametrized(part, "weight"):
            raise NotImplementedError  # a hook computes it, as torch.nn.utils.weight_norm has it
        part.weight = drawn  # by the parametrization's right_inverse
    except NotImplementedError as error:
        raise InputError(
            f"model.init: cannot set {name}, which is computed from other parameters without a right_inverse "
            '(torch.nn.utils.parametrizations has one); use init = "pytorch"'
        ) from error
