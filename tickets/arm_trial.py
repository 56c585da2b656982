"""An arm's rules tried on initial values: where its trainings start, and whether it starts as the ticket does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tickets.arm_rules import ArmRules, apply_rules, is_own, rules_of
from tickets.arms import Origin, Start
from tickets.config import ArmConfig, Run, TrainConfig, recipe_of
from tickets.errors import InputError, UserCodeError
from tickets.rewinding import origin_values, position
from tickets.roles import FRESH, ArmStart
from tickets.seeds import stream
from tickets.selection import Candidates
from tickets.stack.optimizers import state_names
from tickets.stand_ins import WHEN, moved
from tickets.users_code import one_line

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class TriedArm:
    """What an arm's rules gave on initial values.

    Attributes
    ----------
    start
        Where its trainings start.
    as_ticket
        Whether it is a control that starts from the ticket's own mask and values. Of an arm by a fresh draw the
        prunable tensors alone count, drawn before any training.
    reads_trained
        Whether its rules read the trained values of the round before.
    recipes
        How its networks are trained, where that is not the run's `train`: by the arm's own keys, or by each recipe
        that its value rule returned.
    """

    start: ArmStart
    as_ticket: bool
    reads_trained: bool
    recipes: tuple[TrainConfig, ...] = ()


def try_arm(
    run: Run,
    arm: ArmConfig,
    candidates: Candidates,
    values: tuple[Tensors, Tensors],
    masks: Tensors,
    biases: frozenset[str],
    trained: tuple[str, ...],
) -> TriedArm:
    """Apply an arm's rules as in round 1; a user's own as in round 0 too.

    Parameters
    ----------
    run
        The run.
    arm
        One of its arms.
    candidates
        Makes the run's candidates, for masks that are computed from theta0.
    values
        Every parameter and buffer of two replicates before training; the second is used as a fresh draw.
    masks
        A mask of each prunable tensor, by name.
    biases
        The names of the biases.
    trained
        The names of the trained parameters.

    Raises
    ------
    InputError
        If an option does not fit the rules, or a rule asks for trained values that the run does not keep.
    UserCodeError
        If a rule fails, or returns what it must not.
    """
    rules, trial = rules_of(arm), _Trial(run, arm, candidates, values, masks, biases, trained)
    examples = len(candidates.examples.train_labels)
    reads: list[None] = []
    origin = trial.origin(1, reads)
    mask, start = trial.apply(rules, origin)
    reads_trained = bool(reads)
    whole = recipe_of(run.train, arm)
    # In round 0 this package's rules start at step 0 of the arm's whole schedule.
    dense = (
        replace(start, step=0, recipe=None if whole is run.train else whole)
        if is_own(rules.mask) and is_own(rules.values)
        else trial.apply(rules, trial.origin(0, reads))[1]
    )
    for recipe in (start.recipe, dense.recipe):
        if recipe is not None and recipe.batch_size > examples and recipe.batch_size != run.train.batch_size:
            raise _too_large(run, arm, recipe.batch_size, examples)
    before = _steps_before(start, mask, origin, run)
    found = ArmStart(
        step=start.step,
        continues=start.continues,
        before=before,
        steps=(start.recipe or origin.recipe).steps - start.step,
        dense_steps=(dense.recipe or run.train).steps - dense.step,
        more=position(run, 1).steps if before and run.rewind.keeps_trained else 0,
    )
    recipes = tuple(recipe for recipe in dict.fromkeys((start.recipe, dense.recipe)) if recipe is not None)
    return TriedArm(found, trial.is_as_ticket(rules, origin, mask, start), reads_trained, recipes)


def _too_large(run: Run, arm: ArmConfig, batch_size: int, examples: int) -> InputError:
    """The error of a batch size of an arm's own. That of the run is checked elsewhere."""
    most = f"must be at most {examples}, the number of training examples"
    if "batch_size" in arm.train.given:
        return InputError(f"arms[{run.arms.index(arm)}].train.batch_size = {batch_size}: {most}")
    if "batch_size" in arm.own_train.given:
        return InputError(
            f"arm {arm.label!r}: {arm.name} trains with batch_size = {batch_size}, {most}; give it another: "
            f"train = {{ batch_size = {examples} }}"
        )
    return UserCodeError(
        f"arm {arm.label!r}: value rule {arm.entry.values!r} returned a recipe with batch_size = {batch_size}, {most} "
        f"({WHEN})"
    )


