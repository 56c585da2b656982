"""The rules of how a run goes from one round to the next: what is pruned, and what is rewound.

Each is (keys, judge): `judge`, called with the values of the keys, returns what is wrong with the last one, or None.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

# The keys of these rules that are left out of a configuration at their defaults.
LATER: Mapping[str, Any] = {
    "rewind.kind": "weights",
    "fine_tune.steps": None,
    "prune.densities": (),
    "prune.masks_from": None,
}

# Keys of [prune] that have no effect beside another one, and why.
WITHOUT_EFFECT: Mapping[str, tuple[tuple[str, ...], str]] = {
    "masks_from": (
        ("score", "scope", "rate", "output_rate", "conv_rate"),
        "has no effect beside prune.masks_from, which takes every mask from another run; leave it out",
    ),
    "densities": (
        ("rate", "output_rate", "conv_rate"),
        "has no effect beside prune.densities, which says what remains after each round; give only one",
    ),
}


def without_effect(key: str, given: Mapping[str, Any]) -> str | None:
    """Why a key of [prune] cannot be given beside others; None if it can. given: the other keys."""
    for stronger, (keys, why) in WITHOUT_EFFECT.items():
        if key in keys and given.get(stronger):
            return why
    return None


def written_keys(prune: Mapping[str, Any]) -> dict[str, Any]:
    """The table [prune] without the keys that have no effect, which a configuration must not give."""
    return {key: value for key, value in prune.items() if without_effect(key, prune) is None}


def with_rounds(table: Mapping[str, Any]) -> dict[str, Any]:
    """A campaign's table with the `rounds` that `prune.densities` means, where it gives none."""
    prune = table.get("prune")
    densities = prune.get("densities") if isinstance(prune, Mapping) else getattr(prune, "densities", None)
    if "rounds" in table or not isinstance(densities, list | tuple) or not densities:
        return dict(table)
    return {**table, "rounds": len(densities)}


def _fine_tune(kind: str, steps: int | None) -> str | None:
    if kind == "none" and steps is None:
        return (
            'must be a number of steps with rewind.kind = "none", which trains each ticket for so many further ones; '
            "write, for instance, steps = 200 below the line [fine_tune]"
        )
    if kind != "none" and steps is not None:
        return f'only rewind.kind = "none" (fine-tuning) has them, not "{kind}"; leave out [fine_tune]'
    return None


def _rewind_step(kind: str, step: int) -> str | None:
    if kind != "none" or step == 0:
        return None
    return 'must be 0 with rewind.kind = "none": fine-tuning goes on, and back to no step; leave it out'


def _kept(kind: str, trained: str) -> str | None:
    if kind == "weights" or trained != "none":
        return None
    return (
        f'rewind.kind = "{kind}" starts each round from the trained values of the round before, which must be kept; '
        'write trained = "ticket" or "all"'
    )


def _decreasing(densities: Sequence[float]) -> str | None:
    if all(before > after for before, after in itertools.pairwise(densities)):
        return None
    return "must decrease from each round to the next"


def _a_round_each(rounds: int, densities: Sequence[float]) -> str | None:
    if not densities or len(densities) == rounds:
        return None
    return f"has {len(densities)} of them, one for each round, so rounds must be {len(densities)} or left out: {rounds}"


def _one_shot(rounds: int, density: float | None) -> str | None:
    if density is None or rounds == 1:
        return None
    return f"prunes once, so it needs rounds = 1, not {rounds}; with more rounds give prune.rate instead"


def _one_density(densities: Sequence[float], density: float | None) -> str | None:
    if not densities or density is None:
        return None
    return "has no effect beside prune.densities, which says what remains after each round; give only one"


def _no_density(masks_from: str | None, density: float | Sequence[float] | None) -> str | None:
    if masks_from is None or not density:
        return None
    return WITHOUT_EFFECT["masks_from"][1]


CHAIN_RULES: tuple[tuple[tuple[str, ...], Callable[..., str | None]], ...] = (
    (("rounds", "prune.density"), _one_shot),
    (("rewind.kind", "fine_tune.steps"), _fine_tune),
    (("rewind.kind", "rewind.step"), _rewind_step),
    (("rewind.kind", "store.trained"), _kept),
    (("prune.densities",), _decreasing),
    (("rounds", "prune.densities"), _a_round_each),
    (("prune.densities", "prune.density"), _one_density),
    (("prune.masks_from", "prune.density"), _no_density),
    (("prune.masks_from", "prune.densities"), _no_density),
)
