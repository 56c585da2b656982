"""What a score sees: a replicate's network at the end of a round, or before any training, and its gradients."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property

import torch
from torch import Tensor, nn

from tickets.ends import Ends, Weights
from tickets.evaluator import Batch, Evaluation, Evaluator, Objective
from tickets.gradients import gradients, hessian_product, matching, module_at, objective_value, outputs
from tickets.process_state import standard_state
from tickets.pruning import Budget, prune

__all__ = ["Batch", "Candidate", "Ends", "Weights"]

Tensors = Mapping[str, Tensor]


class Candidate:
    """A network that is to be pruned, as a score sees it.

    All tensors are copies on the CPU; writing to them changes nothing but them.

    Attributes
    ----------
    round : int
        The round whose training has ended. A candidate before any training: the round that its mask is for.
    replicate : int
        The replicate.
    budget : Budget
        How many weights remain after this pruning.
    inverted : bool
        Whether the weights with the lowest scores stay, and not those with the highest.
    generator : torch.Generator
        Random numbers of this replicate and round, on the CPU.
    objective : callable
        The run's training loss, f(outputs, targets) -> mean over the examples.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        round: int,
        replicate: int,
        ends: Ends,
        mask: Tensors,
        budget: Budget,
        seed_of: Callable[[str | None], int],
        inverted: bool = False,
    ) -> None:
        """seed_of: the seed of a tensor's random numbers, by its name; of the candidate's own for None."""
        self.round, self.replicate, self.budget, self.inverted = round, replicate, budget, inverted
        self.objective: Objective = evaluator.objective
        self.generator = torch.Generator().manual_seed(seed_of(None))
        self._evaluator, self._ends, self._mask, self._seed_of = evaluator, ends, mask, seed_of

    @cached_property
    def mask(self) -> dict[str, Tensor]:
        """The weights that are not pruned yet: bool, by prunable parameter, in the model's order."""
        return _cloned(self._mask)

    @cached_property
    def values(self) -> Ends:
        """Every parameter and buffer: before any training, and where the round started and ended; pruned ones are 0."""
        ends = self._ends
        return Ends(_cloned(ends.initial), _cloned(ends.trained), _cloned(ends.theta0))

    @property
    def initial(self) -> dict[str, Tensor]:
        """The prunable tensors of `values.initial`."""
        return {name: self.values.initial[name] for name in self._mask}

    @property
    def trained(self) -> dict[str, Tensor]:
        """The prunable tensors of `values.trained`; before any training they are the initial ones."""
        return {name: self.values.trained[name] for name in self._mask}

    @property
    def theta0(self) -> dict[str, Tensor]:
        """The prunable tensors of `values.theta0`: before any training."""
        return {name: self.values.theta0[name] for name in self._mask}

    @property
    def rarest_class(self) -> int | None:
        """How many training examples the rarest class has; None where the targets are no classes."""
        return self._evaluator.rarest_class

    @property
    def is_finite(self) -> bool:
        """Whether every parameter and buffer is a finite number, at both ends: no training diverged."""
        ends = (*self._ends.initial.values(), *self._ends.trained.values())
        return all(bool(torch.isfinite(value).all()) for value in ends)

    def weights(self, name: str) -> Weights:
        """One prunable tensor, with a generator at the beginning of its random numbers."""
        ends = self._ends
        tensors = (ends.initial[name], ends.trained[name], ends.theta0[name], self._mask[name])
        initial, trained, theta0, mask = (tensor.clone() for tensor in tensors)
        return Weights(initial, trained, theta0, mask, self.generator_of(name))

    def generator_of(self, name: str) -> torch.Generator:
        """A new generator, on the CPU, of the random numbers of this replicate, round and tensor."""
        return torch.Generator().manual_seed(self._seed_of(name))

    def batch(self, examples: int | None = None, *, per_class: int | None = None) -> Batch:
        """Training examples of this replicate, the same in every round; not augmented.

        They are the first of one random permutation of the training set, which the seed and the replicate decide, so
        that a larger batch contains every smaller one.

        Parameters
        ----------
        examples
            How many, from 1 to the size of the training set. Default: `train.batch_size`.
        per_class
            Instead: how many of each class that occurs.

        Raises
        ------
        ValueError
            If there are not so many examples, of each class; if both are given; or if the targets are no classes.
        """
        return self._evaluator.batch(examples, per_class)

    def gradients(
        self,
        values: Tensors | None = None,
        *,
        examples: int | Batch | None = None,
        objective: Objective | None = None,
        training: bool = True,
        dtype: torch.dtype | None = None,
    ) -> dict[str, Tensor]:
        """The gradient of the mean training loss by each prunable tensor.

        It is that of all entries of the tensors, pruned ones too, and 0 for a tensor that the loss does not depend on.

        Parameters
        ----------
        values
            Every parameter and buffer, by name. Default: `values.trained`, which before any training are the initial
            ones.
        examples
            A batch, or how many training examples (see `batch`). Default: `train.batch_size` of them.
        objective
            f(outputs, targets) -> a tensor of one number, a mean over the examples. Default: the run's training loss.
        training
            Whether the module is in training mode, as it is in a step of training: normalisation by the batch, and
            dropout, which draws the same numbers each time. False: evaluation mode. The default is True, since the
            running statistics of batch normalisation are not those of the data before any training.
        dtype
            torch.float32 or torch.float64, which parameters, buffers and inputs are converted to unless they are whole
            numbers. Default: the model's own.

        Returns
        -------
        dict of str to Tensor
            By prunable parameter, of the tensor's shape, on the CPU.

        Raises
        ------
        ValueError
            If values are missing, unknown or of another shape, or if the objective returns anything else.

        Notes
        -----
        More examples than `train.batch_size` are evaluated in pieces of at most so many, which bounds the memory; the
        results are averaged. In training mode each piece is normalised by itself, as batches are in training.
        """
        how = self._how(examples, objective, training, dtype)
        return gradients(how, self._checked(values, "gradients(values)"), self._mask.keys())

    def hessian_product(
        self,
        direction: Tensors,
        values: Tensors | None = None,
        *,
        examples: int | Batch | None = None,
        objective: Objective | None = None,
        training: bool = True,
        dtype: torch.dtype | None = None,
    ) -> dict[str, Tensor]:
        """The Hessian of the mean training loss by the prunable tensors, times a vector.

        Parameters
        ----------
        direction
            The vector: a tensor of its shape for each prunable parameter, as `gradients` returns them.
        values, examples, objective, training, dtype
            As in `gradients`.

        Returns
        -------
        dict of str to Tensor
            By prunable parameter, of the tensor's shape, on the CPU.

        Raises
        ------
        ValueError
            As in `gradients`, and for the direction likewise.
        """
        vector = matching(direction, self._mask, "hessian_product(direction)")
        how = self._how(examples, objective, training, dtype)
        return hessian_product(how, self._checked(values, "hessian_product(values)"), vector)

    def loss(
        self,
        values: Tensors | None = None,
        *,
        examples: int | Batch | None = None,
        objective: Objective | None = None,
        training: bool = True,
        dtype: torch.dtype | None = None,
    ) -> float:
        """The mean training loss, of which `gradients` returns the gradient; the parameters are the same."""
        how = self._how(examples, objective, training, dtype)
        return objective_value(how, self._checked(values, "loss(values)"))

    def logits(
        self,
        values: Tensors | None = None,
        *,
        examples: int | Batch | None = None,
        training: bool = False,
        dtype: torch.dtype | None = None,
    ) -> Tensor:
        """(n, outputs): the network's outputs, in evaluation mode unless `training`; parameters as in `gradients`."""
        how = self._how(examples, None, training, dtype)
        return outputs(how, self._checked(values, "logits(values)"))

    def build(self, values: Tensors | None = None) -> nn.Module:
        """A new module on the CPU, at the given values of every parameter and buffer (default: `values.trained`)."""
        with standard_state():
            return module_at(self._evaluator.build, self._checked(values, "build(values)"))

    def prune(self, scores: Tensors, fraction: float = 1.0, mask: Tensors | None = None) -> dict[str, Tensor]:
        """The masks that scores leave after a fraction of this pruning, for scores that prune step by step.

        Parameters
        ----------
        scores
            By prunable parameter, of the tensor's shape; the highest stay, or the lowest where `inverted`.
        fraction
            In [0, 1], of the way from `mask` to `budget`, on an exponential schedule (see `Budget.at`). 1: all of it.
        mask
            Bool, by prunable parameter: the masks after an earlier, smaller fraction, which a weight that is pruned
            does not come back from. Default: `mask` of the candidate.

        Raises
        ------
        ValueError
            If scores or masks are missing, unknown or of another shape, or if the fraction is outside [0, 1] or
            smaller than that of `mask`.
        """
        alive = self._mask if mask is None else matching(mask, self._mask, "prune(mask)")
        found = matching(scores, self._mask, "prune(scores)")
        if self.inverted:
            found = {name: -score.double() for name, score in found.items()}
        return prune(found, alive, self.budget.at(fraction, self._mask))

    def as_scores(self, mask: Tensors) -> dict[str, Tensor]:
        """Scores that keep exactly these weights, as many as `budget` says: for a score that prunes step by step.

        Parameters
        ----------
        mask
            Bool, by prunable parameter, as `prune` returns it after the last step.
        """
        found = matching(mask, self._mask, "as_scores(mask)")
        return {name: (~kept if self.inverted else kept).float() for name, kept in found.items()}

    def _checked(self, values: Tensors | None, called: str) -> Tensors:
        return self._ends.trained if values is None else matching(values, self._ends.trained, called)

    def _how(
        self, examples: int | Batch | None, objective: Objective | None, training: bool, dtype: torch.dtype | None
    ) -> Evaluation:
        batch = examples if isinstance(examples, Batch) else self.batch(examples)
        return self._evaluator.evaluation(batch, objective or self.objective, training, dtype)


def _cloned(tensors: Tensors) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in tensors.items()}
