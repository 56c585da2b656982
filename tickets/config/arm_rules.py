"""The rules of the arms of a campaign file: of the keys of one arm, and of all arms together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from tickets.catalogue import ARMS
from tickets.config.rule import Broken, Flat, Rule, entry_at

LEARNED_ARMS = tuple(sorted(name for name, arm in ARMS.items() if arm.learned))
RANDOM_ARMS = tuple(sorted(name for name, arm in ARMS.items() if arm.random))


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


def broken_arms(values: Flat, places: Sequence[str]) -> Iterator[Broken]:
    """The rules that arms break together, and `verdict.controls` with them; places: the keys of the arms."""
    if "arms" not in values:
        return
    names, labels = ([values.get(f"{at}.{key}") for at in places] for key in ("name", "label"))
    yield from _together(names, labels)
    if all(name is not None for name in names):
        called = {str(label or name): _role(values, at) for name, label, at in zip(names, labels, places, strict=True)}
        yield from _controls(called, values.get("verdict.controls", _DEFAULT_CONTROLS))


@cache
def rules_in(*places: str) -> list[Rule]:
    """The rules of the arms at these places."""
    return [Rule(tuple(f"{at}.{key}" for key in rule.keys), rule.judge) for at in places for rule in ARM_RULES]


_DEFAULT_CONTROLS = ("reinit",)


def _role(values: Flat, at: str) -> str:
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


def _together(names: list[str | None], labels: list[str | None]) -> Iterator[Broken]:
    """Arms with one label, and a campaign without the ticket."""
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
