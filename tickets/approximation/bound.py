"""How far the outputs of a random subnetwork may be from its target's: from the errors of the weights alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from tickets.approximation.construction import Settings, errors_of, groups_of
from tickets.approximation.subset_sum import Subsets
from tickets.approximation.target import Layer

_ROUNDING = 2.0**-53  # of each term of a sum in float64, relative to the sum of all magnitudes


@dataclass(frozen=True)
class Bounded:
    """The outputs of both networks for some examples, in float64, and the bound of their difference: (b, outputs)."""

    target: Tensor
    approximation: Tensor
    bound: Tensor

    @property
    def holds(self) -> bool:
        """Whether no output differs by more than the bound."""
        return bool((self.difference <= self.bound).all())

    @property
    def difference(self) -> Tensor:
        """|approximation - target|."""
        return (self.approximation - self.target).abs()


@torch.no_grad()
def bounded_outputs(
    inputs: Tensor, layers: Sequence[Layer], found: Sequence[Subsets], network: nn.Sequential, settings: Settings
) -> Bounded:
    """Outputs of the target and of the random subnetwork, and the bound of their difference.

    With the target's h' = relu(W h + b), the subnetwork's activations g and the errors e of its weights,
    |W h - W' g| <= |W| |h - g| + e |g|, layer by layer; a ReLU makes no difference larger. The errors of the two signs
    of an input count where the input has this sign.

    Parameters
    ----------
    inputs
        (b, *input_shape).
    layers, found
        The target's layers, and the subsets of each.
    network
        The subnetwork. Each of its layers is converted to float64 and back, which changes no value.
    settings
        Of the construction.
    """
    exact = inputs.flatten(1).double()
    target, own, bound = exact, exact, torch.zeros_like(exact)
    for index, (layer, subsets) in enumerate(zip(layers, found, strict=True)):
        groups = groups_of(layer, settings)
        errors = torch.from_numpy(errors_of(layer, groups, subsets))
        weight = torch.from_numpy(layer.weight.astype(np.float64))
        bias = torch.zeros(len(weight)) if layer.bias is None else torch.from_numpy(layer.bias.astype(np.float64))
        random = network.get_submodule(f"layer{index}")
        parts = _parts(own, groups.source, groups.sign)
        bound = bound @ weight.abs().T + parts @ errors.T
        largest = random.get_parameter("second.weight").abs().max().double()
        terms = 2 * settings.candidates * len(groups)
        bound += terms * _ROUNDING * (target.abs() @ weight.abs().T + bias.abs())
        bound += terms * _ROUNDING * 2 * settings.candidates * largest * parts.sum(1, keepdim=True)
        target = target @ weight.T + bias
        own = random.double()(own)
        random.float()
        if layer.rectified:
            target, own = target.relu(), own.relu()
    return Bounded(target, own, bound)


def _parts(x: Tensor, source: np.ndarray, sign: np.ndarray) -> Tensor:
    """What each group passes, (b, groups): the positive or the negative part of its source, or its magnitude."""
    with_one = torch.cat([x, x.new_ones(len(x), 1)], 1)[:, torch.from_numpy(source)]
    signs = torch.from_numpy(sign).double()
    return torch.where(signs == 0, with_one.abs(), (with_one * signs).relu())
