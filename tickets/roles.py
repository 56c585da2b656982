"""The role of each arm of a saved run, and how many steps it trained; for comparisons of arms.

Pure functions of the contents of run.json. Arms are named by their labels.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tickets.catalogue import ARMS, Role, arm_entry

FRESH_DRAW = "tickets.arms:fresh_draw"  # the value rule that draws from the model's own initial distribution
FRESH = (FRESH_DRAW, "tickets.sign_arms:sign_reinit")  # all value rules that do
REWOUND = "tickets.arms:rewound"  # the value rule whose values were trained up to the rewind step
# The rules of model.init that give the same weights for every seed.
NOT_DRAWN = ("constant", "zeros", "dct", "hadamard", "quasi_normal", "quasi_orthogonal")


def arms_by_label(config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The arms of a run's configuration, as tables, in the campaign's order.

    config: JSON of a resolved Run, such as `tickets.load(...).config()`.
    """
    tables = [{"name": arm} if isinstance(arm, str) else dict(arm) for arm in config.get("arms", [])]
    return {str(arm.get("label", arm["name"])): arm for arm in tables}


def role(file: Mapping[str, Any], arm: str) -> Role:
    """Whether an arm of a saved run is the ticket, a control, or a measurement of how far two trainings differ.

    A control whose initial values are the ticket's own in this run is a measurement: `reinit` where the start draws
    nothing (init constant, zeros or dct), for instance.

    Parameters
    ----------
    file
        What run.json holds.
    arm
        The arm's label. An arm that the campaign no longer names has the role of the catalogue's arm of this name, or
        else is a control.
    """
    entry = arm_entry(arms_by_label(file["config"]).get(arm, {"name": arm}))
    if entry is None:
        return "control"
    return "measurement" if arm in like_ticket(file) else entry.role


def like_ticket(file: Mapping[str, Any]) -> tuple[str, ...]:
    """The controls of a saved run that start from the ticket's own mask and values, by label.

    Runs that were saved before this was recorded: arms by a fresh draw where model.init draws nothing.
    """
    if "like_ticket" in file:
        return tuple(file["like_ticket"])
    config = file["config"]
    init = config["model"].get("init", "")
    if (init["name"] if isinstance(init, Mapping) else init) not in NOT_DRAWN:
        return ()
    entries = {label: ARMS.get(arm["name"]) for label, arm in arms_by_label(config).items()}
    return tuple(
        label
        for label, entry in entries.items()
        if entry is not None and entry.values == FRESH_DRAW and not entry.has_own_mask
    )


def like_ticket_sentence(arms: Sequence[str], init: str) -> str | None:
    """One line that says that these arms start as the ticket does; None for no arms. init: the name of model.init."""
    if not arms:
        return None
    return (
        f"{', '.join(arms)}: the same initial weights as the ticket's from this start (model.init = {init!r}); "
        "compared as the ticket trained again (a measurement), not as a control"
    )


def comparison_notes(file: Mapping[str, Any]) -> list[str]:
    """Lines that a reader of a run's comparisons must know about its arms. file: what run.json holds."""
    init = file["config"]["model"].get("init", "pytorch")
    name = str(init["name"]) if isinstance(init, Mapping) else str(init)
    lines = (
        like_ticket_sentence(like_ticket(file), name),
        *recipe_sentences(file["config"]),
        steps_sentence(file),
        small_dense_sentence(file),
    )
    return [line for line in lines if line is not None]


