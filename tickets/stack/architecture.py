"""What can be pruned in a network, and what its tensors are."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd

from tickets.coverage import Coverage, LeftOut, Why
from tickets.errors import InputError

# Their parameters are never pruned, however many dimensions they have.
_NORMALISATIONS = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)


@dataclass(frozen=True)
class Prunable:
    """One prunable tensor: its parameter name and shape, whether it convolves, whether it is the output layer's.

    included: it is prunable since prune.include names it.
    """

    name: str
    shape: tuple[int, ...]
    convolution: bool
    output: bool
    included: bool = False


def prunable(module: nn.Module, exclude: Sequence[str] = (), include: Sequence[str] = ()) -> tuple[Prunable, ...]:
    """The prunable tensors of a network, in the model's order.

    They are the weights of Linear and Conv layers, and every other parameter of two or more dimensions whose name
    matches a pattern of `include`, less those whose name matches a pattern of `exclude` (as in a shell: `*`, `?`,
    `[...]`). Biases, normalisation parameters and frozen parameters (requires_grad = False) are never prunable. The
    output layer is the last Linear or Conv layer of the model, whether its weight is prunable or not; parameters that
    it computes its weight from (weight_norm) are the output layer's too.

    Parameters
    ----------
    module
        Any network.
    exclude
        Patterns of the names of weights that are not pruned.
    include
        Patterns of the names of parameters, of layers other than Linear and Conv, that are pruned.

    Raises
    ------
    InputError
        With every pattern that matches no parameter that can be pruned; or if nothing is left to prune.
    """
    weights = _weights(module)
    usual = [weight.name for weight in weights if weight.usual]
    found = [weight for weight in weights if weight.usual or _matches(weight.name, include)]
    problems = [*_wrong_excludes(exclude, [weight.name for weight in found]), *_wrong_includes(include, module)]
    if problems:
        raise InputError(problems)
    kept = tuple(
        Prunable(
            weight.name, tuple(weight.parameter.shape), weight.convolution, weight.output, included=not weight.usual
        )
        for weight in found
        if weight.parameter.requires_grad and not _matches(weight.name, exclude)
    )
    if not kept:
        could = [weight.name for weight in weights if weight not in found and weight.parameter.requires_grad]
        raise InputError(
            "model: nothing is left to prune; only weights of Linear and Conv layers "
            f"({', '.join(usual) or 'there are none'}), and what prune.include ({_listed(include)}) matches, that "
            f"prune.exclude ({_listed(exclude)}) does not match and that require gradients are prunable; prune.include "
            f"could add {', '.join(could) or 'nothing'}"
        )
    return kept


def coverage(module: nn.Module, found: Sequence[Prunable], exclude: Sequence[str] = ()) -> Coverage:
    """Which of a network's weights are prunable: those that `prunable` found, with this `exclude`."""
    sizes = {tensor.name: math.prod(tensor.shape) for tensor in found}

    def why(weight: _Weight) -> Why:
        if not weight.parameter.requires_grad:
            return "frozen"
        return "excluded" if _matches(weight.name, exclude) else "not included"

    left_out = {
        weight.name: LeftOut(weight.parameter.numel(), why(weight))
        for weight in _weights(module)
        if weight.name not in sizes
    }
    return Coverage(sizes, left_out)


def bias_names(module: nn.Module, found: Sequence[Prunable]) -> frozenset[str]:
    """The biases of a network that are not frozen, by parameter name. found: its prunable tensors.

    They are called `bias`; in a layer of which prune.include names a tensor also `bias_ih_l0`, `in_proj_bias`, ...
    """
    included = {tensor.name.rpartition(".")[0] for tensor in found if tensor.included}

    def is_one(name: str) -> bool:
        layer, _, last = name.rpartition(".")
        return last == "bias" or (_is_bias(name) and layer in included)

    return frozenset(name for name, each in module.named_parameters() if each.requires_grad and is_one(name))


def _is_bias(name: str) -> bool:
    last = name.rpartition(".")[2]
    return last == "bias" or last.startswith("bias_") or last.endswith("_bias")


@dataclass(frozen=True, eq=False)
class _Weight:
    """A parameter that may be prunable. usual: it is so without being named in prune.include."""

    name: str
    parameter: nn.Parameter
    usual: bool
    convolution: bool
    output: bool


def _weights(module: nn.Module) -> list[_Weight]:
    """Every parameter that may be prunable, frozen ones too, in the model's order.

    A weight that layers share is one tensor, at the first of them that is a Linear or Conv layer.
    """
    names: dict[Tensor, str] = {parameter: name for name, parameter in module.named_parameters()}
    layers = [layer for layer in module.modules() if isinstance(layer, nn.Linear | _ConvNd)]
    usual = {id(layer.weight) for layer in layers}  # one that is computed from others is no parameter
    convolving = {id(parameter) for layer in layers if isinstance(layer, _ConvNd) for parameter in layer.parameters()}
    last = {id(parameter) for layer in layers[-1:] for parameter in layer.parameters()}
    weights: dict[str, _Weight] = {}
    for layer in module.modules():
        if isinstance(layer, _NORMALISATIONS):
            continue
        for parameter in layer.parameters(recurse=False):
            key = id(parameter)
            elsewhere = key in usual and not isinstance(layer, nn.Linear | _ConvNd)
            if parameter.dim() >= 2 and not _is_bias(names[parameter]) and not elsewhere:
                own = _Weight(names[parameter], parameter, key in usual, key in convolving, key in last)
                weights.setdefault(own.name, own)
    return list(weights.values())


def _wrong_excludes(exclude: Sequence[str], names: Sequence[str]) -> Iterator[str]:
    for pattern in exclude:
        if not any(fnmatchcase(name, pattern) for name in names):
            there_are = ", ".join(names) or "none"
            yield f"prune.exclude: {pattern!r} matches none of this model's weights; they are {there_are}"


def _wrong_includes(include: Sequence[str], module: nn.Module) -> Iterator[str]:
    weights = {weight.name: weight for weight in _weights(module)}
    possible = [name for name, weight in weights.items() if weight.parameter.requires_grad]
    for pattern in include:
        matched = [name for name, _ in module.named_parameters() if fnmatchcase(name, pattern)]
        if any(name in possible for name in matched):
            continue
        if not matched:
            what = "no parameter of this model"
        elif frozen := [name for name in matched if name in weights]:
            what = f"only frozen parameters ({', '.join(frozen)})"
        else:
            what = f"only biases, normalisation parameters and others of one dimension ({', '.join(matched)})"
        yield (
            f"prune.include: {pattern!r} matches {what}; those of two or more dimensions that require gradients are "
            f"{', '.join(possible) or 'none'}"
        )


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _listed(patterns: Sequence[str]) -> str:
    return ", ".join(map(repr, patterns)) or "empty"
