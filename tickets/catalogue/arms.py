"""The arms that a campaign file can name: a mask rule and a value rule each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

OwnRole = Literal["control", "measurement"]  # of an arm with a rule of the user's
Role = Literal["ticket", OwnRole]
# The values of the pruned weights of a network: 0; theta0; or 0 for those that training had moved towards 0 when they
# were pruned, and theta0 for the others.
Pruned = Literal["zero", "initial", "zero_if_shrunk"]


@dataclass(frozen=True)
class ArmEntry:
    """An arm that a campaign file can name: a mask rule and a value rule.

    Parameters
    ----------
    mask
        "module:function" of its mask rule.
    values
        "module:function" of its value rule.
    summary
        The line that `tickets list` prints.
    role
        A control differs from the ticket in its mask or its initial values. A measurement is the ticket trained again:
        it shows how far two trainings of one network differ.
    random
        Whether it can be drawn more than once in a replicate.
    own_order
        Whether each of its draws has a data order of its own. All other arms of a replicate share one.
    pruned
        The values of the pruned weights, unless the campaign file says otherwise.
    by_tensor
        Of an arm of the catalogue with a mask of its own: whether it keeps as many weights as the round's mask in each
        tensor, and not only in all.
    train
        The keys of [train] that it has of its own, unless the campaign file says otherwise.
    learned
        Whether its mask is what is trained, and its weights stay as they are.
    scaled
        Whether its networks have the architecture of the run's model with narrower hidden layers, and no mask: see
        `tickets.small_dense`. Its rules then get an `Origin` of that network.
    """

    mask: str
    values: str
    summary: str
    role: Role = "control"
    random: bool = False
    own_order: bool = False
    pruned: Pruned = "zero"
    by_tensor: bool = True
    train: Mapping[str, Any] = field(default_factory=dict, hash=False)
    learned: bool = False

    @property
    def continues(self) -> bool:
        """Whether it goes on from the rewind step with the optimizer state of that step, unless it starts at 0."""
        return self.values == ARMS["ticket"].values

    scaled: bool = False

    @property
    def has_own_mask(self) -> bool:
        """Whether it has a mask, and that is not the round's."""
        return self.mask != ARMS["ticket"].mask and not self.scaled

    @property
    def rules(self) -> Mapping[str, str]:
        """Its two rules by the keys of a campaign file."""
        return {"mask": self.mask, "values": self.values}

    @property
    def targets(self) -> tuple[str, ...]:
        """The functions whose options it has."""
        return (self.mask, self.values)

    @property
    def defaults(self) -> Mapping[str, Any]:
        """Defaults of the keys that every arm has."""
        return {"pruned": self.pruned}

    @property
    def fixed(self) -> Mapping[str, Any]:
        """Keys that only arms with rules of the user's can give, with the values they have here."""
        return {**self.rules, "role": self.role}


_SGD: Mapping[str, Any] = {"optimizer": "sgd", "momentum": 0.9, "milestones": ()}

