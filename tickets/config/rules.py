"""The rules that relate one key of a campaign file to another.

They are checked on a flat table (see `tickets.config.rule.Flat`). A rule is skipped if one of its keys is missing, so
that every rule that can be checked is checked.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from tickets.config.arm_rules import broken_arms, rules_in
from tickets.config.chain_rules import CHAIN_RULES
from tickets.config.claims import broken_claims
from tickets.config.count_rules import broken_counts
from tickets.config.own_train_rules import broken_own_train
from tickets.config.probe_rules import broken_probes
from tickets.config.pruned_rules import broken_pruned
from tickets.config.rule import Broken, Flat, Rule
from tickets.config.score_rules import broken_scores


def pruned_share(density: float) -> float:
    """The rate that leaves `density`: 1 - density in decimal arithmetic, so that 0.9 gives 0.1 exactly."""
    return float(1 - Decimal(repr(density)))


def _momentum(optimizer: str, momentum: float) -> str | None:
    if momentum == 0 or optimizer == "sgd":
        return None
    return f'only optimizer "sgd" takes a momentum, not "{optimizer}"; leave it out or write optimizer = "sgd"'


def _label_smoothing(loss: str, label_smoothing: float) -> str | None:
    if label_smoothing == 0 or loss == "cross_entropy":
        return None
    return f'only loss "cross_entropy" takes label smoothing, not "{loss}"; leave it out'


def _class_weights(loss: str, class_weights: Sequence[float]) -> str | None:
    if not class_weights or loss == "cross_entropy":
        return None
    return f'only loss "cross_entropy" takes class weights, not "{loss}"; leave them out'


def _milestones(schedule: str, milestones: list[int]) -> str | None:
    if schedule == "step" and not milestones:
        return 'schedule "step" needs at least one step to lower the learning rate at, e.g. milestones = [500]'
    if schedule != "step" and milestones:
        return f'only schedule "step" has them, not "{schedule}"; leave them out or write schedule = "step"'
    return None


def _increasing(milestones: list[int]) -> str | None:
    in_order = all(early < late for early, late in itertools.pairwise(milestones))
    return None if in_order else "must increase from each step to the next"


def _last_milestone(steps: int, milestones: list[int]) -> str | None:
    if max(milestones, default=0) < steps:
        return None
    return f"every milestone must be less than train.steps = {steps}"


def _warmup(steps: int, warmup_steps: int) -> str | None:
    return None if warmup_steps <= steps else f"must be at most train.steps = {steps}"


def _rewind(steps: int, step: int) -> str | None:
    return None if step < steps else f"must be less than train.steps = {steps}"


def _rate(density: float | None, rate: float) -> str | None:
    if density is None or rate == pruned_share(density):
        return None
    meant = pruned_share(density)
    return f"does not go with prune.density = {density}, which means rate = {meant}; give only one"


def _no_folder(folder: object) -> str | None:
    return "cannot be an option: it is the data folder, given by --data, data_folder or TICKETS_DATA"


def _planted(init: object) -> str | None:
    table = init if isinstance(init, Mapping) else {"name": init}
    if table.get("name") != "planted" or table.get("target") is not None:
        return None
    return 'needs a target, the network that is planted: { name = "planted", target = "circle" } (or relu, helix)'


RULES = (
    Rule(("train.loss", "train.label_smoothing"), _label_smoothing),
    Rule(("train.loss", "train.class_weights"), _class_weights),
    Rule(("train.optimizer", "train.momentum"), _momentum),
    Rule(("train.schedule", "train.milestones"), _milestones),
    Rule(("train.milestones",), _increasing),
    Rule(("train.steps", "train.milestones"), _last_milestone),
    Rule(("train.steps", "train.warmup_steps"), _warmup),
    Rule(("train.steps", "rewind.step"), _rewind),
    Rule(("prune.density", "prune.rate"), _rate),
    *(Rule(keys, judge) for keys, judge in CHAIN_RULES),
    Rule(("model.init",), _planted),
    Rule(("data.folder",), _no_folder),
)


def flat(table: Mapping[str, Any]) -> dict[str, Any]:
    """An entry for each key of a table, its tables (`train.steps`) and lists of tables (`arms[0].name`)."""
    entries: dict[str, Any] = {}
    for key, value in table.items():
        entries[key] = value
        if isinstance(value, dict):
            entries |= {f"{key}.{inner}": part for inner, part in flat(value).items()}
        elif isinstance(value, list | tuple):
            for index, item in enumerate(value):
                if isinstance(item, dict):
                    entries |= {f"{key}[{index}].{inner}": part for inner, part in flat(item).items()}
    return entries


def broken_rules(values: Flat) -> Iterator[Broken]:
    """The rules that a flat table breaks."""
    places = [f"arms[{index}]" for index in range(len(values.get("arms", ())))]
    for rule in (*RULES, *rules_in(*places)):
        try:
            given = [values[key] for key in rule.keys]
        except KeyError:
            continue
        sentence = rule.judge(*given)
        if sentence is not None:
            yield Broken(rule.keys[-1], sentence, rule.keys[:-1])
    yield from broken_counts(values, places)
    yield from broken_scores(values, places)
    yield from broken_own_train(values, places, RULES)
    yield from broken_pruned(values, places)
    yield from broken_arms(values, places)
    yield from broken_probes(values)
    yield from broken_claims(values)
