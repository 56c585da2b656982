"""The figure of the overlap of two replicates' masks, compared with the overlap expected by chance."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..annotation import label_ends, short_names
from ..figure import Drawn, FigureRecord
from ..look import drawing, look_of_tensor, nth_look
from ..masks import Mask, Masks, density_of
from ..panels import two_panels
from ..run_data import RunData
from ..ticks import density_axis, within

ALL = "all"
"""The name of all prunable weights together, among the tensors."""

_MOST_LABELS = 8


def overlap(masks: Masks) -> pd.DataFrame:
    """Jaccard index of the masks of two replicates, |A and B| / |A or B|: a row per round and tensor.

    Parameters
    ----------
    masks : mapping
        As `read_masks` returns.

    Returns
    -------
    DataFrame
        Without rows for rounds of fewer than two replicates.

        | column | content |
        | --- | --- |
        | round, density | the round |
        | tensor | the tensor; `all`: every prunable weight together |
        | pairs | pairs of replicates |
        | jaccard | mean over the pairs |
        | least, most | range over the pairs, which are not independent, so that it is not an interval |
        | chance | expected for masks at random places |

    Notes
    -----
    Two masks that keep k1 and k2 of a tensor's n weights at independent, uniformly random places have a hypergeometric
    number of weights in common, with mean m = k1 k2 / n. `chance` is the ratio of means m / (k1 + k2 - m); for `all`,
    sum of m / sum of (k1 + k2 - m) over tensors, since each tensor keeps its own number. The mean of the ratio itself
    differs from it by about its variance over m.
    Source: Jaccard, Bull. Soc. Vaud. Sci. Nat. 37 (1901).
    """
    rows = []
    for number, by_replicate in masks.items():
        pairs = list(combinations(by_replicate.values(), 2))
        if not pairs:
            continue
        names = list(pairs[0][0])
        counts = np.array([[_counts(one[name], other[name]) for name in names] for one, other in pairs])
        sums = np.concatenate([counts, counts.sum(axis=1, keepdims=True)], axis=1)  # (pairs, tensors + all, 4)
        both, either, met, joined = np.moveaxis(sums, -1, 0)
        observed = both / np.maximum(either, 1)
        chance = (met / np.maximum(joined, 1e-300)).mean(axis=0)
        density = density_of(by_replicate)
        for place, name in enumerate([*names, ALL]):
            index = observed[:, place]
            row = (len(pairs), index.mean(), index.min(), index.max(), chance[place])
            rows.append((number, density, name, *row))
    return pd.DataFrame(rows, columns=["round", "density", "tensor", "pairs", "jaccard", "least", "most", "chance"])


@drawing
def draw_overlap(data: pd.DataFrame) -> Figure:
    """Draw the table of `overlap`: above, all prunable weights and chance (dashed); below, each tensor over chance."""
    names = [ALL, *(name for name in data["tensor"].unique() if name != ALL)]
    short = short_names(names)
    figure, (above, below) = two_panels(min(len(names), _MOST_LABELS))
    whole = data[data["tensor"] == ALL]
    seen, chance = nth_look(0), nth_look(3)
    density_axis(above, list(whole["density"]))
    above.set_ylim(0, 1)
    above.set(ylabel="overlap (Jaccard)", xlabel="")
    above.fill_between(whole["density"], whole["least"], whole["most"], color=seen.colour, alpha=0.2, linewidth=0)
    above.plot(whole["density"], whole["jaccard"], color=seen.colour, marker=seen.marker, clip_on=False)
    above.plot(whole["density"], whole["chance"], color=chance.colour, linestyle=(0, (4, 3)), clip_on=False)
    last = whole.iloc[-1]
    ends = [("replicates", last["density"], last["jaccard"], seen.colour)]
    label_ends(above, [*ends, ("by chance", last["density"], last["chance"], chance.colour)])
    density_axis(below, list(whole["density"]))
    below.set_ylabel("overlap / chance")
    below.axhline(1, color=chance.colour, linestyle=(0, (4, 3)), linewidth=1)
    ends = []
    for index, name in enumerate(names):
        rows = data[(data["tensor"] == name) & (data["chance"] > 0)]
        ratio, look = rows["jaccard"] / rows["chance"], look_of_tensor(index - 1) if index else seen
        below.plot(rows["density"], ratio, color=look.colour, marker=look.marker, clip_on=False)
        if len(rows) and (len(names) <= _MOST_LABELS or index in (0, 1, len(names) - 1)):
            ends.append((short[name], rows["density"].iloc[-1], ratio.iloc[-1], look.colour))
    within(below, low=0)
    label_ends(below, ends)
    return figure


def describe_overlap(data: pd.DataFrame) -> str:
    """The text alternative of the figure."""
    last = data[(data["tensor"] == ALL) & (data["round"] == data["round"].max())].iloc[0]
    pairs = int(last["pairs"])
    return (
        f"Overlap (Jaccard index) of the masks of two replicates against density, mean and range over {pairs} "
        f"pair{'s' if pairs > 1 else ''}. At density {last['density']:.4g} it is {last['jaccard']:.3f} "
        f"[{last['least']:.3f} to {last['most']:.3f}], {last['chance']:.3f} expected by chance."
    )


def _counts(one: Mask, other: Mask) -> tuple[float, float, float, float]:
    """Weights in both masks and in either mask, then the same two numbers as expected by chance."""
    first, second, both = int(one.sum()), int(other.sum()), int((one & other).sum())
    met = first * second / one.size
    return both, first + second - both, met, first + second - met


def _make(run: RunData) -> Drawn | str:
    data = overlap(run.masks)
    if data.empty:
        return "it takes two replicates"
    return Drawn(
        figure=draw_overlap(data),
        data=data,
        description=describe_overlap(data),
        caption=(
            "Above: |A and B| / |A or B| of all prunable weights, mean over pairs of replicates; band: minimum to "
            "maximum. By chance: masks that keep k1 and k2 of a tensor's n weights at random places have m = k1 k2 / n "
            "in common on average (hypergeometric), so the expected overlap is sum of m / sum of (k1 + k2 - m) over "
            "tensors, a ratio of means. Below: overlap / overlap expected by chance, by tensor."
        ),
        code="data = report.overlap(masks)\nfigure = report.draw_overlap(data)",
    )


FIGURE = FigureRecord("overlap", "Overlap of masks between replicates", _make)
