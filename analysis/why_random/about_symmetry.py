"""The claims about equal hidden units: that they stay equal, and what tells them apart."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from ..words import counted, listed
from .claim import Claim, cannot_tell
from .comparisons import MASKED
from .held import NOT, SHOWN, UNKNOWN, Held
from .study import Study
from .symmetry import NETWORK, symmetry
from .words import span

TABLE = "symmetry"

STAY = "Hidden units that start equal stay equal while nothing in training is random"
DROPOUT = "Dropout alone tells equal units apart"
MASK = "A pruning mask alone tells equal units apart"

_FEWEST = 2  # networks from which a claim about all networks is made


def stay_equal(study: Study, setting: str) -> Iterator[Claim]:
    """By widths: within the tolerance, has each layer of the dense tickets a single distinct unit at every step?

    One network in which units come apart by more than the tolerance is enough for `shown not to hold`; it takes two
    networks, all with equal units to the end, for `shown`.
    """
    runs = _of(study, setting, "equal", noisy=False)
    networks = _networks(study, runs, 0, "ticket")
    if networks.empty:
        yield cannot_tell("equal", setting, STAY, "no run starts with equal units and trains without noise", TABLE)
    for widths, rows in networks.groupby("widths", sort=False):
        yield Claim("equal", setting, STAY, _stays(rows), _how_equal(rows), TABLE, f"widths {widths}")


def dropout_breaks(study: Study, setting: str) -> Iterator[Claim]:
    """By the last step, has each layer of an equal start that trains with dropout several distinct units?"""
    runs = _of(study, setting, "equal", noisy=True)
    networks = _networks(study, runs[runs["dropout"] > 0], 0, "ticket")
    if networks.empty:
        yield cannot_tell("dropout", setting, DROPOUT, "no run starts with equal units and trains with dropout", TABLE)
    else:
        yield Claim("dropout", setting, DROPOUT, _breaks(networks), _how_broken(networks), TABLE)


def mask_breaks(study: Study, setting: str) -> Iterator[Claim]:
    """The same of all weights 0.5 (arm `constant`) under the first mask of a random start."""
    networks = _networks(study, _of(study, setting, "random", noisy=False), MASKED, "constant")
    if networks.empty:
        why = f"no run with a random start has the arm constant in round {MASKED}"
        yield cannot_tell("mask", setting, MASK, why, TABLE)
    else:
        yield Claim("mask", setting, MASK, _breaks(networks), _how_broken(networks), TABLE)


def _of(study: Study, setting: str, kind: str, noisy: bool) -> pd.DataFrame:
    starts = study.starts
    return starts[(starts["setting"] == setting) & (starts["kind"] == kind) & (starts["noisy"] == noisy)]


def _networks(study: Study, runs: pd.DataFrame, number: int, arm: str) -> pd.DataFrame:
    """The rows of `symmetry` of an arm in a round of some runs, with their widths and labels."""
    units = study.units
    chosen = units[units["run"].isin(runs["run"]) & (units["round"] == number) & (units["arm"] == arm)]
    by_size = runs.sort_values("widths", key=lambda texts: texts.map(_sizes), kind="stable")
    table = by_size[["run", "widths", "label"]].merge(symmetry(chosen), on="run")
    # Numbers may be finite though the training ran away.
    ran_away = study.rounds.loc[study.rounds["diverged"], NETWORK]
    found = table[NETWORK].merge(ran_away, on=NETWORK, how="left", indicator=True)["_merge"] == "both"
    return table.assign(lost=table["lost"].astype(bool) | found.to_numpy())


def _sizes(widths: str) -> tuple[int, ...]:
    return tuple(int(width) for width in widths.split("-") if width.isdigit())


def _stays(networks: pd.DataFrame) -> Held:
    if (networks["within_most"] > 1).any():
        return NOT
    sound = networks[~networks["lost"]]
    return SHOWN if len(sound) >= _FEWEST and (sound["distinct_start"] == 1).all() else UNKNOWN


def _how_equal(networks: pd.DataFrame) -> str:
    n = len(networks)
    apart, far = (networks[networks[name].notna()] for name in ("apart", "apart_within"))
    starts = listed(list(networks["label"].unique()))
    if apart.empty:
        every = "one distinct unit in every layer, bit for bit, at every evaluated step"
        text = f"{counted(n, 'network')} ({starts}): {every}"
    else:
        text = (
            f"bit for bit, units come apart in {len(apart)} of {n} networks ({starts}), first seen at step "
            f"{span(apart['apart'], '.0f')}: rounding differs from unit to unit; beyond the tolerance "
        )
        if far.empty:
            text += f"in none (at the end at most {apart['spread_end'].max():.1g} of a unit's length apart)"
        else:
            text += (
                f"in {len(far)}, first seen at step {span(far['apart_within'], '.0f')} (at the end "
                f"{span(far['spread_end'], '.2g')} of a unit's length apart)"
            )
    return _sentence(text, networks)


def _breaks(networks: pd.DataFrame) -> Held:
    sound = networks[~networks["lost"]]
    if len(sound) < _FEWEST:
        return UNKNOWN
    apart = sound["within_end_least"] > 1
    return SHOWN if apart.all() else NOT if not apart.any() else UNKNOWN


def _how_broken(networks: pd.DataFrame) -> str:
    there = networks[networks["within_end_least"].notna()]
    apart = (there["within_end_least"] > 1).sum()
    at_start = (there["within_start"] > 1).any()
    when = (
        f"from the start, {span(there['within_start'], '.0f')} in the layer with most"
        if at_start
        else f"first seen at step {span(there['apart_within'], '.0f')}"
    )
    text = (
        f"in {apart} of {len(networks)} networks every layer has several distinct units at the end, "
        f"{span([*there['within_end_least'], *there['within_end']], '.0f')} of {span(there['width'], '.0f')} "
        f"(beyond the tolerance; {when})"
    )
    return _sentence(text, networks)


def _sentence(text: str, networks: pd.DataFrame) -> str:
    lost = int(networks["lost"].sum())
    if lost:
        text += f"; {counted(lost, 'network')} diverged"
    return f"{text[:1].upper()}{text[1:]}."
