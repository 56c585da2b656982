"""The rules that relate an arm's own keys of [train] to one another, to the run's [train] and to its rewind step."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tickets.catalogue import ArmEntry
from tickets.config.own_train import OWN_KEYS
from tickets.config.rule import Broken, Flat, Rule, entry_at

_TRAIN = "train."


def broken_own_train(values: Flat, places: Sequence[str], rules: Sequence[Rule]) -> Iterator[Broken]:
    """The rules that arms break with the keys of [train] that they have of their own.

    Parameters
    ----------
    values
        A flat table, without the keys whose values are illegal.
    places
        The keys of the arms in it: "arms[0]", ...
    rules
        All rules; those that relate keys of [train] to one another apply to an arm's recipe too.
    """
    within = [rule for rule in rules if all(key.startswith(_TRAIN) for key in rule.keys)]
    for at in places:
        arm = _arm(values, at)
        if arm is not None and arm.own:
            yield from _wrong_recipe(arm, within)
            yield from _too_short(arm, values.get("rewind.step", 0))
            yield from _wrong_state(arm, values.get("rewind.kind", "weights"), values.get("rewind.step", 0))


@dataclass(frozen=True)
class _Arm:
    """An arm with keys of [train] of its own, in a flat table.

    at: its key. given: the keys that the file gives. own: these and those of the catalogue's entry. recipe: all of
    [train] as the arm has it, without what cannot be judged because a value is illegal. run: the run's.
    """

    at: str
    name: str
    entry: ArmEntry
    start: object
    given: Mapping[str, Any]
    own: Mapping[str, Any]
    recipe: Mapping[str, Any]
    run: Mapping[str, Any]

    def named(self, key: str) -> str:
        """The key to begin an error with: the arm's own, or its name for a key of the catalogue's entry."""
        return f"{self.at}.train.{key}" if key in self.given else f"{self.at}.name"


def _arm(values: Flat, at: str) -> _Arm | None:
    name = values.get(f"{at}.name")
    if not isinstance(name, str) or name == "ticket":
        return None  # that the ticket has no keys of its own is another rule
    entry = entry_at(values, at)
    if entry is None:
        return None
    written = values.get(f"{at}.train")
    # null, which JSON can have, is a key that is not given.
    given = {key: value for key in OWN_KEYS if (value := values.get(f"{at}.train.{key}")) is not None}
    written = written if isinstance(written, Mapping) else {}
    illegal = {key for key in written if f"{at}.train.{key}" not in values}
    run = {key: values[_TRAIN + key] for key in OWN_KEYS if _TRAIN + key in values}
    own = {**entry.train, **given}
    recipe = {key: value for key, value in {**run, **own}.items() if key not in illegal}
    return _Arm(at, name, entry, values.get(f"{at}.start"), given, own, recipe, run)


def _wrong_recipe(arm: _Arm, rules: Sequence[Rule]) -> Iterator[Broken]:
    for rule in rules:
        keys = [key.removeprefix(_TRAIN) for key in rule.keys]
        if not all(key in arm.recipe for key in keys) or not any(key in arm.own for key in keys):
            continue
        sentence = rule.judge(*(arm.recipe[key] for key in keys))
        if sentence is not None:
            # The last key is the one that is wrong, unless the arm gives another of them.
            key = next((key for key in reversed(keys) if key in arm.given), None)
            key = key or next(key for key in reversed(keys) if key in arm.own)
            others = [other for other in keys if other != key]
            yield Broken(arm.named(key), f"{sentence}{_sources(arm, key, keys)}", _beside(arm, others))


def _sources(arm: _Arm, key: str, keys: Sequence[str]) -> str:
    """Where the values come from that the arm's table does not give."""
    parts = []
    for one in keys:
        if one in arm.given:
            continue
        whose = f"of {arm.name} itself" if one in arm.entry.train else "of [train]"
        parts.append(f"{one} = {json.dumps(arm.recipe[one])} is that {whose}")
    return f" ({', '.join(parts)}; the arm's train can give another)" if parts else ""


def _beside(arm: _Arm, keys: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{arm.at}.train.{key}" if key in arm.given else f"{_TRAIN}{key}" for key in keys)


def _too_short(arm: _Arm, step: int) -> Iterator[Broken]:
    """Of an arm that starts at the rewind step: no learned mask does, and a value rule of the user's need not."""
    if step == 0 or arm.start == 0 or arm.entry.learned or not arm.entry.values.startswith("tickets."):
        return
    steps = arm.recipe.get("steps")
    if "steps" in arm.own and steps is not None and steps <= step:
        yield Broken(
            arm.named("steps"),
            f"must be more than rewind.step = {step}, where the arm's training starts; give it more steps, or "
            "start = 0 for the whole schedule",
            ("rewind.step",),
        )


def _wrong_state(arm: _Arm, kind: str, step: int) -> Iterator[Broken]:
    """Of an arm that goes on with the optimizer state of the ticket; see tickets.rewinding."""
    if kind == "weights" and step > 0:
        of = f"of step {step} with the optimizer state of that step"
    elif kind == "none" and not arm.entry.has_own_mask:
        of = "that the round before ended with, and with the optimizer state there"
    else:
        return  # a fresh optimizer
    keys = ("optimizer", "momentum")
    if arm.start == 0 or not arm.entry.continues or not all(key in arm.recipe and key in arm.run for key in keys):
        return
    changed = [key for key in keys if key in arm.own and arm.recipe[key] != arm.run[key]]
    if changed and _state(arm.recipe) != _state(arm.run):
        yield Broken(
            arm.named(changed[0]),
            f"the arm goes on from the values {of}, which is one of {_in_words(arm.run)}; start = 0 gives it a fresh "
            "optimizer and the whole schedule",
            ("train.optimizer", "train.momentum", "rewind.kind", "rewind.step"),
        )


def _state(recipe: Mapping[str, Any]) -> tuple[str, bool]:
    """What decides the optimizer state: SGD has one with momentum alone, whatever its value."""
    return recipe["optimizer"], recipe["momentum"] > 0


def _in_words(recipe: Mapping[str, Any]) -> str:
    name, momentum = _state(recipe)
    return f"{name} with{'' if momentum else 'out'} momentum" if name == "sgd" else name
