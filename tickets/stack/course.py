"""A shard of a stack on its way through a training: what there is of it beside the networks, as a checkpoint has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from tickets.stack.early_stop import EarlyStop
from tickets.stack.evaluation import METRICS
from tickets.stack.networks import Stack, Tensors
from tickets.stack.trees import MisfitError, Tree, given, tensor_like, tensors_like, whole_number


@dataclass
class Course:
    """What a shard of R networks has given so far.

    Attributes
    ----------
    start
        The networks before training.
    step
        The step that they stand at. All earlier steps at which there is something to do are done; this one is not.
    early
        Of the evaluated steps, each network's best.
    rows
        (R, 6) by evaluated step.
    kept
        The networks at the step that is kept.
    """

    start: Stack
    step: int
    early: EarlyStop
    rows: list[Tensor] = field(default_factory=list)
    kept: Stack | None = None

    @classmethod
    def of(cls, start: Stack) -> Course:
        """That of networks before training."""
        return cls(start, start.step, EarlyStop(len(start)))

    def tree(self) -> dict[str, Tree]:
        """What `of_tree` is given."""
        return {
            "step": self.step,
            "rows": self.rows,
            "kept": None if self.kept is None else stack_tree(self.kept, self.start),
            "early": self.early.tree(),
        }

    @classmethod
    def of_tree(
        cls, tree: Tree, start: Stack, evaluated: Sequence[int], keep_step: int | None, last: int, apart: bool
    ) -> Course:
        """The inverse of `tree`. Raises MisfitError if it is of no course of these networks.

        Parameters
        ----------
        tree
            What `tree` gave.
        start
            The networks before training.
        evaluated
            The steps at which they are evaluated.
        keep_step
            The step before which they are kept, too.
        last
            The last step.
        apart
            Whether the steps in between are not evaluated as the ends are.
        """
        step, rows, kept, early = given(tree, "step", "rows", "kept", "early")
        step = whole_number(step, start.step, last)
        before = sum(each < step for each in evaluated)
        stop = EarlyStop.of_tree(early, start, before if apart else 0)
        course = cls(start, step, stop, _rows(rows, len(start), before))
        passed = keep_step is not None and start.step <= keep_step < step
        if (kept is not None) != passed:
            raise MisfitError("must have the networks of the step that is kept once that has passed, and only then")
        if kept is not None and keep_step is not None:
            course.kept = stack_of(kept, start, keep_step)
        return course


@dataclass(frozen=True)
class Done:
    """The result of a shard of R networks. rows, measured: by evaluated step. early_stop: (R,) places among the steps.

    early_score: (R, 6), the metrics on all examples at that step.
    """

    stack: Stack
    rows: list[Tensor]
    kept: Stack | None
    early_stop: Tensor
    early_score: Tensor

    def tree(self, start: Stack) -> dict[str, Tree]:
        """What `of_tree` is given. start: the networks before training."""
        return {
            "stack": stack_tree(self.stack, start),
            "rows": self.rows,
            "kept": None if self.kept is None else stack_tree(self.kept, start),
            "early_stop": self.early_stop,
            "early_score": self.early_score,
        }

    @classmethod
    def of_tree(
        cls, tree: Tree, start: Stack, evaluated: Sequence[int], keep_step: int | None, last: int, apart: bool
    ) -> Done:
        """The inverse of `tree`. Raises MisfitError if it is not of these networks; for the parameters see `Course`."""
        stack, rows, kept, stop, score = given(tree, "stack", "rows", "kept", "early_stop", "early_score")
        if (kept is not None) != (keep_step is not None and keep_step >= start.step):
            raise MisfitError("must have the networks of the step that is kept, and none if none is")
        stop = tensor_like(stop, torch.int64, (len(start),))
        if bool(((stop < 0) | (stop >= len(evaluated))).any()):
            raise MisfitError(f"early stopping must be at one of {len(evaluated)} steps")
        return cls(
            stack=stack_of(stack, start, last),
            rows=_rows(rows, len(start), len(evaluated)),
            kept=None if kept is None or keep_step is None else stack_of(kept, start, keep_step),
            early_stop=stop,
            early_score=tensor_like(score, *((torch.float64, (len(start), len(METRICS))) if apart else _NONE)),
        )


_NONE = torch.float32, (0,)


def stack_tree(stack: Stack, start: Stack) -> dict[str, Tree]:
    """A stack without what it has in common with the one before training: masks that stayed, values of pruned weights.

    start: that stack.
    """
    stayed = all(torch.equal(mask, start.masks[name]) for name, mask in stack.masks.items())
    return {
        "parameters": stack.parameters,
        "buffers": stack.buffers,
        "masks": None if stayed else stack.masks,
        "optimizer": stack.optimizer,
    }


def stack_of(tree: Tree, start: Stack, step: int) -> Stack:
    """The inverse of `stack_tree`, at a step. Raises MisfitError if it is not of these networks."""
    parameters, buffers, masks, optimizer = given(tree, "parameters", "buffers", "masks", "optimizer")
    return Stack(
        parameters=tensors_like(parameters, start.parameters),
        buffers=tensors_like(buffers, start.buffers),
        masks=dict(start.masks) if masks is None else tensors_like(masks, start.masks),
        optimizer=_states(optimizer, start.parameters),
        step=step,
        pruned_values=dict(start.pruned_values),
    )


def _states(tree: Tree, parameters: Mapping[str, Tensor]) -> dict[str, Tensors]:
    if not isinstance(tree, dict) or not all(isinstance(states, dict) for states in tree.values()):
        raise MisfitError("must have the optimizer's states")
    if unknown := {name for states in tree.values() for name in states} - parameters.keys():
        raise MisfitError(f"has the optimizer's state of {sorted(unknown)[0]!r}, which is not trained")
    return {
        key: {
            name: tensor_like(one, torch.float32, (len(parameters[name]),))
            if key == "step"
            else tensor_like(one, parameters[name].dtype, parameters[name].shape)
            for name, one in states.items()
        }
        for key, states in tree.items()
    }


def _rows(tree: Tree, networks: int, steps: int) -> list[Tensor]:
    if not isinstance(tree, list) or len(tree) != steps:
        raise MisfitError(f"must have the metrics of {steps} evaluated steps")
    return [tensor_like(row, torch.float64, (networks, len(METRICS))) for row in tree]
