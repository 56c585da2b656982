"""Models: from a name in a campaign file to a function that builds the network, and a check that it fits."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tickets.binding import bound, named_function
from tickets.catalogue import MODELS
from tickets.errors import InputError, UserCodeError
from tickets.process_state import settings_kept, standard_state
from tickets.users_code import told

__all__ = ["check_output", "factory"]

_EXAMPLES = 2  # one would fit a module that drops the batch dimension


def factory(name: str, options: Mapping[str, Any], input_shape: Sequence[int], classes: int) -> Callable[[], nn.Module]:
    """A function of no arguments that builds the model `name`: one of the catalogue, or a "module:function".

    The model's function gets `options` as keyword arguments, and `input_shape=` (a tuple, one example's) and
    `classes=` if it has such parameters. Raises InputError for an unknown name, for options that the function does
    not have or lacks, and for a class that is no nn.Module; it is not called before. What is returned raises
    UserCodeError if building fails, and InputError if it gives no nn.Module.
    """
    function = named_function("model", name, MODELS)
    if inspect.isclass(function) and not issubclass(function, nn.Module):
        raise InputError(f"model {name!r}: is a class, but no torch.nn.Module; it was not called")
    given = {"input_shape": tuple(input_shape), "classes": classes}
    return functools.partial(_built, bound(function, "model", name, options, given), name)


@standard_state()
def check_output(
    module: nn.Module, input_shape: Sequence[int], classes: int, name: str, dtype: torch.dtype = torch.float32
) -> None:
    """Does the model take the data's examples and give one number per class?

    Tried on two examples of zeros of type `dtype`, in evaluation mode and without gradients; the module's own modes
    and the process's state (see process_state.py) are as before. Raises InputError unless the output is a
    floating-point tensor of shape (2, classes), and UserCodeError if the model fails.
    """
    _check_module(module, name)
    wanted = (_EXAMPLES, classes)
    kind = "inputs" if dtype.is_floating_point else "whole-number inputs"
    shape = (_EXAMPLES, *input_shape)
    first = next(module.parameters(), None)
    inputs = torch.zeros(shape, dtype=dtype, device=first.device if first is not None else None)
    modes = {part: part.training for part in module.modules()}
    try:
        with torch.no_grad():
            output = module.eval()(inputs)
    except (Exception, SystemExit) as error:
        raise UserCodeError(
            f"model {name!r} fails on {kind} of shape {shape}: {told(error)}; "
            f"its input must have the shape of the data's examples{_of_other_dtype(module)}"
        ) from error
    finally:
        for part, training in modes.items():
            part.training = training
    if not isinstance(output, Tensor):
        raise InputError(f"model {name!r} returns a {type(output).__name__}; must be one tensor of shape {wanted}")
    if tuple(output.shape) != wanted:
        raise InputError(
            f"model {name!r} maps inputs of shape {shape} to {tuple(output.shape)}; must be {wanted}: "
            f"(examples, classes), as the data has {classes} classes"
        )
    if not output.dtype.is_floating_point:
        raise InputError(f"model {name!r} returns {output.dtype} numbers; must be floating-point logits")


def _of_other_dtype(module: nn.Module) -> str:
    """What more may be wrong where the parameters are of another dtype than the examples."""
    first = next(module.parameters(), None)
    if first is None or first.dtype == torch.float32:
        return ""
    name = str(first.dtype).removeprefix("torch.")
    return f"; its parameters are {name} and the examples float32: convert them in its forward, as x.double() does"


def _built(build: Callable[[], Any], name: str) -> nn.Module:
    """What the model's function makes; its failure is the input's, not ours."""
    try:
        with settings_kept():
            torch.set_default_dtype(torch.float32)  # another network's forward may have set it
            module = build()
    except InputError:
        raise
    except (Exception, SystemExit) as error:
        raise UserCodeError(f"model {name!r}: building it failed: {told(error)}") from error
    return _check_module(module, name)


def _check_module(module: Any, name: str) -> nn.Module:
    if not isinstance(module, nn.Module):
        raise InputError(f"model {name!r}: its function returned a {type(module).__name__}; must be a torch.nn.Module")
    return module
