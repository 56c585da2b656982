"""On which examples, and how, a replicate's networks are evaluated for a score."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tickets.data import Examples
from tickets.seeds import stream

Objective = Callable[[Tensor, Tensor], Tensor]  # (outputs, targets) -> a mean over the examples, one number
DTYPES = (torch.float32, torch.float64)


@dataclass(frozen=True)
class Batch:
    """Examples that a network is evaluated on.

    Attributes
    ----------
    inputs
        (n, *input_shape), of the type that the model takes.
    targets
        (n,) or (n, k): what the objective compares the outputs with.
    """

    inputs: Tensor
    targets: Tensor

    def __post_init__(self) -> None:
        if not 1 <= len(self.inputs) == len(self.targets):
            raise ValueError(
                f"Batch: {len(self.inputs)} inputs and {len(self.targets)} targets; must be as many, at least one"
            )

    def __len__(self) -> int:
        return len(self.inputs)


@dataclass(frozen=True)
class Evaluation:
    """How a network is evaluated.

    The result is a function of these fields and the values alone, bit for bit on a CPU, whatever the number of threads
    that the process uses. A GPU may sum in another order each time.

    Attributes
    ----------
    build
        Makes a new module.
    batch
        The examples.
    objective
        f(outputs, targets) -> Tensor of one number, a mean over the examples.
    training
        Whether the module is in training mode.
    dtype
        What parameters, buffers and inputs are converted to unless they are whole numbers; None: as they are.
    piece
        The most examples in one forward pass. More are split into pieces of nearly equal size, whose results are
        averaged, each weighted by its number of examples; in training mode each piece is normalised by itself.
    noise
        Seed of what the module draws (dropout): every evaluation draws the same numbers.
    device
        Where it is computed.
    """

    build: Callable[[], nn.Module]
    batch: Batch
    objective: Objective
    training: bool
    dtype: torch.dtype | None
    piece: int
    noise: int
    device: torch.device


@dataclass(frozen=True)
class Evaluator:
    """Chooses examples, and how networks are evaluated on them, for one replicate.

    Attributes
    ----------
    build
        Makes a new module, as the user's function does.
    examples
        The data.
    objective
        The run's training loss.
    batch_size
        Of the training: the default number of examples, and the most in one forward pass.
    seed
        Of the choice of examples and of what the module draws.
    device
        Where networks are evaluated.
    """

    build: Callable[[], nn.Module]
    examples: Examples
    objective: Objective
    batch_size: int
    seed: int
    device: torch.device

    def batch(self, examples: int | None = None, per_class: int | None = None) -> Batch:
        """The first of one random permutation of the training set, on the CPU; see Candidate.batch."""
        if examples is not None and per_class is not None:
            raise ValueError(f"examples = {examples}, per_class = {per_class}: give only one")
        labels = self.examples.train_labels.cpu()
        generator = torch.Generator().manual_seed(stream(self.seed, "examples"))
        order = torch.randperm(len(labels), generator=generator)
        if per_class is not None:
            places = order[_first_of_each_class(labels[order], per_class)]
        else:
            count = self.batch_size if examples is None else examples
            if not 1 <= count <= len(labels):
                raise ValueError(f"examples = {count}: must be from 1 to {len(labels)}, the training examples")
            places = order[:count]
        there = places.to(self.examples.train_labels.device)
        return Batch(self.examples.train_inputs[there].cpu(), self.examples.train_labels[there].cpu())

    @property
    def rarest_class(self) -> int | None:
        """See Candidate.rarest_class."""
        labels = self.examples.train_labels
        if labels.dim() != 1 or labels.is_floating_point():
            return None
        return int(labels.unique(return_counts=True)[1].min())

    def evaluation(
        self, batch: Batch, objective: Objective, training: bool, dtype: torch.dtype | None = None
    ) -> Evaluation:
        """How a network is evaluated on a batch.

        Raises
        ------
        ValueError
            If the dtype is none of torch.float32 and torch.float64.
        """
        if dtype is not None and dtype not in DTYPES:
            raise ValueError(f"dtype = {dtype}: must be {' or '.join(map(str, DTYPES))}")
        return Evaluation(
            build=self.build,
            batch=batch,
            objective=objective,
            training=training,
            dtype=dtype,
            piece=self.batch_size,
            noise=stream(self.seed, "noise"),
            device=self.device,
        )


def _first_of_each_class(labels: Tensor, count: int) -> Tensor:
    """The places of the first `count` labels of each class that occurs, in their order."""
    if labels.is_floating_point():
        raise ValueError(f"per_class = {count}: the targets are {labels.dtype}, no classes; give examples instead")
    found = []
    for each in labels.unique().tolist():
        places = (labels == each).nonzero()[:, 0]
        if not 1 <= count <= len(places):
            raise ValueError(
                f"per_class = {count}: must be from 1 to {len(places)}, the training examples of class {each}"
            )
        found.append(places[:count])
    return torch.cat(found).sort().values
