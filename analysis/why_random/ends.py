"""The ends of trainings: whether two trainings end at the same network and, if not, how far apart they end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from tickets.catalogue import ARMS
from tickets.roles import arms_by_label
from tickets.store import Saved

from ..pairs import TICKET

AGAINST = ("repeat", "reorder", "reinit")
"""The arms that train the ticket's network again: from its start or another one, in its data order or another one."""

COLUMNS = [
    "run", "replicate", "against", "other", "draw", "same_start", "same_order", "identical", "distance",
    "accuracy_difference",
]  # fmt: skip

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class End:
    """A training's initial and trained values, all parameters in one vector each, and its final test accuracy."""

    start: Array
    end: Array
    accuracy: float


def ends(saved: Saved, run: str) -> pd.DataFrame:
    """Compare the ends of pairs of dense trainings of a run: a row per pair.

    Every ticket of round 0 is compared with its `repeat`, each draw of its `reorder` and `reinit`, and with the
    tickets of all later replicates (`against` is then `ticket`). Of several arms with one of these names, the first.

    Parameters
    ----------
    saved : Saved
        The campaign.
    run : str
        The run's id.

    Returns
    -------
    DataFrame
        Without rows if no trained values were saved.

        | column | content |
        | --- | --- |
        | run, replicate, other | the run, the first training's replicate and the second one's |
        | against, draw | the second training's arm |
        | same_start | both start at the same numbers, bit for bit |
        | same_order | both see the same examples in the same order |
        | identical | both end at the same numbers, bit for bit |
        | distance | L2 distance between the ends / distance travelled, over all parameters |
        | accuracy_difference | test accuracy at the last step, second minus first, a fraction |

        The distance travelled is that from the ticket's start to its end; of two tickets, the mean of both. `distance`
        is NaN if it is 0 or not finite.

    Raises
    ------
    InputError
        If the run's values are damaged.
    """
    rows, names = saved.rounds, arm_names(saved.config(run))
    arms = rows["arm"].map(lambda label: names.get(label, label))
    dense = rows[(rows["run"] == run) & (rows["round"] == 0) & arms.isin([TICKET, *AGAINST])]
    found: dict[tuple[str, int, int], End] = {}
    columns = (dense[name] for name in ("arm", "draw", "replicate", "final_test_accuracy"))
    for arm, draw, replicate, accuracy in zip(*columns, strict=True):
        network = saved.arm(str(arm), int(replicate), 0, int(draw), run)
        if network.trained is not None:
            found[names.get(arm, arm), int(draw), int(replicate)] = End(
                _vector(network.values), _vector(network.trained), float(accuracy)
            )
    return pd.DataFrame([(run, *row) for row in _pairs(found)], columns=COLUMNS)


def why_no_ends(config: Mapping[str, Any]) -> str | None:
    """Why the ends of a run's trainings cannot be compared, or None if they can.

    Parameters
    ----------
    config : mapping
        The run's configuration.
    """
    stored = config.get("store", {}).get("trained")
    if stored != "all":
        return f'the trained values of its repeats were not saved (store.trained = "{stored}"); set it to "all"'
    if not set(arm_names(config).values()) & set(AGAINST):
        return f"nothing was trained twice; add {', '.join(AGAINST)} to `arms`"
    return None


def arm_names(config: Mapping[str, Any]) -> dict[str, str]:
    """{label: catalogue name} of a run's arms; "" for a second arm with the same name.

    Two arms with one name may be the same training in round 0, which must not count twice.
    """
    names: dict[str, str] = {}
    for label, arm in arms_by_label(config).items():
        name = str(arm["name"])
        names[label] = "" if name in names.values() else name
    return names


def compared(one: End, other: End, travelled: float) -> tuple[bool, bool, float, float]:
    """Compare the ends of two trainings.

    Parameters
    ----------
    one, other : End
        The trainings.
    travelled : float
        The unit of distance.

    Returns
    -------
    same_start, identical : bool
    distance, accuracy_difference : float
        As in `ends`.
    """
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
    """All floating-point values of a network in one vector; counters are left out."""
    parts = [array.ravel() for array in values.values() if np.issubdtype(array.dtype, np.floating)]
    return np.concatenate(parts) if parts else np.empty(0, np.float32)


def _length(one: Array, other: Array) -> float:
    # numpy.linalg.norm starts threads, which cost more than they save on small networks.
    with np.errstate(over="ignore", invalid="ignore"):
        length = float(np.sqrt(np.sum(np.square(one.astype(np.float64) - other.astype(np.float64)))))
    # NaN for a training that diverged.
    return length if np.isfinite(length) else float("nan")


def _same(one: Array, other: Array) -> bool:
    return one.tobytes() == other.tobytes()
