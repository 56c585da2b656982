"""The network of a run as its code makes it now: its initial values, its outputs and its source files."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tickets.code_hashes import named_functions, source_hashes
from tickets.errors import InputError, UserCodeError
from tickets.fitting import Fitted
from tickets.initial import initial_values
from tickets.process_state import standard_state
from tickets.random_state import seed_generators, untouched_generators
from tickets.seeds import stream
from tickets.users_code import one_line

EXAMPLES = 8  # of the training set, the first ones
_NOISE = 0.1  # its standard deviation, times the square root of the fan-in
_SEED = 20190506

Values = Mapping[str, Tensor]
Table = list[list[float | None]]  # (examples, outputs); None: not a finite number


@dataclass(frozen=True)
class CurrentNetwork:
    """The network of a run as its code makes it now.

    Parameters
    ----------
    initial
        Replicate 0's initial values as they are drawn now: every parameter and buffer by name.
    parameters
        The names of those that are parameters, not buffers.
    outputs
        Its outputs for the first 8 training examples, (examples, outputs).
    with_noise
        The same from initial values with noise.
    sources
        The SHA-256 of the source file of each module that the run's functions are made of, by module.
    """

    initial: Values
    parameters: tuple[str, ...]
    outputs: Table
    with_noise: Table
    sources: Mapping[str, str]


@standard_state()
def current_network(fitted: Fitted) -> CurrentNetwork:
    """The network of a run as its code makes it now: initial values, outputs and source files.

    The outputs are those for the first 8 training examples, in evaluation mode, in float32 on the CPU. They are
    computed twice, from replicate 0's initial values and from the same values with normal noise (of standard deviation
    0.1 / sqrt(fan-in)) added to each parameter: a layer that starts at zero hides the layers before it.

    Parameters
    ----------
    fitted
        The run.

    Returns
    -------
    CurrentNetwork

    Raises
    ------
    UserCodeError
        If the model fails.
    InputError
        If the seed does not determine its initial values.
    """
    run = fitted.run
    initial, again = (
        initial_values(fitted.build, run.model.init.model_dump(), stream(run.seed, 0, "initial")) for _ in range(2)
    )
    parameters = tuple(name for name, _ in fitted.module.named_parameters())
    for name in parameters:
        if not torch.allclose(initial[name], again[name], rtol=0, atol=0, equal_nan=True):
            raise InputError(
                f"model {run.model.name!r}: built twice from one seed, it has two initial {name}; draw from torch's, "
                "NumPy's or Python's global generator, which are seeded, or fill it with numbers of your own"
            )
    inputs = fitted.source.examples.train_inputs[:EXAMPLES].cpu()
    outputs, with_noise = _outputs(fitted, [initial, _with_noise(fitted, initial)], inputs)
    sources = source_hashes(named_functions(run.model_dump(mode="json")))
    return CurrentNetwork(initial, parameters, outputs, with_noise, sources)


def _outputs(fitted: Fitted, starts: Sequence[Values], inputs: Tensor) -> list[Table]:
    """The outputs of a new network at each of `starts`, (examples, outputs). No global generator changes."""
    name, shape, tables = fitted.run.model.name, tuple(inputs.shape), []
    with untouched_generators(), torch.device("cpu"), torch.no_grad(), _one_thread():
        module = fitted.build().eval()
        device = next((parameter.device for parameter in module.parameters()), inputs.device)
        for values in starts:
            seed_generators(_SEED)  # for models that draw in evaluation mode too
            for key, tensor in (*module.named_parameters(), *module.named_buffers()):
                if not torch.equal(tensor.cpu(), values[key]):  # an expanded buffer cannot be written to
                    tensor.copy_(values[key])
            try:
                outputs = module(inputs.to(device, copy=True))  # a model may write to its inputs
            except (Exception, SystemExit) as error:
                raise UserCodeError(
                    f"model {name!r} fails on the first training examples, of shape {shape}: {one_line(error)}"
                ) from error
            tables.append(_table(outputs))
    return tables


@contextmanager
def _one_thread() -> Iterator[None]:
    """A block with one thread, so that the outputs have the same bits each time: several may divide a sum."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _table(outputs: Tensor) -> Table:
    rows = np.asarray(outputs.reshape(len(outputs), -1).to("cpu", torch.float32).numpy())
    # The shortest decimal number that gives the same float32.
    return [[float(str(value)) if math.isfinite(value) else None for value in row] for row in rows]


def _with_noise(fitted: Fitted, values: Values) -> dict[str, Tensor]:
    """The values with noise added to the parameters, the same on every machine."""
    random = np.random.RandomState(_SEED)  # its stream never changes
    noisy = dict(values)
    for key, _ in fitted.module.named_parameters():
        value = values[key]
        noise = torch.from_numpy(np.asarray(random.standard_normal(tuple(value.shape)))).to(value.dtype)
        noisy[key] = value + noise * (_NOISE / math.sqrt(max(math.prod(value.shape[1:]), 1)))
    return noisy
