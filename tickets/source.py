"""A run's data set, loaded and split, in the numbers that its model takes."""

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
from tickets.users_code import told

MANY = 5000  # training examples from which on VALIDATION of them are held out by default
EXACT = 2**24  # up to here float32 has every whole number
_AT_ONCE = 100  # examples


@dataclass(frozen=True)
class Source:
    """A data set as a run uses it: split, and known by its contents.

    examples: with float32 inputs, as a model gets them that takes float32. whole: the data set, where its inputs
    are whole numbers.
    """

    name: str
    sha256: str
    examples: Examples
    whole: Dataset | None = None

    def in_whole_numbers(self) -> Source:
        """The same examples with int64 inputs, for a model that takes no float32."""
        assert self.whole is not None
        dataset = self.whole.with_inputs(torch.int64)
        # The contents are known by their float32 form, which is another only where that is not exact.
        exact = all(int(part.abs().max()) <= EXACT for part in (dataset.train_inputs, dataset.test_inputs))
        parts = (dataset.train_inputs, dataset.train_labels, dataset.test_inputs, dataset.test_labels)
        sha256 = self.sha256 if exact else digest(*parts)
        return replace(self, sha256=sha256, examples=split(dataset, len(self.examples.validation_labels)))


def default_validation(examples: int) -> int:
    """How many of so many training examples are held out for validation where a campaign does not say.

    1,000 of 5,000 or more, else a tenth, rounded down, and at least one.
    """
    return VALIDATION if examples >= MANY else max(1, examples // 10)


def load_source(
    config: DataConfig, folder: Path | None, validation: Callable[[int], int] = default_validation
) -> Source:
    """The data set that a configuration names, split. Raises InputError if it is missing or damaged.

    validation: from the number of training examples, how many are held out where the configuration does not say.
    """
    dataset = load_dataset(config.options, config.name, folder)
    held_out = config.validation or validation(len(dataset.train_labels))
    made_anew = config.name in DATA  # a user's function may have kept what it returned
    floats = dataset.with_inputs(torch.float32)
    examples = split(floats, held_out, in_place=made_anew)
    return Source(dataset.name, dataset.sha256, examples, dataset if dataset.has_whole_numbers else None)


def as_taken(source: Source, module: nn.Module, model: str) -> Source:
    """The data set in the numbers that a model takes: float32 if it can, else whole numbers if the data has them.

    So an image of whole numbers is float32 for convolutions, and a sequence of tokens int64 for an Embedding. Raises
    InputError if the model takes neither, if its output is no logits, or if it fails on the smallest or the largest
    whole numbers that the data has.
    """
    shape, classes = source.examples.input_shape, source.examples.classes
    try:
        check_output(module, shape, classes, model)
    except InputError as in_floats:
        if source.whole is None:
            raise
        taken = source.in_whole_numbers()
        try:
            check_output(module, shape, classes, model, torch.int64)
        except InputError as in_whole:
            looks_up = any(isinstance(layer, nn.Embedding | nn.EmbeddingBag) for layer in module.modules())
            both = in_whole.problems if looks_up else (*in_floats.problems, *in_whole.problems)
            raise type(in_whole)(list(dict.fromkeys(both))) from in_whole
        _check_range(module, taken.examples, model)
        return taken
    return source


def _check_range(module: nn.Module, examples: Examples, model: str) -> None:
    """Whether a model takes the smallest and the largest whole number that stands at each place of an input."""
    modes = {part: part.training for part in module.modules()}
    try:
        with standard_state(), torch.no_grad():
            module.eval()
            for some in _extremes(examples):
                module(some)
    except Exception as error:
        parts = (examples.train_inputs, examples.validation_inputs, examples.test_inputs)
        low, high = min(int(part.min()) for part in parts), max(int(part.max()) for part in parts)
        raise UserCodeError(
            f"model {model!r} fails on inputs of the data, whole numbers from {low} to {high}: {told(error)}; "
            "an embedding needs a row for each number from 0 to the largest "
            f"({high + 1} rows), and no number may be negative"
        ) from error
    finally:
        for part, training in modes.items():
            part.training = training


def _extremes(examples: Examples) -> Iterator[Tensor]:
    """Examples that hold the smallest and the largest number at each place, some at a time."""
    for part in (examples.train_inputs, examples.validation_inputs, examples.test_inputs):
        flat = part.flatten(1)
        yield from part[torch.cat([flat.argmin(0), flat.argmax(0)]).unique()].split(_AT_ONCE)
