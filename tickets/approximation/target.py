"""The network that is approximated: a chain of Linear and ReLU layers, as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from tickets.errors import InputError
from tickets.stack.hooks import is_hooked

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

PASSED_OVER = (nn.Flatten, nn.Dropout, nn.Identity)  # in evaluation mode they leave each number as it is


@dataclass(frozen=True, eq=False)
class Layer:
    """A Linear layer of the target.

    Attributes
    ----------
    name
        Its name in the module.
    weight
        (out, in) float32; pruned weights are 0.
    bias
        (out,) float32, or None.
    surviving
        (out, in): the weights that are not pruned, and pruned ones that are held at another value than 0.
    rectified
        Whether a ReLU follows.
    signed
        Whether its inputs may be negative: not after a ReLU.
    """

    name: str
    weight: Floats
    bias: Floats | None
    surviving: Mask
    rectified: bool
    signed: bool

    @property
    def sources(self) -> npt.NDArray[np.float64]:
        """(out, in) or, with a bias, (out, in + 1): a bias is the weight of an input that is always 1."""
        parts = [self.weight] if self.bias is None else [self.weight, self.bias[:, None]]
        return np.concatenate(parts, axis=1).astype(np.float64)

    @property
    def scale(self) -> float:
        """The largest magnitude of its weights and biases, by which candidates are multiplied; 1 if all are 0."""
        return float(np.abs(self.sources).max(initial=0.0)) or 1.0


def layers_of(module: nn.Module, masks: Mapping[str, Mask], signed: bool) -> tuple[Layer, ...]:
    """The layers of a network.

    Parameters
    ----------
    module
        An nn.Sequential of Flatten, Linear, ReLU and Dropout layers, the first of which with weights is Linear.
    masks
        {parameter: which of its entries survive}; a parameter without a mask survives whole.
    signed
        Whether the network's inputs may be negative.

    Raises
    ------
    InputError
        If the network is something else; the message names the layer.
    """
    if type(module) is not nn.Sequential:
        raise InputError(f"the network is a {type(module).__name__}; {_CHAIN}")
    if is_hooked(module):
        raise InputError("the network has hooks, which may change what its layers compute; " + _CHAIN)
    layers: list[Layer] = []
    for name, child in module._modules.items():
        if type(child) is nn.Linear:
            signed = not layers[-1].rectified if layers else signed
            layers.append(_layer(name, child, masks.get(f"{name}.weight"), signed))
        elif type(child) is nn.ReLU and layers:
            layers[-1] = _rectified(layers[-1])
        elif type(child) not in PASSED_OVER or (type(child) is nn.Flatten and layers):
            raise InputError(f"layer {name} is a {type(child).__name__}; {_CHAIN}")
    if not layers:
        raise InputError(f"the network has no Linear layer; {_CHAIN}")
    return tuple(layers)


_CHAIN = "what is approximated is a chain of Linear and ReLU layers that begins with Linear, such as the model mlp"


def _layer(name: str, linear: nn.Linear, mask: Mask | None, signed: bool) -> Layer:
    weight = _array(linear.weight)
    bias = None if linear.bias is None else _array(linear.bias)
    for part, values in (("weight", weight), ("bias", bias)):
        if values is not None and not np.isfinite(values).all():
            raise InputError(f"{name}.{part} has numbers that are NaN or infinite: a network that diverged")
    surviving = np.ones(weight.shape, np.bool_) if mask is None else mask | (weight != 0)
    return Layer(name, weight, bias, surviving, rectified=False, signed=signed)


def _rectified(layer: Layer) -> Layer:
    return Layer(layer.name, layer.weight, layer.bias, layer.surviving, rectified=True, signed=layer.signed)


def _array(tensor: Tensor) -> Floats:
    array: Floats = tensor.detach().cpu().numpy().astype(np.float32)
    return array
