"""Compare `shrunk.safetensors` of a round with the masks, and with the trained values of the rounds before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from tickets.shrunk import shrunk_after
from tickets.store.arrays import Array, expand
from tickets.store.contents import Masks, Network, Values
from tickets.store.layout import Layout


def none_shrunk(of_round: Masks) -> Masks:
    """Of round 0, in which nothing is pruned."""
    return {
        replicate: {name: np.zeros_like(mask) for name, mask in by_name.items()}
        for replicate, by_name in of_round.items()
    }


def shrunk_problems(found: Masks, of_round: Masks, wanted: Masks | None) -> Iterator[str]:
    """A replicate or tensor is missing, a surviving weight is marked, or a mark is not what the rounds before say.

    Parameters
    ----------
    found
        What the file says.
    of_round
        The masks of the round.
    wanted
        What follows from the rounds before; None if it is not known.
    """
    if found.keys() != of_round.keys():
        yield f"has replicates {sorted(found)}, not {sorted(of_round)}"
    for replicate in sorted(found.keys() & of_round.keys()):
        for name, mask in of_round[replicate].items():
            marked = found[replicate].get(name)
            if marked is None or marked.shape != mask.shape:
                yield f"replicate {replicate}: {name} is missing, or is not of the shape of its mask"
            elif (kept := int(np.count_nonzero(marked & mask))) > 0:
                yield f"replicate {replicate}: {kept} surviving weights of {name} are marked as pruned"
            elif wanted is not None and not np.array_equal(marked, wanted[replicate][name]):
                differ = int(np.count_nonzero(marked != wanted[replicate][name]))
                yield (
                    f"replicate {replicate}: {differ} marks of {name} are not what the trained values of the rounds "
                    "before say"
                )


def following_shrunk(
    trained: Mapping[Network, Mapping[str, Array]],
    before: Masks | None,
    initial: Values | None,
    of_round: Masks | None,
    announced: Masks | None,
) -> Masks | None:
    """Which pruned weights had shrunk when they were pruned after this round or before; None where it is not known.

    Parameters
    ----------
    trained
        The surviving values after training, of each network.
    before
        Those that had shrunk before the round.
    initial
        The initial values.
    of_round, announced
        The masks of the round, and of the next.
    """
    if before is None or initial is None or of_round is None or announced is None:
        return None
    ends = {replicate: trained.get((replicate, Layout.TICKET, 0), {}) for replicate in of_round}
    known = all(
        name in ends[replicate] and ends[replicate][name].shape == (np.count_nonzero(mask),)
        for replicate, by_name in of_round.items()
        for name, mask in by_name.items()
    )
    if not known or not before.keys() == initial.keys() == of_round.keys() == announced.keys():
        return None
    return {
        replicate: shrunk_after(
            before[replicate],
            initial[replicate],
            {name: expand(ends[replicate][name], mask) for name, mask in by_name.items()},
            by_name,
            announced[replicate],
        )
        for replicate, by_name in of_round.items()
    }
