"""The claims about equal hidden units: that they stay equal, and what makes them differ."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from tickets.plurals import counted

from ..labels import capitalised
from ..text import listed
from .claim import Claim, Finding, absent
from .study import MASKED, Study
from .symmetry import NETWORK, symmetry
from .text import span
from .verdict import REFUTED, SHOWN, UNKNOWN, Verdict

TABLE = "symmetry"

_FEWEST = 2  # networks, for a claim about all networks


def _stay_equal(study: Study, setting: str, rows: pd.DataFrame) -> Iterator[Finding]:
    """By widths: within the tolerance, has each layer of the dense tickets a single distinct unit at every step?

    Refuted by one network whose units differ by more than the tolerance. Shown by two networks, all with equal units to
    the end.
    """
    networks = _networks(study, _starts(study, setting, "equal", noisy=False), 0, "ticket")
    if networks.empty:
        yield absent("no run starts with equal units and trains without noise")
    for widths, group in networks.groupby("widths", sort=False):
        yield Finding(_stays(group), _how_equal(group), f"widths {widths}")


def _dropout_breaks(study: Study, setting: str, rows: pd.DataFrame) -> Iterator[Finding]:
    """By the last step, has each layer of an equal start that trains with dropout several distinct units?"""
    runs = _starts(study, setting, "equal", noisy=True)
    networks = _networks(study, runs[runs["dropout"] > 0], 0, "ticket")
    if networks.empty:
        yield absent("no run starts with equal units and trains with dropout")
    else:
        yield Finding(_breaks(networks), _how_broken(networks))


def _mask_breaks(study: Study, setting: str, rows: pd.DataFrame) -> Iterator[Finding]:
    """As for dropout, with all weights equal (arm `constant`) under the first mask of a random start."""
    networks = _networks(study, _starts(study, setting, "random", noisy=False), MASKED, "constant")
    if networks.empty:
        yield absent(f"no run with a random start has the arm constant in round {MASKED}")
    else:
        yield Finding(_breaks(networks), _how_broken(networks))


STAY_EQUAL = Claim(
    "equal", "Hidden units that start equal stay equal while nothing in training is random", TABLE, _stay_equal
)
DROPOUT_BREAKS = Claim("dropout", "Dropout alone makes equal units differ", TABLE, _dropout_breaks)
MASK_BREAKS = Claim("mask", "A pruning mask alone makes equal units differ", TABLE, _mask_breaks)


def _starts(study: Study, setting: str, kind: str, noisy: bool) -> pd.DataFrame:
    starts = study.starts
    return starts[(starts["setting"] == setting) & (starts["kind"] == kind) & (starts["noisy"] == noisy)]


def _networks(study: Study, runs: pd.DataFrame, number: int, arm: str) -> pd.DataFrame:
    """The rows of `symmetry` of an arm in a round of some runs, with their widths and labels."""
    units = study.units
    chosen = units[units["run"].isin(runs["run"]) & (units["round"] == number) & (units["arm"] == arm)]
    by_size = runs.sort_values("widths", key=lambda texts: texts.map(_sizes), kind="stable")
    table = by_size[["run", "widths", "label"]].merge(symmetry(chosen), on="run")
    # The numbers of a training that diverged may be finite.
    diverged = study.rounds.loc[study.rounds["diverged"], NETWORK]
    found = table[NETWORK].merge(diverged, on=NETWORK, how="left", indicator=True)["_merge"] == "both"
    return table.assign(lost=table["lost"].astype(bool) | found.to_numpy())


def _sizes(widths: str) -> tuple[int, ...]:
    return tuple(int(width) for width in widths.split("-") if width.isdigit())


def _stays(networks: pd.DataFrame) -> Verdict:
    if (networks["within_most"] > 1).any():
        return REFUTED
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
            f"bit for bit, units differ in {len(apart)} of {n} networks ({starts}), first seen at step "
            f"{span(apart['apart'], '.0f')}, since rounding differs from unit to unit; by more than the tolerance "
        )
        if far.empty:
            text += f"in none (at the end they differ by at most {apart['spread_end'].max():.1g} of a unit's length)"
        else:
            text += (
                f"in {len(far)}, first seen at step {span(far['apart_within'], '.0f')} (at the end they differ by "
                f"{span(far['spread_end'], '.2g')} of a unit's length)"
            )
    return _sentence(text, networks)


def _breaks(networks: pd.DataFrame) -> Verdict:
    sound = networks[~networks["lost"]]
    if len(sound) < _FEWEST:
        return UNKNOWN
    apart = sound["within_end_least"] > 1
    return SHOWN if apart.all() else REFUTED if not apart.any() else UNKNOWN


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
        f"(by more than the tolerance; {when})"
    )
    return _sentence(text, networks)


def _sentence(text: str, networks: pd.DataFrame) -> str:
    lost = int(networks["lost"].sum())
    if lost:
        text += f"; {counted(lost, 'network')} diverged"
    return f"{capitalised(text)}."
