"""The anatomy of a network: everything that the rest of the package knows of a module, examined once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import nn

from tickets.coverage import Coverage
from tickets.models.chance import Draws
from tickets.stack.architecture import Prunable, bias_names, coverage, prunable
from tickets.stack.chain import Chain, chain_of
from tickets.stack.convolutions import ConvolutionUse, plain_convolutions
from tickets.stack.forward import Forward, observe_forward
from tickets.stack.hidden import HiddenLayer, hidden_layers

DRAWS_NOTHING = Draws(frozenset(), repeatable=True)


@dataclass(frozen=True, eq=False)
class Anatomy:
    """A module and what is known of it. What needs a forward pass is found at first use, then kept.

    Parameters
    ----------
    module
        A template of the architecture; its values are not used.
    input_shape, dtype
        Of an example.
    prunable
        Its prunable tensors, in the model's order.
    coverage
        Which of its weights they are.
    chain
        Its links, if it is a chain.
    chance
        What it draws random numbers from as it computes.
    """

    module: nn.Module
    input_shape: tuple[int, ...]
    dtype: torch.dtype
    prunable: tuple[Prunable, ...]
    coverage: Coverage
    chain: Chain | None
    chance: Draws = DRAWS_NOTHING

    @property
    def trained(self) -> tuple[str, ...]:
        """Names of the parameters that are trained; the others are frozen."""
        return tuple(name for name, parameter in self.module.named_parameters() if parameter.requires_grad)

    @property
    def biases(self) -> frozenset[str]:
        """Names of the biases that are trained."""
        return bias_names(self.module, self.prunable)

    @cached_property
    def hidden(self) -> tuple[HiddenLayer, ...] | None:
        """The hidden layers; None if the network is no chain of Linear layers (`hidden.NO_HIDDEN_LAYERS` says so)."""
        return hidden_layers(self.chain)

    @property
    def kernel_chain(self) -> Chain | None:
        """The chain, if the compiled kernels can train it: complete, with ReLU and max pooling only between links."""
        chain = self.chain
        return chain if chain is not None and chain.complete and chain.rectified else None

    @property
    def convolutions(self) -> Mapping[str, Sequence[ConvolutionUse]]:
        """By weight, the uses for one example of each convolution that can be computed by its surviving weights."""
        return self._forward.convolutions if any(plain_convolutions(self.module)) else {}

    @property
    def has_convolutions(self) -> bool:
        """Whether it has convolution layers of any kind."""
        return any(isinstance(layer, nn.modules.conv._ConvNd) for layer in self.module.modules())

    @property
    def activations(self) -> int:
        """Bytes of one example's activations, the example included."""
        return self._forward.activations

    @property
    def calls(self) -> int:
        """How often a forward pass calls modules without children."""
        return self._forward.calls

    @cached_property
    def pixels(self) -> dict[str, int]:
        """How often each weight is used for one example: of all links of a kernel chain, else of `convolutions`."""
        if self.kernel_chain is not None:
            return {link.weight: link.pixels for link in self.kernel_chain.links}
        return {weight: sum(use.pixels for use in uses) for weight, uses in self.convolutions.items()}

    @property
    def has_images(self) -> bool:
        """Whether a weight in `pixels` is used more than once for an example."""
        return any(pixels > 1 for pixels in self.pixels.values())

    @cached_property
    def _forward(self) -> Forward:
        return observe_forward(self.module, self.input_shape, self.dtype)


def examine(
    module: nn.Module,
    input_shape: tuple[int, ...],
    dtype: torch.dtype = torch.float32,
    *,
    exclude: Sequence[str] = (),
    include: Sequence[str] = (),
    chance: Draws = DRAWS_NOTHING,
) -> Anatomy:
    """Examine a network.

    Parameters
    ----------
    module
        Any network.
    input_shape, dtype
        Of an example.
    exclude, include
        Patterns of parameter names; see `architecture.prunable`.
    chance
        What it draws from; see `models.chance.draws_of`.

    Raises
    ------
    InputError
        If a pattern matches no parameter that can be pruned, or if nothing is left to prune.
    """
    found = prunable(module, exclude, include)
    covered = coverage(module, found, exclude)
    return Anatomy(module, input_shape, dtype, found, covered, chain_of(module, input_shape), chance)
