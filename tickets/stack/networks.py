"""A stack: many networks of one architecture, each tensor with the network as its first axis."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

Tensors = dict[str, Tensor]
# The seed of each network's own random numbers at a step, by its place in the stack.
Noise = Callable[[int], int]
# Of the parameters that the losses of some networks did not reach, and those of others did: which networks.
Unreached = dict[str, list[int]]


@dataclass(frozen=True)
class Stack:
    """R networks at one training step. Each tensor has the network as its first axis.

    Attributes
    ----------
    parameters
        The trained parameters by name, (R, *shape).
    buffers
        The buffers and the frozen parameters by name, (R, *shape).
    masks
        By prunable parameter, bool, (R, *shape).
    optimizer
        By state (`exp_avg`, `momentum_buffer`, ...) and parameter, (R, *shape) or, for the step count, (R,). Empty
        before the first step, and without the parameters that no loss has reached.
    step
        The training step, 0 to the recipe's last.
    pruned_values
        By prunable parameter, (R, *shape): values of pruned weights; entries of surviving weights are ignored.
        Empty: every pruned weight is 0.
    """

    parameters: Tensors
    buffers: Tensors
    masks: Tensors
    optimizer: dict[str, Tensors]
    step: int
    pruned_values: Tensors = field(default_factory=dict)

    def __len__(self) -> int:
        return next(iter(self.parameters.values())).shape[0]

    def __getitem__(self, networks: slice) -> Stack:
        """Some of the networks, as views."""
        return self._map(lambda tensor: tensor[networks])

    def to(self, device: torch.device) -> Stack:
        """The same stack on a device; a copy, so that training never writes into what it was given."""
        return self._map(lambda tensor: tensor.detach().to(device, copy=True))

    def network(self, index: int) -> Tensors:
        """Every parameter and buffer of one network, by name; copies on the CPU."""
        return {
            name: tensor[index].detach().to("cpu", copy=True)
            for name, tensor in {**self.parameters, **self.buffers}.items()
        }

    def optimizer_state(self, index: int) -> dict[str, Tensors]:
        """One network's optimizer state, by state and parameter; copies on the CPU."""
        return {
            state: {name: tensor[index].detach().to("cpu", copy=True) for name, tensor in tensors.items()}
            for state, tensors in self.optimizer.items()
        }

    def _map(self, change: Callable[[Tensor], Tensor]) -> Stack:
        def each(tensors: Mapping[str, Tensor]) -> Tensors:
            return {name: change(tensor) for name, tensor in tensors.items()}

        optimizer = {state: each(tensors) for state, tensors in self.optimizer.items()}
        return Stack(
            each(self.parameters), each(self.buffers), each(self.masks), optimizer, self.step, each(self.pruned_values)
        )


def stack_networks(
    values: Sequence[Mapping[str, Tensor]],
    masks: Sequence[Mapping[str, Tensor]],
    parameters: Sequence[str],
    *,
    optimizer: Sequence[Mapping[str, Mapping[str, Tensor]]] = (),
    step: int = 0,
    pruned_values: Sequence[Mapping[str, Tensor]] = (),
) -> Stack:
    """A stack of networks that are given one by one.

    Every pruned weight becomes exactly 0.0, or what `pruned_values` says; its optimizer state becomes 0.0.

    Parameters
    ----------
    values
        Every parameter and buffer of each network, by name.
    masks
        The masks of each network's prunable parameters, bool.
    parameters
        The names in `values` that are trained; the rest count as buffers.
    optimizer
        Each network's state, by state and parameter, the same names for all networks; () for none yet.
    step
        The training step that the networks stand at.
    pruned_values
        Of each network, by prunable parameter, what its pruned weights are; () for 0.
    """

    def each(name: str, sources: Sequence[Mapping[str, Tensor]]) -> Tensor:
        return torch.stack([source[name].detach() for source in sources])

    stacked_masks = {name: each(name, masks) for name in masks[0]}

    def masked(name: str, tensor: Tensor) -> Tensor:
        mask = stacked_masks.get(name)
        return tensor if mask is None or mask.shape != tensor.shape else tensor.masked_fill_(~mask, 0.0)

    held = {name: each(name, pruned_values) for name in stacked_masks} if pruned_values else {}

    def pruned(name: str) -> Tensor:
        tensor = each(name, values)
        return torch.where(stacked_masks[name], tensor, held[name]) if name in held else masked(name, tensor)

    states = {
        state: {
            name: masked(name, each(name, [network[state] for network in optimizer])) for name in optimizer[0][state]
        }
        for state in (optimizer[0] if optimizer else ())
    }
    return Stack(
        parameters={name: pruned(name) for name in parameters},
        buffers={name: pruned(name) for name in values[0] if name not in set(parameters)},
        masks=stacked_masks,
        optimizer=states,
        step=step,
        pruned_values=held,
    )


