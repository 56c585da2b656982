"""Detect hooks and replaced forward methods, which change what a module's class computes."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.modules import module as every_module

_OF_MODULES = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_OF_TENSORS = ("_backward_hooks", "_post_accumulate_grad_hooks")
_OF_EVERY_MODULE = tuple(f"_global{kind}" for kind in _OF_MODULES)


def is_hooked(*modules: nn.Module) -> bool:
    """Whether hooks, or a `forward` set on an instance, change what a module computes or its gradient.

    Examined are the hooks of the modules, their submodules and parameters, the global module hooks of the process,
    and a `forward` attribute of an instance. Parametrizations need no check: they change the class.
    """
    layers = [layer for module in modules for layer in module.modules()]
    parameters = [parameter for module in modules for parameter in module.parameters()]
    return (
        any(getattr(every_module, kind, None) for kind in _OF_EVERY_MODULE)
        or any(_hooks(layer, _OF_MODULES) or "forward" in vars(layer) for layer in layers)
        or any(_hooks(parameter, _OF_TENSORS) for parameter in parameters)
    )


def _hooks(owner: nn.Module | Tensor, kinds: tuple[str, ...]) -> bool:
    return any(getattr(owner, kind, None) for kind in kinds)
