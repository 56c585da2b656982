"""The probe `signs`: how many surviving weights have changed their sign, and how many have the dense network's."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd
from torch import Tensor

from tickets.errors import InputError
from tickets.probes.networks import Networks
from tickets.probes.probe import at_steps, working_memory
from tickets.stack.anatomy import Anatomy

ALL = "all"


def sign_bytes(anatomy: Anatomy) -> int:
    """Bytes that measuring one network takes: the signs of its prunable weights, now, at first and in the dense one."""
    return 16 * sum(math.prod(tensor.shape) for tensor in anatomy.prunable)


@at_steps
@working_memory(sign_bytes)
def signs(networks: Networks, dense: bool = True) -> pd.DataFrame:
    """Compare the signs of surviving weights with those before training and with the dense network's after training.

    A row for each network and prunable tensor, in the model's order, after a row of all of them together.

    | column | meaning |
    | --- | --- |
    | tensor | the name of the tensor, or "all" |
    | survivors | its surviving weights |
    | flipped | the share of them whose sign is not the one that it was before training, in [0, 1] |
    | as_dense | the share of them that have the sign of the dense network after training, in [0, 1] |
    | zero | the share of them that are exactly 0, in [0, 1] |

    The sign of 0 is 0, which is neither + nor -: a weight that starts at 0 has changed its sign once it moves, and
    agrees with the dense network only where that is 0, too. The dense network is the same replicate's ticket of round
    0 at its last step. `as_dense` is NaN in round 0 itself, where the dense network diverged, for networks of another
    architecture, and everywhere with `dense = false`. Shares of no weight, and those of a network with a value that is
    not finite, are NaN.

    Parameters
    ----------
    networks
        The networks.
    dense
        Whether to compare with the dense network, whose trained values must then be stored.

    Raises
    ------
    InputError
        If the trained values of round 0 are not stored.

    Source: Zhou, Lan, Liu & Yosinski (2019), section 4; Frankle, Schwab & Morcos (2020), section 4.
    """
    # Arms that were added to round 0 later would find its ticket there, those of the first training do not.
    ends = _dense_ends(networks) if dense and networks.round > 0 else {}
    finite = networks.finite.tolist()
    rows = []
    for index, label in enumerate(networks.labels):
        found = {
            name: _counts(
                mask[index], networks.values[name][index], networks.initial[name][index], ends, label.replicate, name
            )
            for name, mask in networks.masks.items()
        }
        for name, counts in {ALL: _total(found), **found}.items():
            rows.append({"network": index, "tensor": name, **counts.shares(finite[index])})
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class _Counts:
    """Surviving weights of a tensor, and how many of them are what; agree is None where there is no dense network."""

    survivors: int
    flipped: int
    agree: int | None
    zero: int

    def shares(self, finite: bool) -> dict[str, float]:
        """The columns."""

        def share(count: int | None) -> float:
            return count / self.survivors if finite and count is not None and self.survivors else float("nan")

        return {
            "survivors": self.survivors,
            "flipped": share(self.flipped),
            "as_dense": share(self.agree),
            "zero": share(self.zero),
        }


def _dense_ends(networks: Networks) -> dict[int, Mapping[str, Tensor]]:
    """Of each replicate, the trained values of the dense network, if it did not diverge."""
    try:
        dense = networks.earlier(0)
    except InputError as error:
        raise InputError(
            [f"probe 'signs': {problem}, or leave the comparison out: dense = false" for problem in error.problems]
        ) from error
    if dense is None:
        return {}
    finite = dense.finite.tolist()
    return {
        label.replicate: {name: values[place] for name, values in dense.values.items()}
        for place, label in enumerate(dense.labels)
        if label.arm == "ticket" and finite[place]
    }


def _counts(
    mask: Tensor,
    now: Tensor,
    first: Tensor,
    ends: Mapping[int, Mapping[str, Tensor]],
    replicate: int,
    name: str,
) -> _Counts:
    end = ends.get(replicate, {}).get(name)
    sign = now[mask].sign()
    agree = None if end is None or end.shape != now.shape else int((sign == end[mask].sign()).sum())
    return _Counts(len(sign), int((sign != first[mask].sign()).sum()), agree, int((sign == 0).sum()))


def _total(counts: Mapping[str, _Counts]) -> _Counts:
    every = list(counts.values())
    agree = [one.agree for one in every if one.agree is not None]
    return _Counts(
        sum(one.survivors for one in every),
        sum(one.flipped for one in every),
        sum(agree) if len(agree) == len(every) else None,
        sum(one.zero for one in every),
    )