ARMS: Mapping[str, ArmEntry] = {
    "ticket": ArmEntry(
        mask="tickets.arms:round_mask",
        values="tickets.arms:rewound",
        role="ticket",
        summary="the round's mask, the rewound values",
    ),
    "reinit": ArmEntry(
        mask="tickets.arms:round_mask",
        values="tickets.arms:fresh_draw",
        random=True,
        summary="the round's mask, a fresh draw from the model's initial distribution",
    ),
    "shuffle": ArmEntry(
        mask="tickets.arms:round_mask",
        values="tickets.arms:shuffled",
        random=True,
        summary="the round's mask, the surviving values permuted within each tensor",
    ),
    "constant": ArmEntry(
        mask="tickets.arms:round_mask",
        values="tickets.arms:constant",
        summary="the round's mask, every weight the same value",
    ),
    "sign_constant": ArmEntry(
        mask="tickets.arms:round_mask",
        values="tickets.arms:sign_constant",
        summary="the round's mask, sign(theta0) x the standard deviation of the tensor's theta0",
    ),
    "random_sign_constant": ArmEntry(
        mask="tickets.arms:round_mask",
        values="tickets.arms:random_sign_constant",
        random=True,
        summary="the round's mask, sign_constant with signs drawn at random",
    ),
    "sign_reinit": ArmEntry(
        mask="tickets.arms:round_mask",
        values="tickets.sign_arms:sign_reinit",
        random=True,
        summary="the round's mask, a fresh draw with the signs of theta0 (Zhou et al. 2019)",
    ),
    "sign_shuffle": ArmEntry(
        mask="tickets.arms:round_mask",
        values="tickets.sign_arms:sign_shuffle",
        random=True,
        summary="the round's mask, the surviving values permuted among those of the same sign in each tensor",
    ),
    "frozen": ArmEntry(
        mask="tickets.arms:round_mask",
        values="tickets.arms:rewound",
        pruned="initial",
        summary="the ticket with its pruned weights held at theta0, not at 0 (Zhou et al. 2019)",
    ),
    "random_mask": ArmEntry(
        mask="tickets.arms:random_mask",
        values="tickets.arms:rewound",
        random=True,
        summary="as many weights per tensor at random places, the rewound values there",
    ),
    "random_mask_reinit": ArmEntry(
        mask="tickets.arms:random_mask",
        values="tickets.arms:fresh_draw",
        random=True,
        summary="the same random places, a fresh draw",
    ),
    "pruned_at_init": ArmEntry(
        mask="tickets.pruned_at_init:pruned_at_init",
        values="tickets.arms:rewound",
        random=True,
        by_tensor=False,
        summary="a mask computed from theta0 alone by a score (Frankle et al. 2021), the rewound values there",
    ),
    "pruned_at_init_reinit": ArmEntry(
        mask="tickets.pruned_at_init:pruned_at_init",
        values="tickets.arms:fresh_draw",
        random=True,
        by_tensor=False,
        summary="the same mask, a fresh draw",
    ),
    "reorder": ArmEntry(
        mask="tickets.arms:round_mask",
        values="tickets.arms:rewound",
        role="measurement",
        random=True,
        own_order=True,
        summary="the ticket, with the training examples in another order",
    ),
    "repeat": ArmEntry(
        mask="tickets.arms:round_mask",
        values="tickets.arms:rewound",
        role="measurement",
        summary="the ticket once more, in the same data order: the effect of rounding alone",
    ),
    "supermask": ArmEntry(
        mask="tickets.learned.rules:supermask_mask",
        values="tickets.learned.rules:supermask_values",
        random=True,
        train={**_SGD, "learning_rate": 100.0, "weight_decay": 0.0, "schedule": "constant"},
        learned=True,
        summary="theta0 stays, the mask is trained: Bernoulli samples (Zhou et al. 2019)",
    ),
    "edge_popup": ArmEntry(
        mask="tickets.learned.rules:edge_popup_mask",
        values="tickets.learned.rules:edge_popup_values",
        random=True,
        train={**_SGD, "learning_rate": 0.1, "weight_decay": 1e-4, "schedule": "cosine"},
        learned=True,
        summary="Kaiming weights stay, the mask is trained: the highest scores (Ramanujan et al. 2020)",
    ),
    "small_dense": ArmEntry(
        mask="tickets.small_dense:every_weight",
        values="tickets.small_dense:own_draw",
        random=True,
        scaled=True,
        summary="no mask: narrower layers with as many weights as the ticket has left (Ma et al. 2021)",
    ),
}


def kind_of_stack(pruned: Pruned) -> Pruned:
    """Networks whose pruned weights keep other values than 0 train alike, whatever these are: as "initial"."""
    return "zero" if pruned == "zero" else "initial"


def arm_entry(arm: Mapping[str, Any]) -> ArmEntry | None:
    """The entry of an arm's table in a campaign file or in run.json; None for an unknown name.

    For an arm with user-defined rules, a new entry is created; a missing rule defaults to the ticket's. A measurement
    of the catalogue with settings of its own (`train`, `pruned`) is a control.
    """
    given = {key: arm[key] for key in ("mask", "values", "role", "pruned") if arm.get(key) is not None}
    entry = ARMS.get(arm["name"])
    # A run that was saved before the catalogue had this name may have rules of the user's under it.
    if entry is not None and all(given.get(key, rule) == rule for key, rule in entry.rules.items()):
        entry = replace(entry, pruned=given["pruned"]) if "pruned" in given else entry
        # Trained in another way, it no longer shows how far two trainings of the ticket differ.
        changed = entry.pruned != "zero" or bool(arm.get("train"))
        return replace(entry, role="control") if entry.role == "measurement" and changed else entry
    if "mask" not in given and "values" not in given:
        return None
    ticket = ARMS["ticket"]
    return ArmEntry(**{"mask": ticket.mask, "values": ticket.values, **given}, summary="", random=True)
