"""How a mask is learned: what the arms `supermask` and `edge_popup` differ in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Method = Literal["supermask", "edge_popup"]


@dataclass(frozen=True)
class Learning:
    """How a mask is learned. Networks that share one train as one stack.

    Parameters
    ----------
    method
        "edge_popup": each step is taken with the weights whose scores are the highest in absolute value, and the choice
        counts as the identity on the way back (Ramanujan et al. 2020). "supermask": each step is taken with a sample
        of Bernoulli variables, whose probabilities are the sigmoids of the scores (Zhou et al. 2019).
    rescale
        Whether each tensor's weights are multiplied by n_all / n_kept, the inverse of the density of its mask ("dynamic
        weight rescaling", Zhou et al. 2019).
    samples
        Of masks by which a supermask is evaluated at the steps between the first and the last; 0: by the one that is
        saved, as at both ends.
    """

    method: Method
    rescale: bool = False
    samples: int = 0
