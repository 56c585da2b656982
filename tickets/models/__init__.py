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
    """Return a function without arguments that builds a model.

    Parameters
    ----------
    name : str
        A name of the catalogue, or "module:function".
    options : mapping
        Keyword arguments of the model's function.
    input_shape : sequence of int
        The shape of one example; passed as `input_shape=` (a tuple) if the function has such a parameter.
    classes : int
        The number of classes, or for regression the number of values to predict for each example; passed as `classes=`
        if the function has such a parameter.

    Returns
    -------
    callable
        It raises UserCodeError if the model's function fails, and InputError if that does not return an nn.Module.

    Raises
    ------
    InputError
        If the name is unknown, if the function does not have an option or needs one that is missing, or if the name is
        that of a class other than an nn.Module. The function is not called.
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
    """Check that a model accepts the data's examples and has the outputs that the task needs.

    The model is called on two examples of zeros, in evaluation mode and without gradients. Its modes and the state of
    the process (see process_state.py) are restored afterwards.

    Parameters
    ----------
    module : nn.Module
        The model.
    input_shape : sequence of int
        The shape of one example.
    classes : int
        The number of outputs that the task needs for each example.
    name : str
        The model's name, for error messages.
    dtype : torch.dtype
        The dtype of the examples.
    outputs : str, optional
        What the outputs are, as named by `Task.outputs`; None if the task accepts outputs of any shape.

    Returns
    -------
    tuple of int
        The shape of the output for one example.

    Raises
    ------
    InputError
        If the output is not a floating-point tensor of shape (2, classes), or (2, ...) if `outputs` is None.
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
    """A further possible cause of the failure, if the parameters have another dtype than the examples; else ""."""
    first = next(module.parameters(), None)
    if first is None or first.dtype == torch.float32:
        return ""
    name = str(first.dtype).removeprefix("torch.")
    return f"; its parameters are {name} and the examples float32: convert them in its forward, as x.double() does"


def _built(build: Callable[[], Any], name: str) -> nn.Module:
    """Call the model's function and return its module."""
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
