"""A list of combinations in which every two values of different factors meet: a greedy pairwise design."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence

Combination = dict[str, str]
Pair = tuple[tuple[str, str], tuple[str, str]]


def pairs_of(combination: Combination) -> set[Pair]:
    return set(itertools.combinations(sorted(combination.items()), 2))


def every_pair(factors: Mapping[str, Sequence[str]], legal: Callable[[Combination], bool]) -> list[Combination]:
    """Legal combinations, such that every pair of values that is part of a legal one is in at least one of them."""
    names = list(factors)
    every = [dict(zip(names, values, strict=True)) for values in itertools.product(*factors.values())]
    left_over = [combination for combination in every if legal(combination)]
    missing = set().union(*map(pairs_of, left_over))
    chosen = []
    while missing:
        best = max(left_over, key=lambda combination: len(pairs_of(combination) & missing))
        chosen.append(best)
        missing -= pairs_of(best)
    return chosen
