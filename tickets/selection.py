"""Selection: from a candidate and a score to the masks of the weights that stay."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from tickets.amounts import budget_after
from tickets.candidate import Candidate, Ends
from tickets.config import Run
from tickets.data import Examples
from tickets.evaluator import Evaluator
from tickets.pruning import Budget
from tickets.scores import Score, named_score
from tickets.scoring import scores_of
from tickets.seeds import stream
from tickets.stack.architecture import Prunable
from tickets.tasks import task_of

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class Candidates:
    """Makes the candidates of a run.

    Attributes
    ----------
    run
        The run.
    build
        Makes a new module, as the user's function does.
    examples
        The data.
    device
        Where networks are evaluated.
    """

    run: Run
    build: Callable[[], nn.Module]
    examples: Examples
    device: torch.device

    def after_round(
        self, number: int, replicate: int, ends: Ends, mask: Tensors, prunable: Sequence[Prunable]
    ) -> Candidate:
        """A ticket whose training in a round has ended, to be pruned for the next round.

        Parameters
        ----------
        number
            The round's.
        replicate
            The ticket's.
        ends
            Every parameter and buffer before any training, and before and after the round's, pruned weights 0; on the
            CPU.
        mask
            The round's, bool, by prunable parameter; on the CPU.
        prunable
            The prunable tensors.
        """

        def seed_of(name: str | None) -> int:
            return stream(self.run.seed, replicate, "score", number, *(() if name is None else (name,)))

        budget = budget_after(self.run.prune, prunable, mask, number)
        return Candidate(self._evaluator(replicate), number, replicate, ends, mask, budget, seed_of)

    def at_start(
        self,
        number: int,
        replicate: int,
        theta0: Tensors,
        mask: Tensors,
        scope: str,
        seed: int,
        inverted: bool = False,
    ) -> Candidate:
        """A network before any training and pruning, for a mask that is computed from theta0 alone.

        Parameters
        ----------
        number
            The round that the mask is for.
        replicate
            The network's.
        theta0
            Every parameter and buffer before any training; on the CPU.
        mask
            The round's, bool, by prunable parameter: as many weights are to remain.
        scope
            "global": as many in all tensors together. "layer": as many in each.
        seed
            Of the candidate's random numbers.
        inverted
            Whether the weights with the lowest scores stay, and not those with the highest.
        """

        def seed_of(name: str | None) -> int:
            return seed if name is None else stream(seed, name)

        dense = {name: torch.ones_like(kept) for name, kept in mask.items()}
        ends, budget = Ends(theta0, theta0, theta0), Budget.of(mask, scope)
        return Candidate(self._evaluator(replicate), number, replicate, ends, dense, budget, seed_of, inverted)

    def _evaluator(self, replicate: int) -> Evaluator:
        return Evaluator(
            build=self.build,
            examples=self.examples,
            objective=task_of(self.run.train).loss,
            batch_size=self.run.train.batch_size,
            seed=stream(self.run.seed, replicate, "candidate"),
            device=self.device,
        )


def next_masks(score: Score, candidate: Candidate, name: str, *, diverged: bool = False) -> dict[str, Tensor]:
    """The masks of the next round: the weights with the highest scores, as many as the candidate's budget says.

    Parameters
    ----------
    score
        The run's.
    candidate
        The ticket after a round's training.
    name
        The score's, for errors.
    diverged
        Whether the training diverged: then scores of surviving weights may be NaN, which ranks lowest.

    Returns
    -------
    dict of str to Tensor
        By prunable parameter, bool, of the tensor's shape.

    Raises
    ------
    UserCodeError
        If the score fails or returns what is no score; see `tickets.scoring.scores_of`.
    """
    return candidate.prune(
        scores_of(score, candidate, f"prune.score = {name!r}", _when(candidate), may_be_nan=diverged)
    )


def mask_at_start(
    score: str | Score, candidate: Candidate, options: Mapping[str, Any] | None = None
) -> dict[str, Tensor]:
    """The masks that a score computes before any training, for mask rules of arms.

    Parameters
    ----------
    score
        A name of `tickets.catalogue.SCORES`, "module:function", or the function itself.
    candidate
        A network before any training; its budget says how many weights remain.
    options
        The score's keyword arguments.

    Returns
    -------
    dict of str to Tensor
        By prunable parameter, bool, of the tensor's shape.

    Raises
    ------
    InputError
        If there is no score of this name, or if it does not take these options.
    UserCodeError
        If the score fails or returns what is no score; see `tickets.scoring.scores_of`.
    """
    name = score if isinstance(score, str) else getattr(score, "__name__", type(score).__name__)
    function = named_score(score, options, "score") if isinstance(score, str) else _with(score, options)
    return candidate.prune(scores_of(function, candidate, f"score = {name!r}", _when(candidate)))


def _when(candidate: Candidate) -> str:
    return f"round {candidate.round}, replicate {candidate.replicate}"


def _with(score: Score, options: Mapping[str, Any] | None) -> Score:
    return (lambda candidate: score(candidate, **options)) if options else score
