"""The rules that relate a score to the other keys of prune, or of an arm that is pruned at initialisation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tickets.catalogue import ARMS, SCORES
from tickets.catalogue.scores import OF_LAYERS, OF_TRAINING, RANDOM
from tickets.config.rule import Broken, Flat
from tickets.config.types import as_table

_ARM = "pruned_at_init"


def broken_scores(values: Flat, arms: Sequence[str]) -> Iterator[Broken]:
    """The rules about scores that a flat table breaks; arms: the keys of the arms in it."""
    score = _name(values.get("prune.score"))
    if score in OF_LAYERS and values.get("prune.scope") == "layer":
        yield Broken(
            "prune.score",
            'says how many weights each layer keeps, which prune.scope = "layer" says already; write scope = "global", '
            'or score = "random" for random places by the rates of the layers',
            ("prune.scope",),
        )
    for at in arms:
        name = str(values.get(f"{at}.name"))
        if name in ARMS and ARMS[name].mask == ARMS[_ARM].mask:
            yield from _broken_arm(values, at, name)


def _broken_arm(values: Flat, at: str, name: str) -> Iterator[Broken]:
    score = _name(values.get(f"{at}.score", "snip"))
    if score in OF_TRAINING:
        yield Broken(
            f"{at}.score",
            "compares a weight before and after training, and this arm is pruned before any; use a score that does "
            "not (magnitude, snip, grasp, synflow, ...)",
            (f"{at}.name",),
        )
    if score in SCORES and _options(values.get(f"{at}.score")).get("at") == "trained":
        yield Broken(
            f"{at}.score",
            'at = "trained" has no effect: this arm is pruned before any training; leave at out',
            (f"{at}.name",),
        )
    if score in OF_LAYERS and values.get(f"{at}.scope") == "layer":
        yield Broken(
            f"{at}.scope",
            f'score "{score}" says how many weights each layer keeps; leave scope out, or take the arm random_mask, '
            "which has as many weights in each layer as the round's mask, at random places",
            (f"{at}.score",),
        )
    if score in RANDOM and values.get(f"{at}.invert") is True:
        yield Broken(
            f"{at}.invert",
            f'score "{score}" draws the places at random, so that its lowest scores mean nothing; leave invert out',
            (f"{at}.score",),
        )
    drawn = score in RANDOM or score is None or ":" in score or values.get(f"{at}.shuffle") is True
    if name == _ARM and values.get(f"{at}.draws", 1) > 1 and not drawn:
        yield Broken(
            f"{at}.draws",
            f'must be 1: the mask of score "{score}" draws nothing at random; write shuffle = true, or a score that '
            f"does ({', '.join(RANDOM)})",
            (f"{at}.score",),
        )


def _name(score: Any) -> str | None:
    """The name of a score in either of its forms; None where it is wrong."""
    name = _options(score).get("name")
    return name if isinstance(name, str) else None


def _options(score: Any) -> Mapping[str, Any]:
    """The table of a score, with its name; empty where it is wrong."""
    table = as_table(score)
    return table if isinstance(table, Mapping) else {}
