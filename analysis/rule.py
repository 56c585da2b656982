"""How "is there a winning ticket?" is decided for a run: the campaign file's [verdict] table and its defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

from tickets.catalogue import ARMS
from tickets.roles import arms_by_label, other_steps, role
from tickets.store.registered import rounds_seen

from .labels import CLASSIFICATION, Labels, labels_of
from .metrics import SHARE, margins

if TYPE_CHECKING:
    from tickets.store import Saved

MEASUREMENTS = frozenset(name for name, entry in ARMS.items() if entry.role == "measurement")
"""Arms that train the ticket again: they measure noise, and are never compared as controls."""


@dataclass(frozen=True)
class Rule:
    """How one run is judged.

    Parameters
    ----------
    density : float, optional
        The verdict is decided at the round whose density is nearest to this one on a log scale. None: it may be decided
        at any density, by intervals that are simultaneous over all rounds.
    controls : tuple of str
        The arms that the ticket must be better than. Other arms do not affect the verdict.
    margin : float
        Margin of equivalence against the dense networks, as a share of their test error.
    measurements : frozenset of str
        Arms that are never compared as controls: the ticket trained again, and arms that start from its values.
    rounds : int, optional
        How many rounds the campaign has after the dense one. None: those that are saved.
    other_steps : mapping
        {arm: training steps in all, minus the ticket's}, for the arms where this is not 0.
    seen : int, optional
        How many rounds had been trained when the rule was first written. None: all of them.
    labels : Labels
        The names and units of the run's quantities.
    loss : str
        The training loss, `train.loss`.
    densities : tuple of float
        What is to remain after each round, `prune.densities`; empty where the rates say it.
    rewind : str
        What is rewound, `rewind.kind`.
    """

    density: float | None = None
    controls: tuple[str, ...] = ("reinit",)
    margin: float = SHARE
    measurements: frozenset[str] = MEASUREMENTS
    rounds: int | None = None
    other_steps: Mapping[str, int] = field(default_factory=dict)
    seen: int | None = 0
    labels: Labels = CLASSIFICATION
    loss: str = "cross_entropy"
    densities: tuple[float, ...] = ()
    rewind: str = "weights"


Rules = Mapping[str, Rule]
"""{run: its rule}."""


def rule_of(file: Mapping[str, Any]) -> Rule:
    """The rule of a saved run.

    Parameters
    ----------
    file : mapping
        The content of the run's run.json. One without a [verdict] table has the defaults.
    """
    config = file["config"]
    given = config.get("verdict") or {}
    labels = arms_by_label(config)
    measured = {arm for arm in labels if role(file, arm) == "measurement"}
    return Rule(
        density=given.get("density"),
        controls=tuple(dict.fromkeys(given.get("controls") or Rule.controls)),
        margin=given.get("margin", Rule.margin),
        measurements=(MEASUREMENTS - labels.keys()) | measured,
        rounds=config.get("rounds"),
        other_steps=other_steps(file),
        seen=rounds_seen(file),
        labels=labels_of(file),
        loss=config.get("train", {}).get("loss", Rule.loss),
        densities=tuple(config.get("prune", {}).get("densities", ())),
        rewind=config.get("rewind", {}).get("kind", Rule.rewind),
    )


def rules_of(saved: Saved) -> dict[str, Rule]:
    """{run: its rule}, for every saved run."""
    return {run: rule_of(saved.file(run)) for run in saved.runs}


def rule_for(run: str, rules: Rules | None) -> Rule:
    """The rule of one run; the default rule if `rules` has none for it."""
    return (rules or {}).get(run, Rule())


def is_control(run: str, arm: str, rules: Rules | None) -> bool:
    """Whether an arm of a run is a control: neither the ticket nor a measurement."""
    return arm != "ticket" and arm not in rule_for(run, rules).measurements


def margins_by_rule(rounds: pd.DataFrame, name: str, margin: float | None, rules: Rules | None) -> pd.Series[float]:
    """{run: margin of equivalence}, as `margins` with the share that each run's own rule names."""
    shares = {run: rule.margin for run, rule in (rules or {}).items()}
    by_share = {share: margins(rounds, name, margin, share) for share in {SHARE, *shares.values()}}
    return pd.Series({run: by_share[shares.get(run, SHARE)][run] for run in rounds["run"].unique()}, dtype=float)
