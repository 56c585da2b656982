"""A planted ticket as the measure of a pruner: what each arm keeps of it, and down to which density it is met."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from .intervals import paired_interval
from .labels import CLASSIFICATION, Labels
from .metrics import SHARE, margins
from .pairs import LEFT_OUT, TICKET, by_replicate
from .summary import mean_density

MASKS = ("kept", "by_chance", "precision", "jaccard")
"""Columns of the probe that are of the masks."""


def planted_by_density(
    rounds: pd.DataFrame,
    planted: pd.DataFrame,
    metric: str = CLASSIFICATION.metric,
    share: float = SHARE,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Each arm beside the planted ticket: a row per round and arm, means over replicates.

    Parameters
    ----------
    rounds : DataFrame
        The rows of one run.
    planted : DataFrame
        The table of its probe `planted`.
    metric : str
        The accuracy, or R2, of the arms.
    share : float
        The margin of equivalence, as a share of the dense networks' own test error.
    confidence : float
        Of the intervals, in (0, 1).

    Returns
    -------
    DataFrame
        | column | content |
        | --- | --- |
        | round, density, arm, n | which row; replicates with a value |
        | planted_density | density of the planted ticket |
        | kept, by_chance | share of the planted weights that survive; that of a mask at random places |
        | precision, jaccard | share of the survivors that are planted; the masks' Jaccard index |
        | accuracy, planted_accuracy | of the trained arm; of the planted ticket at its initial values |
        | difference | accuracy - planted_accuracy, in pairs |
        | low, high | the t-interval of the difference, of this row alone |
        | margin | margin of equivalence |
        | holds | whether the arm is no worse than the planted ticket: "yes" if low >= -margin, "no" if |
        |       | high < -margin, else "cannot tell" |

        Rounds that were trained before the probe was named have no rows.
    """
    keys = ["round", "arm"]
    each = by_replicate(rounds, metric)[[*keys, "replicate", LEFT_OUT]]
    columns = ["density", *MASKS, "planted_density", "planted_accuracy"]
    probed = planted.groupby([*keys, "replicate"], sort=False)[columns].mean().reset_index()
    pairs = probed.merge(each, on=[*keys, "replicate"], how="left")
    pairs["difference"] = pairs[LEFT_OUT] - pairs["planted_accuracy"]
    grouped = pairs.groupby(keys, sort=False)
    table = grouped[[*columns, "difference"]].mean()
    for column in ("density", "planted_density"):
        table[column] = mean_density(grouped[column])
    table["accuracy"], table["n"] = grouped[LEFT_OUT].mean(), grouped[LEFT_OUT].count()
    wide = pairs.pivot(index=keys, columns="replicate", values="difference").loc[table.index]
    _, low, high = paired_interval(wide, confidence)
    table["low"], table["high"] = low, high
    table["margin"] = margins(rounds, metric, share=share).iloc[0]
    table["holds"] = np.select([low >= -table["margin"], high < -table["margin"]], ["yes", "no"], "cannot tell")
    order = [
        "round", "density", "arm", "n", "planted_density", *MASKS, "accuracy", "planted_accuracy", "difference",
        "low", "high", "margin", "holds",
    ]  # fmt: skip
    return table.reset_index().sort_values("round", kind="stable", ignore_index=True)[order]


def planted_sentences(data: pd.DataFrame, labels: Labels = CLASSIFICATION) -> list[str]:
    """What a run says of its planted ticket, in a line or two.

    The first says down to which density the ticket is shown to be as accurate as the planted one: the last round, from
    the dense network on, before the first that is not a "yes". Rounds that are tested in a fixed order until the first
    failure need no wider intervals: the chance that the line names too low a density is at most half of 1 - confidence
    (Maurer, Hothorn and Lehmacher 1995). The second says how much of the planted mask the ticket holds at the round
    whose density is nearest to the planted one, on a log scale.

    Parameters
    ----------
    data : DataFrame
        As `planted_by_density` returns.
    labels : Labels
        Names and units.
    """
    ticket = data[(data["arm"] == TICKET) & (data["density"] > 0)].sort_values("round")
    if ticket.empty:
        return []
    label = labels.accuracy
    planted = label.value_text(float(ticket["planted_accuracy"].iloc[0]))
    margin = f"{label.factor * float(ticket['margin'].iloc[0]):.3g} {label.difference}".strip()
    as_planted = f"the planted ticket's {label.name} ({planted}, less a margin of {margin})"
    shown = ticket[(ticket["holds"] != "yes").cumsum() == 0]
    after = ticket.iloc[len(shown) :]
    if len(shown):
        first = f"the ticket is shown to have {as_planted} down to density {shown['density'].iloc[-1]:.4f}"
    else:
        first = f"not even the dense network is shown to have {as_planted}"
    if len(after):
        texts = [float(after[name].iloc[0]) for name in ("difference", "low", "high")]
        difference = f"{label.difference_text(*texts)} {label.difference}".rstrip()
        first += f"; at {after['density'].iloc[0]:.4f} its own is {difference} from that ({after['holds'].iloc[0]})"
    own = float(ticket["planted_density"].iloc[0])
    near = ticket.loc[[(ticket["density"].map(math.log) - math.log(own)).abs().idxmin()]].iloc[0]
    second = (
        f"the planted ticket has density {own:.4f}; at {near['density']:.4f}, the nearest round, the ticket holds "
        f"{100 * near['kept']:.1f} % of the planted weights ({100 * near['by_chance']:.1f} % by chance), with "
        f"{label.name} {label.value_text(float(near['accuracy']))}"
    )
    return [f"{first}.", f"{second}."]
