"""An arm's two rules with their options: called on copies, and what they return is checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from tickets.arms import Origin, Start, States, Tensors
from tickets.binding import resolve, shared_options
from tickets.config import ArmConfig, TrainConfig
from tickets.config.messages import problems_of
from tickets.config.own_train import OWN_KEYS
from tickets.config.rules import broken_rules
from tickets.errors import InputError, UserCodeError
from tickets.process_state import settings_kept
from tickets.random_state import seed_generators, untouched_generators
from tickets.stack.optimizers import state_names

MaskRule = Callable[..., dict[str, Tensor]]
ValueRule = Callable[..., Start | Tensors]


@dataclass(frozen=True)
class ArmRules:
    """The mask rule and the value rule of an arm, each with the options that it takes.

    Attributes
    ----------
    mask
        ``mask(origin, **options)`` returns {prunable tensor name: bool mask}.
    values
        ``values(origin, mask, **options)`` returns a `Start`, or every parameter and buffer by name.
    make_mask, make_values
        The same functions, called without options.
    train
        The keys of `train` that the arm has of its own.
    """

    mask: MaskRule
    values: ValueRule
    make_mask: MaskRule
    make_values: ValueRule
    train: Mapping[str, Any] = field(default_factory=dict)


def rules_of(arm: ArmConfig) -> ArmRules:
    """The rules of an arm, imported, with its options.

    An option goes to each of the two functions that has a parameter of this name.

    Raises
    ------
    InputError
        If a function cannot be imported, if neither takes an option, or if one lacks an option that it needs.
    """
    mask, values = resolve(arm.mask), resolve(arm.values)
    make_mask, make_values = shared_options(f"arms.{arm.label}", arm.name, arm.options, (mask, 1), (values, 2))
    return ArmRules(mask, values, make_mask, make_values, arm.own_train.given)


def apply_rules(rules: ArmRules, origin: Origin, named: str) -> tuple[dict[str, Tensor], Start]:
    """The mask and the start that an arm's two rules make.

    This package's own rules only read what they are given. Any other rule gets copies; what it returns is checked and
    copied. What such a rule sets for the whole process ends with it; the global generators of random numbers, which it
    may draw from, are seeded for it.

    Parameters
    ----------
    rules
        The arm's.
    origin
        What both can be made from.
    named
        The arm and when, for errors.

    Raises
    ------
    UserCodeError
        If a mask is not bool, of another shape, or the masks keep another number of weights than the round's; if
        values are missing, too many, of another shape or type, or NaN where no training diverged; if the step is not
        one of the recipe's, the recipe is no TrainConfig, changes what an arm cannot or contradicts the arm's own keys
        of `train`, or the optimizer state is not one that the recipe's optimizer has.
    """
    if is_own(rules.mask):
        try:
            mask = rules.make_mask(origin)
        except InputError as error:  # of a score that it calls
            raise type(error)([f"{named}: {problem}" for problem in error.problems]) from error
    else:
        with _contained(origin.stream("mask_rule")):
            made = rules.make_mask(_copied(origin))
        _raise_any(f"{named}: mask rule {_name(rules.mask)}", _wrong_masks(made, origin))
        mask = _cloned({name: made[name] for name in origin.mask})
    if is_own(rules.values):
        return dict(mask), _as_trained(_as_start(rules.make_values(origin, mask), origin), rules, origin)
    with _contained(origin.stream("value_rule")):
        start = _as_start(rules.make_values(_copied(origin), _cloned(mask)), origin)
    where = f"{named}: value rule {_name(rules.values)}"
    if isinstance(start, Start) and start.recipe is not None:
        _raise_any(where, _wrong_recipe(start.recipe, origin.recipe, rules.train))
        start = replace(start, recipe=TrainConfig.model_validate(dict(start.recipe)))
    _raise_any(where, _wrong_start(start, origin))
    values = _cloned({name: start.values[name] for name in origin.theta0})
    start = replace(start, values=values, optimizer=_cloned_states(start.optimizer))
    return dict(mask), _as_trained(start, rules, origin)


def _as_trained(start: Start, rules: ArmRules, origin: Origin) -> Start:
    """The start with the arm's recipe, where that is not the run's; the recipe of a value rule has the arm's keys."""
    return replace(start, recipe=origin.recipe) if rules.train and start.recipe is None else start


