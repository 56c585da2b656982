"""Where trainings end: whether two end at the same network and, if not, how far apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from tickets.catalogue import ARMS
from tickets.store import Saved

from ..comparison import TICKET

AGAINST = ("repeat", "reorder", "reinit")
"""The arms that train the ticket's network once more, from the same start or another, in the same order or another."""

COLUMNS = [
    "run", "replicate", "against", "other", "draw", "same_start", "same_order", "identical", "distance",
    "accuracy_difference",
]  # fmt: skip

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class End:
    """A training's start and end, all parameters in one vector each, and its test accuracy at the last step."""

    start: Array
    end: Array
    accuracy: float


def ends(saved: Saved, run: str) -> pd.DataFrame:
    """Pairs of dense trainings of a run and how far apart they end: a row per pair; none if no ends were kept.

    Every ticket of round 0 is compared with its `repeat`, each draw of its `reorder` and `reinit`, and with the
    tickets of all later replicates (`against` is then `ticket`).

    | column | is |
    | --- | --- |
    | replicate, other | the first one's replicate and the second one's, which are equal within a replicate |
    | against, draw | the second one's arm |
    | same_start | both start at the same numbers, bit for bit |
    | same_order | both see the same examples in the same order |
    | identical | both end at the same numbers, bit for bit |
    | distance | abs(end - other end) / travelled, L2 norms of all parameters in one vector |
    | accuracy_difference | test accuracy at the last step, second minus first, a fraction |

    travelled is how far the ticket got from its start; of two tickets, the mean of both. NaN if it is 0 or not
    finite. Raises InputError if the run's values are damaged.
    """
    rows = saved.rounds
    dense = rows[(rows["run"] == run) & (rows["round"] == 0) & rows["arm"].isin([TICKET, *AGAINST])]
    found: dict[tuple[str, int, int], End] = {}
    columns = (dense[name] for name in ("arm", "draw", "replicate", "final_test_accuracy"))
    for arm, draw, replicate, accuracy in zip(*columns, strict=True):
        network = saved.arm(str(arm), int(replicate), 0, int(draw), run)
        if network.trained is not None:
            found[str(arm), int(draw), int(replicate)] = End(
                _vector(network.values), _vector(network.trained), float(accuracy)
            )
    return pd.DataFrame([(run, *row) for row in _pairs(found)], columns=COLUMNS)


def why_no_ends(config: Mapping[str, Any]) -> str | None:
    """Why the ends of a run's trainings cannot be compared, or None if they can."""
    kept = config.get("store", {}).get("trained")
    if kept != "all":
        return f'the trained values of its repeats were not kept (store.trained = "{kept}"); set it to "all"'
    arms = {arm if isinstance(arm, str) else arm["name"] for arm in config.get("arms", [])}
    if not arms & set(AGAINST):
        return f"nothing was trained twice; add {', '.join(AGAINST)} to `arms`"
    return None


def compared(one: End, other: End, travelled: float) -> tuple[bool, bool, float, float]:
    """(same_start, identical, distance, accuracy_difference) of two trainings; `travelled`: the unit of distance."""
    distance = _length(one.end, other.end) / travelled if travelled > 0 else float("nan")
    return _same(one.start, other.start), _same(one.end, other.end), distance, other.accuracy - one.accuracy


def _pairs(found: Mapping[tuple[str, int, int], End]) -> Iterator[tuple[Any, ...]]:
    tickets = {replicate: one for (arm, _, replicate), one in found.items() if arm == TICKET}
    far = {replicate: _length(one.start, one.end) for replicate, one in tickets.items()}
    for (arm, draw, replicate), other in found.items():
        if arm != TICKET and replicate in tickets:
            same_start, *rest = compared(tickets[replicate], other, far[replicate])
            yield replicate, arm, replicate, draw, same_start, not ARMS[arm].own_order, *rest
    for first, second in combinations(sorted(tickets), 2):
        same_start, *rest = compared(tickets[first], tickets[second], (far[first] + far[second]) / 2)
        yield first, TICKET, second, 0, same_start, False, *rest


def _vector(values: Mapping[str, Array]) -> Array:
    """All numbers of a network that training moves, one after the other; counters are not among them."""
    parts = [array.ravel() for array in values.values() if np.issubdtype(array.dtype, np.floating)]
    return np.concatenate(parts) if parts else np.empty(0, np.float32)


def _length(one: Array, other: Array) -> float:
    # A sum of its own, not the linear algebra library's, whose threads cost more than they save on small networks.
    with np.errstate(over="ignore", invalid="ignore"):
        length = float(np.sqrt(np.sum(np.square(one.astype(np.float64) - other.astype(np.float64)))))
    # A training that diverged has no length.
    return length if np.isfinite(length) else float("nan")


def _same(one: Array, other: Array) -> bool:
    return one.tobytes() == other.tobytes()