def own_train(arm: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of [train] that an arm has of its own: the catalogue's, each replaced by the campaign's if it gives one.

    arm: the arm's table in a run's configuration.
    """
    entry = arm_entry(arm)
    own = {**({} if entry is None else entry.train), **arm.get("train", {})}
    return {key: list(value) if isinstance(value, tuple) else value for key, value in own.items()}  # as JSON has it


def recipe_sentences(config: Mapping[str, Any]) -> list[str]:
    """A line for each arm with keys of [train] that are not the ticket's. config: JSON of a resolved Run."""
    lines = []
    for label, arm in arms_by_label(config).items():
        both = {key: (json.dumps(own), json.dumps(config["train"].get(key))) for key, own in own_train(arm).items()}
        parts = [f"{key} = {own} (the ticket: {ticket})" for key, (own, ticket) in both.items() if own != ticket]
        if parts:
            lines.append(f"trained in another way than the ticket: {label}, with {', '.join(parts)}")
    return lines


@dataclass(frozen=True)
class ArmStart:
    """Where an arm's trainings start, and how many steps they take.

    Attributes
    ----------
    step
        The training step that its networks start at after round 0.
    continues
        Whether they continue with the optimizer state of that step.
    before
        How many steps their initial values have been trained.
    steps
        How many steps they train after round 0.
    dense_steps
        How many steps they train in round 0.
    more
        By how many steps `before` grows with each round after the first: the values are those of a ticket that keeps
        its trained values from round to round.
    """

    step: int
    continues: bool
    before: int
    steps: int
    dense_steps: int
    more: int = 0

    def as_json(self) -> dict[str, Any]:
        """As run.json holds it."""
        return {key: value for key, value in asdict(self).items() if key != "more" or value}

    def in_all(self, round: int) -> int:
        """How many training steps its networks have had in all when a round ends."""
        return self.dense_steps if round == 0 else self.before + (round - 1) * self.more + self.steps


def arm_starts(file: Mapping[str, Any]) -> dict[str, ArmStart]:
    """{label: start} of the arms of a run. file: what run.json holds.

    An arm that run.json says nothing of, as in runs that were saved before this was recorded, starts as the catalogue's
    arm of its name does.
    """
    config = file["config"]
    recorded = {label: ArmStart(**start) for label, start in file.get("starts", {}).items()}
    return {**{label: _catalogue_start(config, arm) for label, arm in arms_by_label(config).items()}, **recorded}


def _catalogue_start(config: Mapping[str, Any], arm: Mapping[str, Any]) -> ArmStart:
    """Where an arm of the catalogue starts: the rewound values continue at the rewind step, unless it starts at 0."""
    entry = arm_entry(arm)
    steps = int({**config["train"], **own_train(arm)}["steps"])
    rewind = int(config.get("rewind", {}).get("step", 0))
    is_rewound = entry is not None and entry.values == REWOUND
    kind = config.get("rewind", {}).get("kind", "weights")
    whole = arm.get("start") == 0 or (entry is not None and entry.learned)
    if kind != "weights":
        is_rewound = is_rewound and entry is not None and not entry.has_own_mask
    if kind == "none":
        dense, each = int(config["train"]["steps"]), int(config["fine_tune"]["steps"])
        own = (0, steps) if whole else (dense, each)
        before, more = (dense, each) if is_rewound else (0, 0)
        return ArmStart(own[0], is_rewound and not whole, before, own[1], steps, more)
    step = 0 if whole else rewind
    if kind == "learning_rate":
        dense = int(config["train"]["steps"])
        before, more = (dense, dense - rewind) if is_rewound else (0, 0)
        return ArmStart(step, False, before, steps - step, steps, more)
    return ArmStart(step, is_rewound and step > 0, rewind if is_rewound else 0, steps - step, steps)


def trained_steps(file: Mapping[str, Any], arm: str, round: int = 1) -> int:
    """How many training steps an arm's networks have had in all when a round ends.

    Networks that go on from trained values have had the steps before, too. `reinit` with a rewind step of 100 has
    trained 100 steps fewer than the ticket; with `start = 0`, as many. `shuffle` has had none of the steps before: the
    network that it starts from was never trained.

    Parameters
    ----------
    file
        What run.json holds.
    arm
        The arm's label.
    round
        0: every arm has the whole schedule.
    """
    start = arm_starts(file).get(arm) or _catalogue_start(file["config"], {"name": arm})
    return start.in_all(round)


def steps_before(file: Mapping[str, Any], arm: str) -> int:
    """How many steps the initial values of an arm's networks had been trained, after round 0. For the parameters see
    `trained_steps`.
    """
    return (arm_starts(file).get(arm) or _catalogue_start(file["config"], {"name": arm})).before


def small_dense_sentence(file: Mapping[str, Any]) -> str | None:
    """How large the networks of arm `small_dense` are, in one line; None for a run without it. file: run.json."""
    rounds = file.get("small_dense", {}).get("rounds", ())
    labels = [label for label, arm in arms_by_label(file["config"]).items() if arm["name"] == "small_dense"]
    if not rounds or not labels:
        return None
    first, last = rounds[0], rounds[-1]
    least = min(rounds, key=lambda one: one["weights"] / one["left"])
    share = f"{100 * least['weights'] / least['left']:.1f} %"
    return (
        f"{', '.join(labels)}: dense networks with hidden widths {_widths(first)} in round {first['round']} to "
        f"{_widths(last)} in round {last['round']}, the largest with at most as many weights as the ticket has left; "
        f"they have at least {share} as many (round {least['round']}: {least['weights']:,} and {least['left']:,})"
    )


def _widths(one: Mapping[str, Any]) -> str:
    return "-".join(map(str, one["widths"]))


def other_steps(file: Mapping[str, Any]) -> dict[str, int]:
    """{label: steps} of the arms that have trained another number of steps than the ticket: less than 0 for fewer.

    When round 1 ends. Where tickets keep their trained values, the difference grows from round to round.
    """
    ticket = trained_steps(file, "ticket")
    apart = {label: trained_steps(file, label) - ticket for label in arms_by_label(file["config"])}
    return {label: steps for label, steps in apart.items() if steps}


def keeps_trained(config: Mapping[str, Any]) -> bool:
    """Whether a run's tickets keep their trained values from round to round (rewind.kind learning_rate or none)."""
    return bool(config.get("rewind", {}).get("kind", "weights") != "weights")


def steps_sentence(file: Mapping[str, Any]) -> str | None:
    """Which arms have trained more or fewer steps than the ticket after round 0, in one line; None if none has."""
    if keeps_trained(file["config"]):
        return _growing_steps(file)
    step = file["config"].get("rewind", {}).get("step", 0)
    groups: dict[int, list[str]] = {}
    for label, steps in other_steps(file).items():
        groups.setdefault(steps, []).append(label)
    if not groups:
        return None
    parts = [f"{', '.join(names)}: {abs(by):,} {'fewer' if by < 0 else 'more'}" for by, names in groups.items()]
    before = f", {step:,} of them before the rewind step" if step else ""
    starts = arm_starts(file)
    cut = any(starts[label].step > 0 and not starts[label].continues for by in groups if by < 0 for label in groups[by])
    remedy = "; `start = 0` gives an arm the whole schedule" if step and cut else ""
    return (
        f"training steps after round 0: the ticket has had {trained_steps(file, 'ticket'):,} in all{before}; "
        f"{'; '.join(parts)}{remedy}"
    )


def _growing_steps(file: Mapping[str, Any]) -> str:
    """As `steps_sentence`, where the ticket's steps add up from round to round."""
    starts = arm_starts(file)
    ticket = starts["ticket"]
    groups: dict[tuple[int, int], list[str]] = {}
    for label in arms_by_label(file["config"]):
        start = starts[label]
        if (start.in_all(1), start.more) != (ticket.in_all(1), ticket.more):
            groups.setdefault((start.in_all(1), start.more), []).append(label)
    others = [
        f"{', '.join(names)}: {first:,} after round 1, and {more:,} more after each further round"
        if more
        else f"{', '.join(names)}: {first:,} in every round"
        for (first, more), names in groups.items()
    ]
    arms, kind = arms_by_label(file["config"]), file["config"]["rewind"]["kind"]
    untrained = [
        label
        for label, arm in arms.items()
        if (entry := arm_entry(arm)) is not None and entry.has_own_mask and entry.values == REWOUND
    ]
    if untrained:
        others.append(
            f"{', '.join(untrained)}: from the initial values, since the trained values of pruned weights are gone"
        )
    if kind == "none" and any(start.more == 0 and start.step for start in starts.values()):
        others.append("`start = 0` gives an arm the whole schedule")
    return "; ".join(
        [
            f'training steps (rewind.kind = "{kind}": tickets keep their trained values): after round 1 the ticket has '
            f"had {ticket.in_all(1):,} in all, and {ticket.more:,} more after each further round",
            *others,
        ]
    )
