"""A run's data set, loaded and split, in the dtype that its model takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from tickets.catalogue import DATA
from tickets.config import DataConfig
from tickets.config.tables import VALIDATION
from tickets.data import Dataset, Examples, load_dataset, split
from tickets.data.dataset import digest
from tickets.errors import InputError, UserCodeError
from tickets.models import check_output
from tickets.process_state import standard_state
from tickets.users_code import one_line

MANY = 5000  # training examples from which on VALIDATION of them are held out by default
EXACT = 2**24  # up to here float32 has every whole number
_AT_ONCE = 100  # examples


@dataclass(frozen=True)
class Source:
    """A data set as a run uses it.

    Attributes
    ----------
    name : str
        The data set's.
    sha256 : str
        Of its contents.
    examples : Examples
        Split, with float32 inputs.
    whole : Dataset, optional
        The data set, where its inputs are whole numbers.
    """

    name: str
    sha256: str
    examples: Examples
    whole: Dataset | None = None

    def in_whole_numbers(self) -> Source:
        """The same examples with int64 inputs, for a model that takes no float32."""
        assert self.whole is not None
        dataset = self.whole.with_inputs(torch.int64)
        # The hash is of the float32 inputs; int64 inputs have their own only where float32 is not exact.
        exact = all(int(part.abs().max()) <= EXACT for part in (dataset.train_inputs, dataset.test_inputs))
        parts = (dataset.train_inputs, dataset.train_labels, dataset.test_inputs, dataset.test_labels)
        sha256 = self.sha256 if exact else digest(*parts)
        return replace(self, sha256=sha256, examples=split(dataset, len(self.examples.validation_labels)))


def default_validation(examples: int) -> int:
    """The default number of validation examples: 1,000 of 5,000 or more, else a tenth (rounded down), at least one.

    Parameters
    ----------
    examples : int
        Training examples before the split.
    """
    return VALIDATION if examples >= MANY else max(1, examples // 10)


def load_source(
    config: DataConfig, folder: Path | None, validation: Callable[[int], int] = default_validation
) -> Source:
    """The data set that a configuration names, split.

    Parameters
    ----------
    config : DataConfig
        The section [data] of a campaign file.
    folder : Path, optional
        The data folder.
    validation : callable
        Maps the number of training examples to the number for validation, where the configuration does not say.

    Raises
    ------
    InputError
        If the data set is missing or damaged.
    """
    dataset = load_dataset(config.options, config.name, folder)
    held_out = config.validation or validation(len(dataset.train_labels))
    made_anew = config.name in DATA  # a user's function may have kept what it returned
    floats = dataset.with_inputs(torch.float32)
    examples = split(floats, held_out, in_place=made_anew)
    return Source(dataset.name, dataset.sha256, examples, dataset if dataset.has_whole_numbers else None)


def as_taken(
    source: Source, module: nn.Module, model: str, outputs: str | None = "classes"
) -> tuple[Source, tuple[int, ...]]:
    """The data set in the dtype that a model takes: float32 if possible, else int64 if the data has whole numbers.

    So an image of whole numbers is float32 for convolutions, and a sequence of tokens int64 for an Embedding.

    Parameters
    ----------
    source : Source
        With float32 inputs.
    module : nn.Module
        The model.
    model : str
        Its name, for messages.
    outputs : str, optional
        What its outputs are, as `Task.outputs` names it.

    Returns
    -------
    Source
        In that dtype.
    tuple of int
        The shape of the model's output for one example.

    Raises
    ------
    InputError
        If the model takes neither, if its output does not fit, or if it fails on the smallest or the largest whole
        numbers in the data.
    """
    shape, classes = source.examples.input_shape, source.examples.classes
    try:
        output = check_output(module, shape, classes, model, outputs=outputs)
    except InputError as in_floats:
        if source.whole is None:
            raise
        taken = source.in_whole_numbers()
        try:
            output = check_output(module, shape, classes, model, torch.int64, outputs)
        except InputError as in_whole:
            looks_up = any(isinstance(layer, nn.Embedding | nn.EmbeddingBag) for layer in module.modules())
            both = in_whole.problems if looks_up else (*in_floats.problems, *in_whole.problems)
            raise type(in_whole)(list(dict.fromkeys(both))) from in_whole
        _check_range(module, taken.examples, model)
        return taken, output
    return source, output


def _check_range(module: nn.Module, examples: Examples, model: str) -> None:
    """Raise UserCodeError if a model fails on the smallest or the largest whole number at a position of an input."""
    modes = {part: part.training for part in module.modules()}
    try:
        with standard_state(), torch.no_grad():
            module.eval()
            for some in _extremes(examples):
                module(some)
    except (Exception, SystemExit) as error:
        parts = (examples.train_inputs, examples.validation_inputs, examples.test_inputs)
        low, high = min(int(part.min()) for part in parts), max(int(part.max()) for part in parts)
        raise UserCodeError(
            f"model {model!r} fails on inputs of the data, whole numbers from {low} to {high}: {one_line(error)}; "
            "an embedding needs a row for each number from 0 to the largest "
            f"({high + 1} rows), and no number may be negative"
        ) from error
    finally:
        for part, training in modes.items():
            part.training = training


def _extremes(examples: Examples) -> Iterator[Tensor]:
    """Examples with the smallest and the largest number at each position of an input, in chunks."""
    for part in (examples.train_inputs, examples.validation_inputs, examples.test_inputs):
        flat = part.flatten(1)
        yield from part[torch.cat([flat.argmin(0), flat.argmax(0)]).unique()].split(_AT_ONCE)