@dataclass(frozen=True)
class _Trial:
    """An arm and what its rules are tried on; see `try_arm`."""

    run: Run
    arm: ArmConfig
    candidates: Candidates
    values: tuple[Tensors, Tensors]
    masks: Tensors
    biases: frozenset[str]
    trained: tuple[str, ...]

    def origin(self, round: int, reads: list[None]) -> Origin:
        """What the rules get in a round. reads: gets an item each time that a rule reads trained values."""
        run, (one, other) = self.run, self.values
        train = recipe_of(run.train, self.arm)
        at = position(run, round, train)
        masks = self.masks if round else {name: torch.ones_like(mask) for name, mask in self.masks.items()}
        seed = stream(run.seed, 0, "score", "trial")
        own_mask, start = self.arm.entry.has_own_mask, self._started_from() if round else one
        rewound, optimizer = origin_values(run, round, own_mask, one, start, self._state(at.step))
        return Origin(
            mask=masks,
            theta0=one,
            rewound=rewound,
            biases=self.biases,
            fresh=lambda seed: dict(other),
            stream=lambda purpose: stream(run.seed, 0, purpose, "trial"),
            parameters=self.trained,
            round=round,
            step=at.step,
            optimizer=optimizer,
            recipe=at.recipe,
            train=None if at.recipe is train else train,
            read_trained=(lambda: self._read_trained(reads)) if round else lambda: one,
            candidate=lambda scope="global", inverted=False: self.candidates.at_start(
                round, 0, one, masks, scope, seed, inverted
            ),
        )

    def _started_from(self) -> Tensors:
        """Made-up values in the place of those that the ticket of round 1 starts from."""
        if self.run.rewind.keeps_trained:
            return self._trained_values()
        return moved(self.values[0], torch.Generator().manual_seed(0)) if self.run.rewind.restores else self.values[0]

    def _state(self, step: int) -> dict[str, dict[str, Tensor]]:
        """An optimizer state of step `step`."""
        one = self.values[0]

        def state(name: str, kind: str) -> Tensor:
            return torch.tensor(float(step)) if kind == "step" else torch.zeros_like(one[name])

        kinds = state_names(self.run.train) if step else ()
        return {kind: {name: state(name, kind) for name in self.trained} for kind in kinds}

    def _read_trained(self, reads: list[None]) -> dict[str, Tensor]:
        reads.append(None)
        if self.run.store.trained == "none":
            raise InputError(
                f"arm {self.arm.label!r}: its rules read the trained values of the round before (origin.trained), and "
                'store.trained = "none" keeps none; write store.trained = "ticket"'
            )
        return self._trained_values()

    def _trained_values(self) -> dict[str, Tensor]:
        """Made-up values in the place of the trained ones of the round before."""
        values = moved(self.values[0], torch.Generator().manual_seed(1))
        return {
            name: value.masked_fill(~self.masks[name], 0.0) if name in self.masks else value
            for name, value in values.items()
        }

    def apply(self, rules: ArmRules, origin: Origin) -> tuple[dict[str, Tensor], Start]:
        """What the rules make."""
        named = f"arm {self.arm.label!r}"
        try:
            return apply_rules(rules, origin, f"{named} ({WHEN})")
        except InputError:
            raise
        except (Exception, SystemExit) as error:  # whatever a user's own code raises
            raise UserCodeError(f"{named}: fails ({WHEN}): {one_line(error)}") from error

    def is_as_ticket(self, rules: ArmRules, origin: Origin, mask: Tensors, start: Start) -> bool:
        """Whether the arm is a control that trains as the ticket does, from its mask and values."""
        entry = self.arm.entry
        if entry.role != "control" or entry.pruned != "zero" or not _all_equal(mask, origin.mask):
            return False
        ticket = Start(origin.rewound, origin.optimizer, origin.step)
        own = not is_own(rules.values) or bool(rules.train)
        if own and _course(start, self.run.train) != _course(ticket, self.run.train):
            return False
        # Before any training, a fresh draw is compared with theta0; a ticket that keeps trained values is not theta0.
        drawn = entry.values in FRESH and not self.run.rewind.keeps_trained
        values, names = (origin.theta0, list(mask)) if drawn else (origin.rewound, list(origin.theta0))
        return all(_same(start.values[name], values[name], mask.get(name)) for name in names)


def _course(start: Start, run: TrainConfig) -> tuple[object, ...]:
    """How a training goes on from its values. run: the recipe of the ticket."""
    return start.step, start.continues, start.recipe or run


def _steps_before(start: Start, mask: Tensors, origin: Origin, run: Run) -> int:
    """How many steps the values have been trained: those of the rewind step, of a whole training, or of none."""
    if start.continues:
        return start.step

    def are(read: Callable[[], Tensors]) -> bool:
        try:
            values = read()
        except InputError:
            return False  # it keeps none
        return all(_same(start.values[name], values[name], kept) for name, kept in mask.items())

    if run.rewind.restores and are(lambda: origin.rewound):
        return run.rewind.step
    return run.train.steps if are(origin.read_trained) else 0


def _all_equal(one: Tensors, other: Tensors) -> bool:
    return all(torch.equal(one[name], other[name]) for name in other)


def _same(one: Tensor, other: Tensor, mask: Tensor | None) -> bool:
    return torch.equal(one, other) if mask is None else torch.equal(one[mask], other[mask])
