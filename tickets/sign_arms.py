"""Value rules that draw or permute the surviving weights and keep the sign of each (Zhou et al. 2019, section 4.1)."""

from __future__ import annotations

import torch

from tickets.arms import Origin, Start, Tensors, untrained
from tickets.config.types import Zero


def sign_reinit(origin: Origin, mask: Tensors, *, start: Zero | None = None) -> Start:
    """A fresh draw whose weights have the signs of theta0: |fresh| x sign(theta0), which is 0 where theta0 is 0.

    Biases and normalisation parameters are those of the fresh draw.
    """
    values = origin.fresh(origin.stream("sign_reinit"))
    signed = {name: values[name].abs() * origin.theta0[name].sign() for name in mask}
    return untrained(origin, {**values, **signed}, start)


def sign_shuffle(origin: Origin, mask: Tensors, *, start: Zero | None = None) -> Start:
    """The rewound surviving values of each tensor, permuted among those of the same sign.

    Positive values are permuted among the places of positive values, negative ones among those of negative ones; zeros
    stay. Zhou et al. permute the magnitudes over all survivors and give each place its sign back: the same magnitudes
    and signs, but not the same values.
    """
    generator = torch.Generator().manual_seed(origin.stream("sign_shuffle"))
    values = dict(origin.rewound)
    for name, kept in mask.items():
        values[name] = origin.rewound[name].clone()
        for places in (kept & (origin.rewound[name] > 0), kept & (origin.rewound[name] < 0)):
            same = origin.rewound[name][places]
            values[name][places] = same[torch.randperm(same.numel(), generator=generator)]
    return untrained(origin, values, start)
