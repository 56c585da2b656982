"""The result of training a group of a round's networks, and its form in a checkpoint."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tickets.config import Run
from tickets.measures import diverged
from tickets.rewinding import carried
from tickets.stack.evaluation import METRICS, Curves
from tickets.stack.networks import Stack, Tensors
from tickets.stack.training import Trained
from tickets.stack.trees import MisfitError, Tree, given, tensor_like, tensors_like


@dataclass(frozen=True)
class Finished:
    """R networks that were trained as one stack.

    Attributes
    ----------
    values
        Of each network, every parameter and buffer after training, by name.
    masks
        Of each network, the masks that it has learned; None if their masks are not learned.
    curves
        What was measured of them.
    lost
        (R,) bool: which of them diverged.
    seconds
        How long they were trained.
    carried
        By the place of each ticket, the values and the optimizer state that the next ticket starts from; none where
        this round does not decide them.
    """

    values: Sequence[Tensors]
    masks: Sequence[Tensors] | None
    curves: Curves
    lost: np.ndarray
    seconds: float
    carried: Mapping[int, tuple[Tensors, dict[str, Tensors]]]

    @classmethod
    def of(cls, trained: Trained, run: Run, guess: float, tickets: Collection[int], learned: bool) -> Finished:
        """The result of a training.

        Parameters
        ----------
        trained
            What the training returned.
        run
            The run's configuration.
        guess
            The training loss of guessing.
        tickets
            The places of the tickets.
        learned
            Whether the networks' masks are learned.
        """
        stack, places = trained.stack, range(len(trained.stack))
        values = [stack.network(place) for place in places]
        kept = {place: carried(run, values[place], stack, trained.kept, place) for place in tickets}
        return cls(
            values=values,
            masks=[_network(stack.masks, place) for place in places] if learned else None,
            curves=trained.curves,
            lost=diverged(trained.curves, stack, guess),
            seconds=trained.seconds,
            carried={place: following for place, following in kept.items() if following is not None},
        )

    def tree(self) -> Tree:
        """The result as a tree, for a checkpoint."""
        curves = self.curves
        return {
            "values": list(self.values),
            "masks": None if self.masks is None else list(self.masks),
            "curves": {
                "steps": curves.steps,
                "values": curves.values,
                "early_stop": curves.early_stop,
                "early_score": curves.early_score,
            },
            "lost": torch.from_numpy(self.lost),
            "seconds": self.seconds,
            "carried": {
                str(place): {"values": values, "optimizer": optimizer}
                for place, (values, optimizer) in self.carried.items()
            },
        }

    @classmethod
    def of_tree(cls, tree: Tree, start: Stack, last: int, carrying: Collection[int], learned: bool) -> Finished:
        """The inverse of `tree`. Raises MisfitError if the tree is not of these networks.

        Parameters
        ----------
        tree
            What `tree` returned.
        start
            The networks before training.
        last
            The last step.
        carrying
            The places of which something is carried.
        learned
            Whether their masks are learned.
        """
        values, masks, curves, lost, seconds, found = given(
            tree, "values", "masks", "curves", "lost", "seconds", "carried"
        )
        if not isinstance(seconds, float) or not 0 <= seconds < math.inf:
            raise MisfitError("must have the seconds that they were trained")
        if (masks is not None) != learned:
            raise MisfitError("must have masks of networks that learn them, and of no others")
        following = given(found, *map(str, carrying))
        return cls(
            values=_networks(values, {**start.parameters, **start.buffers}),
            masks=None if masks is None else _networks(masks, start.masks),
            curves=_curves(curves, len(start), start.step, last),
            lost=tensor_like(lost, torch.bool, (len(start),)).numpy(),
            seconds=seconds,
            carried={place: _carried(one, start) for place, one in zip(carrying, following, strict=True)},
        )


def _network(tensors: Tensors, place: int) -> Tensors:
    return {name: tensor[place].to("cpu", copy=True) for name, tensor in tensors.items()}


def _networks(tree: Tree, like: Tensors) -> list[Tensors]:
    count = len(next(iter(like.values())))
    if not isinstance(tree, list) or len(tree) != count:
        raise MisfitError(f"must have {count} networks")
    first = {name: tensor[0] for name, tensor in like.items()}
    return [tensors_like(one, first) for one in tree]


def _curves(tree: Tree, networks: int, first: int, last: int) -> Curves:
    steps, values, stop, score = given(tree, "steps", "values", "early_stop", "early_score")
    count = len(steps) if isinstance(steps, Tensor) and steps.dim() else 0
    steps = tensor_like(steps, torch.int64, (count,))
    if count == 0 or int(steps[0]) != first or int(steps[-1]) != last or bool((steps.diff() <= 0).any()):
        raise MisfitError(f"must have metrics from step {first} to step {last}")
    if (stop is None) != (score is None):
        raise MisfitError("must have the step of early stopping and the metrics there, or neither")
    if stop is not None:
        stop = tensor_like(stop, torch.int64, (networks,))
        score = tensor_like(score, torch.float64, (networks, len(METRICS)))
        if bool(((stop < 0) | (stop >= count)).any()):
            raise MisfitError(f"early stopping must be at one of {count} steps")
    return Curves(steps, tensor_like(values, torch.float64, (count, networks, len(METRICS))), stop, score)


def _carried(tree: Tree, start: Stack) -> tuple[Tensors, dict[str, Tensors]]:
    values, optimizer = given(tree, "values", "optimizer")
    like = {name: tensor[0] for name, tensor in {**start.parameters, **start.buffers}.items()}
    if not isinstance(optimizer, dict) or not all(isinstance(states, dict) for states in optimizer.values()):
        raise MisfitError("must have the optimizer's states")
    return tensors_like(values, like), {
        key: {name: _state(key, name, one, like) for name, one in states.items()} for key, states in optimizer.items()
    }


def _state(key: str, name: str, tree: Tree, like: Tensors) -> Tensor:
    if name not in like:
        raise MisfitError(f"has the optimizer's state of {name!r}, which is not trained")
    return (
        tensor_like(tree, torch.float32, ()) if key == "step" else tensor_like(tree, like[name].dtype, like[name].shape)
    )
