"""The Gram matrix of a network: the inner products of its outputs' gradients by its parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev, vmap

Kept = Mapping[str, Tensor]

PART = 2**24
"""Entries of a part of the Jacobian."""


def gram_matrix(module: nn.Module, inputs: Tensor, kept: Kept) -> Tensor:
    """The Gram matrix of a network, also called its empirical neural tangent kernel.

    K[(i, a), (j, b)] is the inner product of the gradients of output a for example i and of output b for example j. The
    gradients are by the kept entries of the parameters. Gradient descent with a small learning rate r on a loss L
    changes the outputs f by -r K (dL / df) in a step.

    Parameters
    ----------
    module
        In evaluation mode, with float64 values. Each example's outputs depend on that example alone.
    inputs
        Of n examples, (n, *input_shape).
    kept
        Of each parameter that is trained, by name: which of its entries are, bool.

    Returns
    -------
    Tensor, (n * outputs, n * outputs)
        float64, symmetric; all outputs of one example stand together.

    Source: Jacot, Gabriel & Hongler, "Neural Tangent Kernel" (2018); Du, Zhai, Poczos & Singh, "Gradient Descent
    Provably Optimizes Over-parameterized Neural Networks" (2019), section 3.
    """
    outputs, layers = _forward(module, inputs)
    size = outputs.numel()
    total = torch.zeros(size, size, dtype=torch.float64, device=outputs.device)
    done: set[str] = set()
    for layer in _simple(layers, outputs, kept):
        total += _of_layer(layer, kept)
        done |= layer.names & kept.keys()
    for name in kept:
        if name not in done:
            for part in _jacobian(module, inputs, name, kept[name]):
                total += part @ part.T
    return (total + total.T) / 2


@dataclass
class _Layer:
    """A Linear layer in one forward pass: what it reads, (n, in), and what it computes, (n, out).

    slopes: the gradients of the network's outputs by what the layer computes, (n, outputs, out).
    """

    name: str
    linear: nn.Linear
    reads: Tensor
    computes: Tensor
    slopes: Tensor

    @property
    def names(self) -> set[str]:
        """The layer's parameters."""
        return {f"{self.name}.{one}" for one, _ in self.linear.named_parameters(recurse=False)}


def _forward(module: nn.Module, inputs: Tensor) -> tuple[Tensor, list[_Layer]]:
    """The outputs, (n, outputs), and the Linear layers that were called just once, for a vector of each example."""
    called: dict[str, list[tuple[Tensor, Tensor]]] = {}
    names: dict[nn.Module, str] = {layer: name for name, layer in module.named_modules() if type(layer) is nn.Linear}

    def record(layer: nn.Module, given: tuple[Tensor, ...], found: Tensor) -> None:
        called.setdefault(names[layer], []).append((given[0].detach(), found))

    handles = [layer.register_forward_hook(record) for layer in names]
    try:
        with torch.enable_grad():
            outputs = module(inputs.clone()).flatten(1)
    finally:
        for handle in handles:
            handle.remove()
    layers = [
        _Layer(names[layer], layer, *called[names[layer]][0], torch.empty(0))
        for layer in names
        if isinstance(layer, nn.Linear)
        and len(called.get(names[layer], ())) == 1
        and called[names[layer]][0][0].dim() == 2
    ]
    return outputs, [layer for layer in layers if layer.computes.requires_grad and len(layer.reads) == len(inputs)]


def _simple(layers: Sequence[_Layer], outputs: Tensor, kept: Kept) -> Iterator[_Layer]:
    """The layers whose parameters act through what they compute alone, each with its slopes.

    The gradient of a sum of the outputs by the weight is computed both ways: of a weight that the network uses
    elsewhere, too, the two differ. Each output has a factor of its own, since outputs may sum to a constant (softmax).
    """
    wanted = [layer for layer in layers if layer.names & kept.keys()]
    if not wanted:
        return
    computed = [layer.computes for layer in wanted]
    slopes = [
        torch.autograd.grad(outputs[:, place].sum(), computed, retain_graph=True, materialize_grads=True)
        for place in range(outputs.shape[1])
    ]
    factors = torch.arange(outputs.numel(), dtype=outputs.dtype, device=outputs.device).cos().reshape(outputs.shape)
    total = (factors * outputs).sum()
    trained = {
        f"{layer.name}.{name}": tensor
        for layer in wanted
        for name, tensor in layer.linear.named_parameters(recurse=False)
        if tensor.requires_grad
    }
    gradients = torch.autograd.grad(total, list(trained.values()), materialize_grads=True)
    found = dict(zip(trained, gradients, strict=True))
    for place, layer in enumerate(wanted):
        layer.slopes = torch.stack([one[place] for one in slopes], 1)
        summed = (factors[:, :, None] * layer.slopes).sum(1)
        expected = {f"{layer.name}.weight": summed.T @ layer.reads, f"{layer.name}.bias": summed.sum(0)}
        if all(torch.allclose(expected[name], found[name]) for name in layer.names & found.keys()):
            yield layer


def _of_layer(layer: _Layer, kept: Kept) -> Tensor:
    """The part of the matrix that comes of a Linear layer's own parameters."""
    slopes = layer.slopes.flatten(0, 1)  # (n outputs, out)
    total = torch.zeros(len(slopes), len(slopes), dtype=torch.float64, device=slopes.device)
    if (bias := kept.get(f"{layer.name}.bias")) is not None:
        total += slopes[:, bias] @ slopes[:, bias].T
    if (weight := kept.get(f"{layer.name}.weight")) is not None:
        reads = layer.reads.repeat_interleave(layer.slopes.shape[1], 0)  # (n outputs, in)
        if bool(weight.all()):
            return total + (slopes @ slopes.T) * (reads @ reads.T)
        for rows in torch.arange(len(weight)).split(max(1, PART // reads.numel())):
            part = (slopes[:, rows, None] * (reads[:, None, :] * weight[rows])).flatten(1)
            total += part @ part.T
    return total


def _jacobian(module: nn.Module, inputs: Tensor, name: str, kept: Tensor) -> Iterator[Tensor]:
    """The derivatives of all outputs by the kept entries of one parameter, some entries at a time: (n outputs, e)."""
    others = {key: value.detach() for key, value in (*module.named_parameters(), *module.named_buffers())}
    own = others.pop(name)

    def outputs(value: Tensor, example: Tensor) -> Tensor:
        found: Tensor = functional_call(module, {**others, name: value}, (example.unsqueeze(0),))
        return found.flatten()

    derivatives = vmap(jacrev(outputs), in_dims=(None, 0))
    whole = torch.cat([derivatives(own, part).flatten(0, 1).flatten(1) for part in inputs.split(_at_once(own))])
    yield from whole[:, kept.flatten()].split(max(1, PART // len(whole)), 1)


def _at_once(parameter: Tensor) -> int:
    """How many examples' derivatives are computed at once."""
    return max(1, PART // (16 * parameter.numel()))
