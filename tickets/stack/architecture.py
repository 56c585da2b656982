"""What can be pruned in a network, and what its tensors are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from tickets.errors import InputError


@dataclass(frozen=True)
class Prunable:
    """One prunable tensor: its parameter name and shape, whether it convolves, whether it is the output layer's."""

    name: str
    shape: tuple[int, ...]
    convolution: bool
    output: bool


def prunable(module: nn.Module, exclude: Sequence[str] = ()) -> tuple[Prunable, ...]:
    """The prunable tensors of a network, in the model's order.

    They are the weights of Linear and Conv layers, less those whose parameter name matches a pattern in
    `exclude` (as in a shell: `*`, `?`, `[...]`). Biases and normalisation parameters never are. The output
    layer is the last Linear or Conv layer of the model.

    Raises InputError if a pattern matches no such tensor, or if nothing is left.
    """
    # By parameter: a weight that two layers share is one tensor, one that is computed from others is none.
    names: dict[Tensor, str] = {parameter: name for name, parameter in module.named_parameters()}
    layers = [layer for layer in module.modules() if isinstance(layer, nn.Linear | _ConvNd)]
    found = {names[layer.weight]: layer for layer in layers if layer.weight in names}
    last = names.get(layers[-1].weight) if layers else None
    problems = [
        f"prune.exclude: {pattern!r} matches none of this model's weights; they are {', '.join(found) or 'none'}"
        for pattern in exclude
        if not any(fnmatchcase(name, pattern) for name in found)
    ]
    if problems:
        raise InputError(problems)
    kept = tuple(
        Prunable(name, tuple(layer.weight.shape), isinstance(layer, _ConvNd), output=name == last)
        for name, layer in found.items()
        if not any(fnmatchcase(name, pattern) for pattern in exclude)
    )
    if not kept:
        raise InputError(
            "model: nothing is left to prune; only weights of Linear and Conv layers that prune.exclude "
            f"({', '.join(map(repr, exclude)) or 'empty'}) does not match are prunable"
        )
    return kept