def _as_start(made: Start | Tensors, origin: Origin) -> Start:
    return Start(made, step=origin.step) if isinstance(made, Mapping) else made


@contextmanager
def _contained(seed: int) -> Iterator[None]:
    """Restore settings and generators after the block; seed the generators before it."""
    with settings_kept(), untouched_generators():
        seed_generators(seed)
        yield


def is_own(rule: Callable[..., Any]) -> bool:
    """Whether a rule is this package's."""
    return str(rule.__module__).partition(".")[0] == "tickets"


def _raise_any(where: str, problems: Iterator[str]) -> None:
    found = [f"{where} {problem}" for problem in problems]
    if found:
        raise UserCodeError(found)


def _copied(origin: Origin) -> Origin:
    return replace(
        origin,
        mask=_cloned(origin.mask),
        theta0=_cloned(origin.theta0),
        rewound=_cloned(origin.rewound),
        optimizer=_cloned_states(origin.optimizer),
        fresh=lambda seed: _cloned(origin.fresh(seed)),
        read_trained=lambda: _cloned(origin.read_trained()),
    )


def _cloned(tensors: Tensors) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


def _cloned_states(states: States | None) -> dict[str, dict[str, Tensor]] | None:
    return None if states is None else {key: _cloned(state) for key, state in states.items()}


def _wrong_masks(mask: object, origin: Origin) -> Iterator[str]:
    wanted = origin.mask
    if not isinstance(mask, Mapping) or set(mask) != set(wanted):
        yield f"must return a mask for each of {', '.join(wanted)}, and for nothing else"
        return
    shaped = True
    for name, kept in wanted.items():
        found = mask[name]
        if not isinstance(found, Tensor) or (found.dtype, found.shape) != (torch.bool, kept.shape):
            shaped = False
            yield f"must return a bool tensor of shape {tuple(kept.shape)} for {name}, not {_shown(found)}"
    if shaped and _count(mask) != _count(wanted):
        yield f"keeps {_count(mask)} weights in all, must keep {_count(wanted)} as the round's mask does"


def _count(masks: Tensors) -> int:
    return sum(int(mask.sum()) for mask in masks.values())


def _wrong_start(start: object, origin: Origin) -> Iterator[str]:
    if not isinstance(start, Start):
        yield f"must return a tickets.arms.Start, or every parameter and buffer by name, not {_shown(start)}"
        return
    diverged = cache(partial(_diverged, origin))
    yield from _wrong_values(start.values, origin, diverged)
    if start.learning is not None:
        yield "returned a Start with learning, which only the catalogue's arms have; leave it out"
    recipe = origin.recipe if start.recipe is None else start.recipe
    if type(start.step) is not int:
        yield f"returned step = {start.step!r}, must be a whole number"
    elif not 0 <= start.step < recipe.steps:
        yield f"returned step = {start.step}, must be 0 to {recipe.steps - 1}: train.steps is {recipe.steps}"
    if start.optimizer is not None:
        yield from _wrong_optimizer(start.optimizer, recipe, origin, diverged)


def _wrong_values(values: object, origin: Origin, diverged: Callable[[], bool]) -> Iterator[str]:
    wanted = origin.theta0
    if not isinstance(values, Mapping) or set(values) != set(wanted):
        yield f"must return every parameter and buffer ({', '.join(wanted)}), and nothing else"
        return
    for name, value in wanted.items():
        found = values[name]
        if not isinstance(found, Tensor) or (found.dtype, found.shape) != (value.dtype, value.shape):
            yield f"must return a {value.dtype} tensor of shape {tuple(value.shape)} for {name}, not {_shown(found)}"
        elif bool(found.isnan().any()) and not diverged():
            yield f"returned NaN in {name}"


def _diverged(origin: Origin) -> bool:
    """Whether a training that the values may come from left NaN."""
    states = (origin.optimizer or {}).values()
    given = [*origin.rewound.values(), *(value for state in states for value in state.values())]
    if any(bool(tensor.isnan().any()) for tensor in given):
        return True
    try:
        return any(bool(tensor.isnan().any()) for tensor in origin.read_trained().values())
    except (InputError, LookupError):
        return False  # the rule could not use them either


