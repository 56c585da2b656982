"""How "is there a winning ticket?" is decided in a run: what the campaign file's [verdict] says, and its defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tickets.catalogue import ARMS
from tickets.roles import arms_by_label, other_steps, role
from tickets.store.registered import rounds_seen

from .metrics import SHARE
from .shown import Shown, accuracy_of, shown

if TYPE_CHECKING:
    from tickets.store import Saved

MEASUREMENTS = frozenset(name for name, entry in ARMS.items() if entry.role == "measurement")
"""Arms that are the ticket itself, trained again: they measure noise, and are nothing that a ticket must beat."""


@dataclass(frozen=True)
class Rule:
    """How one run is judged.

    density: where it is decided, the round nearest to it on a log scale; None: at whichever density, by simultaneous
    intervals over all rounds.
    controls: the arms that the ticket must be better than. Every other arm explains, and decides nothing.
    margin: the largest loss against the dense networks that does not matter, as a share of their test error.
    measurements: arms that are never compared as controls: the ticket trained again, or arms that start as it does.
    rounds: how many the campaign has after the dense one; None: those that are saved.
    seen: how many rounds had been trained when the rule was first written; None: all that there are.
    other_steps: {arm: training steps more than the ticket has had in all, less than 0 for fewer}.
    accuracy: what the columns called accuracy contain, "accuracy", "R2" or "none". loss: `train.loss`.
    """

    density: float | None = None
    controls: tuple[str, ...] = ("reinit",)
    margin: float = SHARE
    measurements: frozenset[str] = MEASUREMENTS
    rounds: int | None = None
    other_steps: Mapping[str, int] = field(default_factory=dict)
    seen: int | None = 0
    accuracy: str = "accuracy"
    loss: str = "cross_entropy"

    @property
    def shown(self) -> Shown:
        """How differences of accuracy or R2 are shown."""
        return shown(self.accuracy)


Rules = Mapping[str, Rule]


def rule_of(file: Mapping[str, Any]) -> Rule:
    """The rule of a run. file: what its run.json holds; one that was saved without [verdict] has the defaults."""
    config = file["config"]
    given = config.get("verdict") or {}
    measured = {arm for arm in arms_by_label(config) if role(file, arm) == "measurement"}
    return Rule(
        density=given.get("density"),
        controls=tuple(dict.fromkeys(given.get("controls") or Rule.controls)),
        margin=given.get("margin", Rule.margin),
        measurements=MEASUREMENTS | measured,
        rounds=config.get("rounds"),
        other_steps=other_steps(file),
        seen=rounds_seen(file),
        accuracy=accuracy_of(file),
        loss=config.get("train", {}).get("loss", Rule.loss),
    )


def rules_of(saved: Saved) -> dict[str, Rule]:
    """{run: its rule}, of every saved run."""
    return {run: rule_of(saved.file(run)) for run in saved.runs}


def rule_for(run: str, rules: Rules | None) -> Rule:
    """A run's rule among some; the default one where there is none."""
    return (rules or {}).get(run, Rule())


def is_control(run: str, arm: str, rules: Rules | None) -> bool:
    """Whether an arm of a run is a control: neither the ticket nor a measurement of its noise."""
    return arm != "ticket" and arm not in rule_for(run, rules).measurements
