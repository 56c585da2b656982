"""Rules of one's own for masks and starting values, and arms of a campaign that use them."""

from __future__ import annotations

import torch

from tickets.arms import Start

SELF = __name__


def largest(origin, *, by_tensor=False):
    """A mask from theta0 alone, at the round's density over all tensors or in each."""
    if by_tensor:
        return {name: top(origin.theta0[name].abs(), int(kept.sum())) for name, kept in origin.mask.items()}
    flat = torch.cat([origin.theta0[name].abs().flatten() for name in origin.mask])
    kept = top(flat, sum(int(mask.sum()) for mask in origin.mask.values()))
    parts = kept.split([mask.numel() for mask in origin.mask.values()])
    return {name: part.reshape(origin.mask[name].shape) for name, part in zip(origin.mask, parts, strict=True)}


def top(values, count):
    mask = torch.zeros(values.numel(), dtype=torch.bool)
    mask[values.flatten().argsort(descending=True, stable=True)[:count]] = True
    return mask.reshape(values.shape)


def learning_rate_rewound(origin, mask, *, factor=1.0):
    """Trained values, of which only the schedule goes back (Renda et al. 2020)."""
    recipe = origin.recipe.model_copy(update={"learning_rate": origin.recipe.learning_rate * factor})
    return Start(origin.trained, None, origin.step, recipe)


def tuned(origin, mask):
    return Start(origin.trained, recipe=origin.recipe.model_copy(update={"steps": 4, "evaluate_every": 2}))


def as_it_is(origin, mask):
    return Start(origin.rewound, origin.optimizer, origin.step)


def scaled(origin, mask, scale):
    return {name: value * scale if name in mask else value for name, value in origin.theta0.items()}


def large_batches(origin, mask):
    return Start(origin.theta0, recipe=origin.recipe.model_copy(update={"batch_size": 10**6}))


def own_of(home):
    """own(name, mask=..., values=...) is an arm with rules of the module `home`."""

    def own(name, **table):
        return {
            "name": name,
            **{key: f"{home}:{value}" if key in ("mask", "values") else value for key, value in table.items()},
        }

    return own


own = own_of(SELF)
LARGEST = own("largest", mask="largest")
EACH = own("largest", label="each", mask="largest", by_tensor=True, pruned="initial")
LATE = own("late", values="learning_rate_rewound", factor=0.5)
TUNED = own("tuned", values="tuned", role="measurement")
SCALED = own("scaled", values="scaled", scale=2, draws=2)
FROZEN = {"name": "held", "values": "tickets.arms:rewound", "pruned": "initial"}
PLACES = {"name": "random_mask", "label": "places", "pruned": "initial", "start": 0}
OWN = [LARGEST, EACH, LATE, TUNED, SCALED, FROZEN, PLACES]
ARMS = ["ticket", "reinit"]
BASE = {
    "rewind": {"step": 5}, "store": {"trained": "all"}, "train": {"weight_decay": 0.01, "evaluate_every": 5},
    "arms": [*ARMS, *OWN],
}  # fmt: skip
