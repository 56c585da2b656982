"""What a task is: the loss that networks are trained by, and what is measured of their outputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from torch import Tensor

Accuracy = Literal["accuracy", "R2", "none"]
"""What the columns called accuracy contain: the share of correct classes, R2, or nothing (NaN)."""

Loss = Callable[[Tensor, Tensor], Tensor]
"""The mean loss of one network, from its outputs and the targets of a batch; see `Task.loss`."""


@dataclass(frozen=True)
class Scale:
    """What the measured numbers of a run mean.

    Attributes
    ----------
    accuracy : {"accuracy", "R2", "none"}
        What the columns called accuracy contain.
    guess : float
        The training loss of guessing: of equal probabilities, or of the mean target for every example. inf where the
        task has none.
    """

    accuracy: Accuracy
    guess: float


class Task(Protocol):
    """A loss, and what is measured of a network's outputs.

    Shapes: outputs of one network are (n, *output); targets are (n,) int64 (classes) or (n, k) float32.
    """

    @property
    def name(self) -> str:
        """The value of `train.loss`."""

    @property
    def outputs(self) -> str | None:
        """What a model must have an output for: "classes" or "numbers to predict"; None if its outputs are free."""

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The mean loss of one network on a batch, to be differentiated.

        Parameters
        ----------
        outputs : Tensor, (batch, *output)
            Of the network.
        targets : Tensor, (batch,) or (batch, k)
            Of the same examples.

        Returns
        -------
        Tensor, ()
            In the dtype of the outputs, or a wider one.
        """

    def totals(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """What `means` needs, summed over examples. Totals of several chunks of examples may be added.

        Parameters
        ----------
        outputs : Tensor, (R, n, *output)
            Of R networks for the same examples.
        targets : Tensor, (n,) or (n, k)
            Of these examples.

        Returns
        -------
        Tensor, (R, sums)
            float64.
        """

    def means(self, totals: Tensor, targets: Tensor) -> Tensor:
        """Mean loss and accuracy of R networks over a set of examples.

        Parameters
        ----------
        totals : Tensor, (R, sums)
            Of `totals`, summed over the whole set.
        targets : Tensor, (n,) or (n, k)
            Of the whole set.

        Returns
        -------
        Tensor, (R, 2)
            float64: loss, then accuracy, R2 or NaN.
        """

    def problems(self, targets: Tensor, classes: int) -> list[str]:
        """Why a data set with such targets does not fit the task, each with a remedy; [] if it does."""

    def scale(self, targets: Tensor, classes: int, output: tuple[int, ...]) -> Scale:
        """What the measured numbers mean.

        Parameters
        ----------
        targets : Tensor, (n,) or (n, k)
            Of the training examples.
        classes : int
            The data set's number of classes, or of numbers to predict for each example.
        output : tuple of int
            The shape of the model's output for one example.
        """
