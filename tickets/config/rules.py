"""The rules that relate one key of a campaign file to another.

They are checked on a flat table {"train.steps": 1000, "arms[0].draws": 1, ...} without the keys whose values are
illegal. A rule is skipped if one of its keys is missing, so that every rule that can be checked is checked.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from functools import cache
from typing import Any

from tickets.catalogue import ARMS, table_of
from tickets.config.chain_rules import CHAIN_RULES, broken_probes
from tickets.config.count_rules import broken_counts
from tickets.config.own_train_rules import broken_own_train
from tickets.config.pruned_rules import broken_pruned
from tickets.config.rule import Broken, Rule, entry_at
from tickets.config.score_rules import broken_scores

LEARNED_ARMS = tuple(sorted(name for name, arm in ARMS.items() if arm.learned))
RANDOM_ARMS = tuple(sorted(name for name, arm in ARMS.items() if arm.random))


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


def _draws(name: str, draws: int) -> str | None:
    if draws == 1 or name not in ARMS or name in RANDOM_ARMS:
        return None  # a rule of the user's may draw at random
    return f"must be 1: {name} draws nothing at random (arms that do: {', '.join(RANDOM_ARMS)})"


def _start(name: str, start: int | None) -> str | None:
    if start is None or name != "ticket":
        return None
    return "only a control can start at step 0; the ticket starts at rewind.step; leave start out"


def _pruned(name: str, pruned: str) -> str | None:
    if pruned != "zero" and name in LEARNED_ARMS:
        return "a learned mask decides between a weight and 0; leave pruned out"
    if pruned == "zero" or name not in ("ticket", "small_dense"):
        return None
    if name == "small_dense":
        return "small_dense prunes nothing: it has narrower layers and no mask; leave pruned out"
    return "the ticket's pruned weights are 0; only other arms have a choice; leave pruned out"


def _train(name: str, train: Mapping[str, Any]) -> str | None:
    if not train or name != "ticket":
        return None
    return (
        "the ticket trains by the run's [train]; leave train out here, and change [train], or give other settings to "
        'another arm, such as { name = "repeat", label = "ticket_slow", train = { ... } }'
    )


_DENSE = "dense"


def _name(name: str) -> str | None:
    return "is the name of the ticket of round 0; give another name" if name.casefold() == _DENSE else None


def _label(name: str, label: str) -> str | None:
    if label == name:
        return None
    if name == "ticket":
        return 'the ticket is called "ticket" in every table; leave label out'
    if label.casefold() == _DENSE:
        return "is the name of the ticket of round 0; give another label"
    if label in ARMS:
        return f"is the name of an arm of the catalogue; give another label, e.g. {name}_2"
    return None


ARM_RULES = (
    Rule(("name",), _name),
    Rule(("name", "label"), _label),
    Rule(("name", "draws"), _draws),
    Rule(("name", "start"), _start),
    Rule(("name", "pruned"), _pruned),
    Rule(("name", "train"), _train),
)


# A value of each key that is not its default.
_NOT_DEFAULT = {"label": "another_label", "draws": 2, "start": 0, "pruned": "initial", "train": {"gamma": 0.5}}


def keys_without_choice(arm: str) -> frozenset[str]:
    """The keys of an arm of the catalogue that have no legal value but their default."""
    pairs = [(rule, key) for rule in ARM_RULES for key in rule.keys[1:]]
    return frozenset(key for rule, key in pairs if rule.judge(arm, _NOT_DEFAULT[key]) is not None)


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


def broken_rules(values: Mapping[str, Any]) -> Iterator[Broken]:
    """The rules that a flat table breaks."""
    places = [f"arms[{index}]" for index in range(len(values.get("arms", ())))]
    for rule in (*RULES, *_rules_in(*places)):
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
    if "arms" in values:
        names, labels = ([values.get(f"{at}.{key}") for at in places] for key in ("name", "label"))
        yield from _arms_together(names, labels)
        if all(name is not None for name in names):
            called = {
                str(label or name): _role(values, at) for name, label, at in zip(names, labels, places, strict=True)
            }
            yield from _controls(called, values.get("verdict.controls", _DEFAULT_CONTROLS))
    # A short form is converted to a table with its name. Wrong names have been left out.
    probes = [
        one if isinstance(one, str) else values.get(f"probes[{at}].name")
        for at, one in enumerate(values.get("probes", ()))
    ]
    # "units" is measured without being named where `store.units` asks for it.
    yield from _tables_of_probes(probes, "units" if values.get("store.units") is True else None)
    yield from broken_probes(values.get("prune.masks_from"), probes)


@cache
def _rules_in(*places: str) -> list[Rule]:
    """The rules of the arms at these places."""
    return [Rule(tuple(f"{at}.{key}" for key in rule.keys), rule.judge) for at in places for rule in ARM_RULES]


_DEFAULT_CONTROLS = ("reinit",)


def _role(values: Mapping[str, Any], at: str) -> str:
    """The role of an arm: its entry's in the catalogue, or the one that a user's arm was given."""
    entry = entry_at(values, at)
    return values.get(f"{at}.role") or "control" if entry is None else entry.role


def _controls(roles: Mapping[str, str], controls: Sequence[Any]) -> Iterator[Broken]:
    """Errors in the arms that decide the verdict, given the role of each arm by label."""
    if tuple(controls) == _DEFAULT_CONTROLS:
        return  # the default does not require the arm: without reinit the answer is `cannot tell`
    there = [label for label, role in roles.items() if role == "control"]
    allowed = f"controls among this campaign's arms: {', '.join(there) or 'none'}"
    if not controls:
        yield Broken("verdict.controls", f"must name at least one arm that the ticket must be better than ({allowed})")
    for index, control in enumerate(controls):
        if control in controls[:index]:
            yield Broken("verdict.controls", f"names {control!r} twice; name each control once")
        elif not isinstance(control, str):
            yield Broken("verdict.controls", f"must be a list of arms' names ({allowed})")
        elif roles.get(control) == "measurement":
            yield Broken("verdict.controls", f"{control} is the ticket trained again, which measures noise; {allowed}")
        elif control not in there:
            yield Broken("verdict.controls", f"{control!r} is no control of this campaign ({allowed})")


def _arms_together(names: list[str | None], labels: list[str | None]) -> Iterator[Broken]:
    called = [label or name for name, label in zip(names, labels, strict=True)]
    folded = [label and label.casefold() for label in called]
    for index, (name, label) in enumerate(zip(names, called, strict=True)):
        if name is None or folded[index] not in folded[:index]:
            continue
        key = f"arms[{index}].{'name' if label == name else 'label'}"
        if label not in called[:index]:  # at the beginning of a sentence both are capitalised
            first = folded.index(folded[index])
            why = f"differs from the label of arms[{first}] ({called[first]}) in capital letters alone"
            yield Broken(key, f"{why}; give another {key.rpartition('.')[2]}")
        elif label == name or label not in ARMS:
            first = called.index(label)
            yield Broken(
                key,
                f"is there already as arms[{first}]; give an arm once, with draws = N for more draws, or with a label "
                f'of its own (label = "{name}_2")',
            )
    # An unknown name may have been meant as the ticket; the line about the name is enough.
    if "ticket" not in names and None not in names:
        yield Broken("arms", 'must hold "ticket": every other arm is compared with it')


# The other files of a round's folder.
_RESERVED = ("curves", "rounds", "masks", "next_masks", "weights", "trained", "manifest")
_MEND = {True: "leave one out", False: "give the function another name"}


def _tables_of_probes(names: Sequence[str | None], unnamed: str | None) -> Iterator[Broken]:
    """Probes whose tables would have the same file name, on a file system with or without capital letters.

    A function of the user's may have the name of a probe of the catalogue that the campaign does not name. unnamed: a
    probe that is measured although it need not be among the names.
    """
    tables = [None if name is None else table_of(name).casefold() for name in names]
    for index, (name, table) in enumerate(zip(names, tables, strict=True)):
        key = f"probes[{index}].name"
        if table is not None and table in tables[:index]:
            first = tables.index(table)
            same = name == names[first]
            why = "each probe is measured once" if same else f"both tables would be {table}.parquet"
            yield Broken(key, f"is there already as probes[{first}]; {why}; {_MEND[same]}")
        elif table in _RESERVED:
            yield Broken(key, f"its table would be {table}.parquet, which is taken; {_MEND[False]}")
        elif table == unnamed and name != unnamed:
            yield Broken(key, f"its table would be that of the probe {table} (store.units = true); {_MEND[False]}")