def _wrong_recipe(recipe: object, run: TrainConfig, own: Mapping[str, Any]) -> Iterator[str]:
    """Errors in a recipe that a value rule returned. own: the keys that the campaign file gives the arm."""
    if not isinstance(recipe, TrainConfig):
        yield f"returned a recipe that is {_shown(recipe)}, must be a tickets.config.TrainConfig, or None for the run's"
        return
    fixed = [key for key in type(recipe).model_fields if key not in OWN_KEYS and _get(recipe, key) != _get(run, key)]
    for key in fixed:
        yield (
            f"returned a recipe with {key} = {_get(recipe, key)!r}, must be the run's {_get(run, key)!r} (an arm may "
            f"change: {', '.join(OWN_KEYS)})"
        )
    for key, value in own.items():
        if _get(recipe, key) != value:
            yield (
                f"returned a recipe with {key} = {_get(recipe, key)!r}, and the campaign gives this arm train.{key} = "
                f"{value!r}; change origin.recipe, which has it, or leave one of the two out"
            )
    try:  # model_copy(update=...) checks nothing
        recipe = TrainConfig.model_validate(dict(recipe))
    except ValidationError as error:
        for problem in problems_of(error, dict(recipe)):
            yield f"returned a recipe with {problem.line()}"
        return
    for broken in broken_rules({f"train.{key}": _get(recipe, key) for key in type(recipe).model_fields}):
        key = broken.key.removeprefix("train.")
        yield f"returned a recipe with {key} = {_get(recipe, key)!r}: {broken.sentence}"


def _get(recipe: TrainConfig, key: str) -> Any:
    return getattr(recipe, key)


def _wrong_optimizer(
    optimizer: object, recipe: TrainConfig, origin: Origin, diverged: Callable[[], bool]
) -> Iterator[str]:
    names = state_names(recipe)
    listed = f"{recipe.optimizer} has {', '.join(names) or 'no state'}"
    if not isinstance(optimizer, Mapping) or not all(isinstance(state, Mapping) for state in optimizer.values()):
        yield "must return an optimizer state {state: {parameter: tensor}}, or None for a fresh optimizer"
        return
    unknown = [state for state in optimizer if state not in names]
    if unknown:
        yield f"returned an optimizer state with {', '.join(map(repr, unknown))}: {listed}"
    if not unknown and optimizer and len({frozenset(state) for state in optimizer.values()}) > 1:
        yield "returned optimizer states of different parameters, must be the same for each state"
    if not unknown and optimizer and (lacking := [name for name in names if name not in optimizer]):
        yield f"returned an optimizer state without {', '.join(map(repr, lacking))}: {listed}"
    for state, tensors in optimizer.items():
        yield from _wrong_state(state, tensors, origin, diverged)


def _wrong_state(state: str, tensors: States | Tensors, origin: Origin, diverged: Callable[[], bool]) -> Iterator[str]:
    for name, found in tensors.items():
        if name not in origin.parameters:
            allowed = f"(allowed: {', '.join(origin.parameters)})"
            yield f"returned the optimizer state {state!r} of {name!r}, which is no trained parameter {allowed}"
            continue
        value = origin.theta0[name]
        shape, dtype = ((), torch.float32) if state == "step" else (tuple(value.shape), value.dtype)
        if not isinstance(found, Tensor) or (found.dtype, tuple(found.shape)) != (dtype, shape):
            yield f"must return a {dtype} tensor of shape {shape} for {state!r} of {name}, not {_shown(found)}"
        elif bool(found.isnan().any()) and not diverged():
            yield f"returned NaN in {state!r} of {name}"


def _shown(found: object) -> str:
    return f"{found.dtype} of shape {tuple(found.shape)}" if isinstance(found, Tensor) else type(found).__name__


def _name(rule: Callable[..., object]) -> str:
    return f"{rule.__module__}:{getattr(rule, '__qualname__', type(rule).__name__)}"
