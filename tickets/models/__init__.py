"""Models: the function that builds the network that a campaign file names, and a check of its outputs."""

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
from tickets.users_code import one_line

__all__ = ["check_output", "factory"]

_EXAMPLES = 2  # one would fit a module that drops the batch dimension


def factory(name: str, options: Mapping[str, Any], input_shape: Sequence[int], classes: int) -> Callable[[], nn.Module]:
    """A function of no arguments that builds a model.

    Parameters
    ----------
    name : str
        A name of the catalogue, or "module:function".
    options : mapping
        Keyword arguments of the model's function.
    input_shape : sequence of int
        Of one example; passed as `input_shape=` (a tuple) if the function has such a parameter.
    classes : int
        The number of classes, or for regression of numbers to predict for each example; passed as `classes=` likewise.

    Returns
    -------
    callable
        Raises UserCodeError if building fails, and InputError if it gives no nn.Module.

    Raises
    ------
    InputError
        For an unknown name, for options that the function does not have or that are missing, and for a class that is
        no nn.Module. The function is not called.
    """
    function = named_function("model", name, MODELS)
    if inspect.isclass(function) and not issubclass(function, nn.Module):
        raise InputError(f"model {name!r}: is a class, but no torch.nn.Module; it was not called")
    given = {"input_shape": tuple(input_shape), "classes": classes}
    return functools.partial(_built, bound(function, "model", name, options, given), name)


@standard_state()
def check_output(
    module: nn.Module,
    input_shape: Sequence[int],
    classes: int,
    name: str,
    dtype: torch.dtype = torch.float32,
    outputs: str | None = "classes",
) -> tuple[int, ...]:
    """Whether a model takes the data's examples and has the outputs that the task needs.

    Tried on two examples of zeros, in evaluation mode and without gradients. The module's modes and the state of the
    process (see process_state.py) are afterwards as before.

    Parameters
    ----------
    module : nn.Module
        The model.
    input_shape : sequence of int
        Of one example.
    classes : int
        Outputs that are needed for each example.
    name : str
        The model's, for messages.
    dtype : torch.dtype
        Of the examples.
    outputs : str, optional
        What the outputs are, as `Task.outputs` names it. None: any outputs will do.

    Returns
    -------
    tuple of int
        The shape of the output for one example.

    Raises
    ------
    InputError
        If the output is no floating-point tensor of shape (2, classes), or where any outputs will do (2, ...).
    UserCodeError
        If the model fails.
    """
    _check_module(module, name)
    wanted = (_EXAMPLES, classes) if outputs else "(examples, ...)"
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
            f"model {name!r} fails on {kind} of shape {shape}: {one_line(error)}; "
            f"its input must have the shape of the data's examples{_of_other_dtype(module)}"
        ) from error
    finally:
        for part, training in modes.items():
            part.training = training
    if not isinstance(output, Tensor):
        raise InputError(f"model {name!r} returns a {type(output).__name__}; must be one tensor of shape {wanted}")
    found = tuple(output.shape)
    if outputs and found != wanted:
        raise InputError(
            f"model {name!r} maps inputs of shape {shape} to {found}; must be {wanted}: "
            f"(examples, {outputs}), as the data has {classes} {outputs}"
        )
    if found[:1] != (_EXAMPLES,):
        raise InputError(f"model {name!r} maps inputs of shape {shape} to {found}; must be {wanted}")
    if not output.dtype.is_floating_point:
        numbers = "logits" if outputs == "classes" else "numbers"
        raise InputError(f"model {name!r} returns {output.dtype} numbers; must be floating-point {numbers}")
    return found[1:]


def _of_other_dtype(module: nn.Module) -> str:
    """A further possible reason, where the parameters have another dtype than the examples."""
    first = next(module.parameters(), None)
    if first is None or first.dtype == torch.float32:
        return ""
    name = str(first.dtype).removeprefix("torch.")
    return f"; its parameters are {name} and the examples float32: convert them in its forward, as x.double() does"


def _built(build: Callable[[], Any], name: str) -> nn.Module:
    """The module that the model's function returns."""
    try:
        with settings_kept():
            torch.set_default_dtype(torch.float32)  # another network's forward may have set it
            module = build()
    except InputError:
        raise
    except (Exception, SystemExit) as error:
        raise UserCodeError(f"model {name!r}: building it failed: {one_line(error)}") from error
    return _check_module(module, name)


def _check_module(module: Any, name: str) -> nn.Module:
    if not isinstance(module, nn.Module):
        raise InputError(f"model {name!r}: its function returned a {type(module).__name__}; must be a torch.nn.Module")
    return module
