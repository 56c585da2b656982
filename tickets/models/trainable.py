"""Whether a network can be trained here, by its modules and tensors; the network is not called."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from tickets.errors import InputError

_DTYPES = (torch.float32, torch.float64)  # of parameters
_HALVES = (torch.float16, torch.bfloat16)
_QUANTISED = ("torch.ao.nn.quantized", "torch.ao.nn.intrinsic.quantized", "torch.nn.quantized", "torch.nn.intrinsic")
_WRAPPERS = ("DataParallel", "DistributedDataParallel", "FullyShardedDataParallel")
_CPU = "build it on the CPU (--device says where it is trained)"


def untrainable(module: nn.Module) -> list[str]:
    """Why a network cannot be trained: a sentence for each reason, with the remedy; empty if it can be trained.

    Parameters must be dense float32 or float64 tensors on the CPU, and at least one must require gradients. A network
    with float64 parameters is trained in float64; its forward must convert the examples, which are float32. Buffers may
    also be whole numbers. Wrappers that distribute, compile or quantise a network are not accepted, because they hide
    the parameters that are pruned.
    """
    made_of: dict[str, str] = {}
    for name, part in module.named_modules():
        problem = _of_module(name, part)
        if problem and not any(name.startswith(f"{outer}." if outer else "") for outer in made_of):
            made_of[name] = problem
    if made_of:
        return list(made_of.values())  # the tensors of such a wrapper are not those of the user's network
    found: dict[str, list[str]] = {}
    tensors = (*_labelled("parameter", module.named_parameters()), *_labelled("buffer", module.named_buffers()))
    for label, value in tensors:
        for problem in _of_tensor(label, value):
            found.setdefault(problem, []).append(label)
    problems = [_sentence(labels, problem) for problem, labels in found.items()]
    if not any(parameter.requires_grad for parameter in module.parameters()):
        problems.append("has no parameter to train; at least one must have requires_grad")
    return problems


def _sentence(labels: list[str], problem: str) -> str:
    more = f" (and {len(labels) - 1} more)" if len(labels) > 1 else ""
    return f"{labels[0]}{more} {problem}"


def _of_module(name: str, part: nn.Module) -> str | None:
    kind = type(part)
    where = f"its module {name!r}" if name else "it"
    if kind.__name__ in _WRAPPERS and kind.__module__.startswith("torch."):
        return f"{where} is a {kind.__name__}; return the network within it (its `.module`)"
    elif kind.__name__ == "OptimizedModule" and kind.__module__.startswith("torch."):
        return f"{where} is compiled by torch.compile; return the network as it was before"
    elif isinstance(part, torch.jit.ScriptModule):
        return f"{where} is a TorchScript module; return the nn.Module that it was made from"
    elif kind.__module__.startswith(_QUANTISED) and "quantized" in kind.__module__:
        return f"{where} is quantised ({kind.__name__}), and cannot be trained; return the network before quantisation"
    elif any(is_lazy(value) for value in (*part._parameters.values(), *part._buffers.values()) if value is not None):
        return (
            f"{where} is a {kind.__name__} whose parameters have no shape before its first input; give its input size, "
            "or call it once on zeros before it is returned"
        )
    return None


def _labelled(kind: str, named: Iterator[tuple[str, Tensor]]) -> Iterator[tuple[str, Tensor]]:
    return ((f"{kind} {name!r}", value) for name, value in named)


def _of_tensor(label: str, value: Tensor) -> Iterator[str]:
    of_parameter = label.startswith("parameter")
    if value.is_meta:
        yield f"is on the meta device, without values; {_CPU}"
    elif value.device.type != "cpu":
        yield f"is on {value.device}; {_CPU}"
    elif value.is_quantized:
        yield "is quantised; it must be float32"
    elif value.is_nested or value.layout != torch.strided:
        layout = "nested" if value.is_nested else str(value.layout).removeprefix("torch.")
        yield f"has the layout {layout}; it must be dense"
    elif type(value).__torch_dispatch__ is not Tensor.__torch_dispatch__ and not isinstance(value, nn.Parameter):
        yield f"is a {type(value).__name__}; it must be a plain tensor"
    elif isinstance(value, nn.Parameter) and type(value.data) is not Tensor:
        yield f"is a {type(value.data).__name__}; it must be a plain tensor"
    if of_parameter and value.dtype not in _DTYPES:
        yield f"has dtype {_dtype(value)}; must be float32 (or float64), whole numbers are for buffers"
    elif not of_parameter and (value.dtype in _HALVES or value.dtype.is_complex):
        yield f"has dtype {_dtype(value)}; must be float32, float64, whole numbers or bool"


def _dtype(value: Tensor) -> str:
    return str(value.dtype).removeprefix("torch.")


def check_trainable(module: nn.Module, name: str) -> None:
    """Raise InputError, with every reason, if a network cannot be trained.

    Parameters
    ----------
    module
        The network.
    name
        The model's name, for the messages.
    """
    problems = untrainable(module)
    if problems:
        raise InputError([f"model {name!r}: {problem}" for problem in problems])