def hold_pruned(parameters: Mapping[str, Tensor], masks: Mapping[str, Tensor], values: Mapping[str, Tensor]) -> None:
    """Put the pruned weights back to their values, in place and bit for bit; called after every step.

    Where pruned weights are 0 there is nothing to do: their gradient and their optimizer state are 0, and no optimizer
    that is offered moves such a weight. Weight decay moves any other.

    Parameters
    ----------
    parameters
        By name, of any shape.
    masks
        Bool, of the parameters' shapes.
    values
        `Stack.pruned_values`, or those of one network of it.
    """
    for name, value in values.items():
        parameter = parameters[name].detach()
        torch.where(masks[name], parameter, value, out=parameter)


def share_left(stack: Stack, pixels: Mapping[str, int]) -> float:
    """The largest share of its multiplications that a network of the stack has left.

    Parameters
    ----------
    stack
        The networks; a tensor without a mask counts as whole.
    pixels
        How often each weight is used for one example, by its tensor's name; 1 where it is not given.
    """
    weights = {name: tensor for name, tensor in stack.parameters.items() if tensor.dim() > 2}
    weights |= {name: tensor for name, tensor in stack.buffers.items() if name in pixels}  # frozen ones
    uses = {name: tensor[0].numel() * pixels.get(name, 1) for name, tensor in weights.items()}
    whole = sum(uses[name] for name in weights if name not in stack.masks)
    masks = {name: stack.masks[name] for name in weights if name in stack.masks}
    left = [mask.flatten(1).sum(1) * pixels.get(name, 1) for name, mask in masks.items()]
    most = int(torch.stack(left).sum(0).max()) if left else 0
    return (most + whole) / sum(uses.values()) if uses else 1.0


def join(stacks: Sequence[Stack]) -> Stack:
    """One stack of several, in their order; all must stand at the same step."""
    if len(stacks) == 1:
        return stacks[0]

    def cat(parts: Sequence[Mapping[str, Tensor]]) -> Tensors:
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    return Stack(
        parameters=cat([stack.parameters for stack in stacks]),
        buffers=cat([stack.buffers for stack in stacks]),
        masks=cat([stack.masks for stack in stacks]),
        optimizer=_join_optimizers(stacks),
        step=stacks[0].step,
        pruned_values=cat([stack.pruned_values for stack in stacks]),
    )


def _join_optimizers(stacks: Sequence[Stack]) -> dict[str, Tensors]:
    """The states of all networks; zeros, as before a first step, where a parameter was reached in other stacks only."""
    joined: dict[str, Tensors] = {}
    for state in dict.fromkeys(state for stack in stacks for state in stack.optimizer):
        held = [stack.optimizer.get(state, {}) for stack in stacks]
        like = {name: tensor for tensors in held for name, tensor in tensors.items()}
        joined[state] = {
            name: torch.cat(
                [
                    tensors[name] if name in tensors else tensor.new_zeros(len(stack), *tensor.shape[1:])
                    for stack, tensors in zip(stacks, held, strict=True)
                ]
            )
            for name, tensor in like.items()
        }
    return joined
