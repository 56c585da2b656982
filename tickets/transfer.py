"""Transfer: each round's masks are taken from another saved run (`prune.masks_from`), and no score is computed.

A prunable tensor takes the mask of the source's tensor of the same name, which must have its shape. The output layer
may have another one, for other classes: its mask is then drawn at random, with round(d * n) of its n weights, halves
to even, where d is the density of the source's output layer in that round.
Source: Morcos, Yu, Paganini & Tian, "One ticket to win them all", NeurIPS 2019.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tickets.amounts import planned_densities
from tickets.config import Run
from tickets.density import density
from tickets.errors import InputError
from tickets.fitting import Fitted
from tickets.seeds import stream
from tickets.small_dense import too_few
from tickets.stack.architecture import Prunable
from tickets.store import CohortPlan, Layout, read_initial, read_run
from tickets.store.source_run import SourceRun, changed, find_source, transfer_text

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Pairs:
    """Which tensor of the source gives the mask of which prunable tensor, by name.

    Attributes
    ----------
    taken
        The tensors that take the source's mask as it is.
    drawn
        The output layer's, if its mask is drawn at the density of the source's.
    """

    taken: Mapping[str, str]
    drawn: Mapping[str, str]


@dataclass(frozen=True)
class Transfer:
    """The masks that a run takes from its source, which is read when the first of them is asked for."""

    run: Run
    prunable: Sequence[Prunable]

    @cached_property
    def source(self) -> SourceRun:
        """The saved run. Raises InputError if there is none."""
        assert self.run.prune.masks_from is not None
        return find_source(self.run.prune.masks_from)

    @cached_property
    def pairs(self) -> Pairs:
        """Which tensors go together. Raises InputError if they do not agree."""
        return pair(self.prunable, self.source.shapes, f"{_named(self.run)}: run {self.source.run}")

    def masks(self, replicate: int, round: int) -> dict[str, Tensor]:
        """The masks of a replicate's ticket in a round: bool, by prunable parameter, in the model's order.

        After the source's last round, for which nothing is known: that round's.

        Raises
        ------
        InputError
            If the source is not there any more, or damaged.
        """
        found = self.source.masks(replicate, round) or self.source.masks(replicate, round - 1)
        if found is None:
            raise InputError(f"{_named(self.run)}: run {self.source.run} has no masks of round {round}")
        masks = {}
        for tensor in self.prunable:
            if tensor.name in self.pairs.taken:
                masks[tensor.name] = torch.from_numpy(found[self.pairs.taken[tensor.name]].copy())
            else:
                seed = stream(self.run.seed, replicate, "masks_from", tensor.name)
                masks[tensor.name] = drawn_mask(tensor.shape, found[self.pairs.drawn[tensor.name]], seed)
        return masks


def drawn_mask(shape: tuple[int, ...], like: Any, seed: int) -> Tensor:
    """A random mask of the density of another one: round(d * n) of its n weights, halves to even.

    They are the first of one permutation that the seed decides, so that the masks of a falling density are nested.

    Parameters
    ----------
    shape
        The mask's.
    like
        Bool, any shape: the mask whose density it gets.
    seed
        Of the permutation.
    """
    weights = torch.Size(shape).numel()
    keep = round(Fraction(int(like.sum()) * weights, like.size))
    mask = torch.zeros(weights, dtype=torch.bool)
    mask[torch.randperm(weights, generator=torch.Generator().manual_seed(seed))[:keep]] = True
    return mask.reshape(shape)


def pair(prunable: Sequence[Prunable], source: Shapes, named: str) -> Pairs:
    """Which of the source's tensors gives each prunable tensor its mask.

    Parameters
    ----------
    prunable
        The prunable tensors.
    source
        The shape of each of the source's, by name, in the model's order.
    named
        The source, for errors.

    Raises
    ------
    InputError
        With every tensor but the output layer's that has no counterpart of its name and shape.
    """
    taken = {tensor.name: tensor.name for tensor in prunable if source.get(tensor.name) == tensor.shape}
    rest = [tensor for tensor in prunable if tensor.name not in taken]
    left = [name for name in source if name not in taken]
    drawn = {}
    # The output layer may have another shape, or another name if it is the source's last tensor.
    if len(rest) == 1 and rest[0].output and len(left) == 1 and left[0] in (rest[0].name, list(source)[-1]):
        drawn, rest, left = {rest[0].name: left[0]}, [], []
    outputs = {tensor.name for tensor in rest if tensor.output}
    differ = [
        f"{tensor.name} is {tensor.shape} here and {source.get(tensor.name, 'not')} there"
        for tensor in rest
        if not (tensor.name in outputs and tensor.name in source)
    ]
    here = {tensor.name for tensor in prunable}
    differ += [f"{name} is not here and {source[name]} there" for name in left if name not in here]
    if differ:
        raise InputError(
            f"{named}: its prunable tensors are not this run's: {'; '.join(differ)}; all but the output layer's must "
            "have the same names and shapes"
        )
    return Pairs(taken, drawn)


def check_transfer(folder: Path, fitted: Fitted, todo: Sequence[CohortPlan]) -> None:
    """Check that the source of a run's masks has what the rounds need that are still to be trained.

    Parameters
    ----------
    folder
        The run's folder.
    fitted
        The run.
    todo
        What it lacks. Arms that are added to committed rounds need no source.

    Raises
    ------
    InputError
        With everything that is wrong: no such run; rounds or replicates that it lacks; other tensors; or other masks
        than those that the run began with.
    """
    run, transfer = fitted.run, transfer_of(fitted)
    if transfer is None or not any(plan.part == 0 for cohort in todo for plan in cohort.rounds):
        return
    source, named = transfer.source, f"{_named(run)}: run {transfer.source.run}"
    replicates = {replicate for cohort in todo for replicate in cohort.replicates}
    problems = [f"{named}: {lacking}" for lacking in source.lacking(replicates, run.rounds)]
    if any(cohort.rounds for cohort in source.cohorts):
        try:
            _ = transfer.pairs
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)
    _check_small_dense(fitted, transfer, todo)
    record = read_run(folder).get("masks_from") if (folder / Layout.RUN).exists() else None
    why = changed(record, source, source.hashes(replicates, run.rounds)) if record else None
    if why:
        raise InputError(
            f"{_named(run)}: {why}; put the same run there again, or train the campaign in another folder (--out)"
        )


def _check_small_dense(fitted: Fitted, transfer: Transfer, todo: Sequence[CohortPlan]) -> None:
    """Check that every mask leaves as many weights as the narrowest network of arm `small_dense`, if there is one."""
    if fitted.small_dense is None:
        return
    family, few = fitted.small_dense.family, dict[int, int]()
    numbers = sorted({plan.number for cohort in todo for plan in cohort.rounds if plan.number})
    for number in numbers:
        left = min(
            sum(int(mask.sum()) for mask in transfer.masks(replicate, number).values())
            for cohort in todo
            for replicate in cohort.replicates
        )
        if family.at_most(left) is None:
            few[number] = left
    if few:
        dense = sum(torch.Size(tensor.shape).numel() for tensor in transfer.prunable)
        raise InputError(too_few(fitted.run, family, few, dense))


def transfer_of(fitted: Fitted) -> Transfer | None:
    """The transfer of a run; None for a run that prunes by a score."""
    return None if fitted.run.prune.masks_from is None else Transfer(fitted.run, fitted.prunable)


def transfer_record(fitted: Fitted, saved: Mapping[str, Any] | None) -> dict[str, Any]:
    """What run.json keeps of the source of a run's masks, as its "masks_from"; empty for a run without one.

    Parameters
    ----------
    fitted
        The run.
    saved
        What run.json holds; None if there is none. What it holds of the source stays; only files are added.
    """
    transfer, before = transfer_of(fitted), (saved or {}).get("masks_from", {})
    if transfer is None:
        return {}
    try:
        source = transfer.source
        files = source.hashes(range(fitted.run.replicates), fitted.run.rounds)
        if before and changed(before, source, files):
            return {"masks_from": before}  # another run is there now, and nothing is missing that needs it
        now = {"run": source.run, "same_initial": same_initial(fitted, transfer), "drawn": list(transfer.pairs.drawn)}
    except (InputError, StopIteration):
        return {"masks_from": before} if before else {}  # it is gone, and nothing is missing that needs it
    return {"masks_from": {**now, **before, "files": {**files, **before.get("files", {})}}}


def same_initial(fitted: Fitted, transfer: Transfer) -> bool:
    """Whether the tensors that take a mask of the source's start from its initial values, bit for bit: replicate 0's.

    They do if seed, model and start are the same.
    """
    there = read_initial(transfer.source.cohort_of(0), 0)
    here = fitted.fresh(stream(fitted.run.seed, 0, "initial"))
    return all(
        torch.equal(here[name], torch.from_numpy(there[other].copy())) for name, other in transfer.pairs.taken.items()
    )


def transfer_note(fitted: Fitted) -> Iterator[str]:
    """A line that says where the masks of a run come from, for a run that takes them from another one."""
    record = transfer_record(fitted, None)
    if record:
        yield transfer_text({"config": fitted.run.model_dump(mode="json"), **record})


def expected_densities(fitted: Fitted) -> tuple[float, ...]:
    """The density of each round of a run, from round 0 on; of replicate 0 where the masks are another run's."""
    transfer = transfer_of(fitted)
    if transfer is None:
        return planned_densities(fitted.run, fitted.prunable)
    try:
        return (1.0, *(density(transfer.masks(0, number)) for number in range(1, fitted.run.rounds + 1)))
    except (InputError, StopIteration):
        return ()  # the source is gone, and nothing is missing that needs it


def _named(run: Run) -> str:
    return f'prune.masks_from = "{run.prune.masks_from}"'
