"""Whether replicates keep the same weights: the overlap of their masks, against that expected by chance."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from .labels import label_ends, short_names
from .layout import two_panels
from .look import drawing, look_of_tensor, nth_look
from .masks import Mask, Masks, density_of
from .ticks import density_axis, within

ALL = "all"

_MOST_LABELS = 8


def overlap(masks: Masks) -> pd.DataFrame:
    """Jaccard's index of the masks of two replicates, |A and B| / |A or B|: a row per round and tensor.

    Columns: round, density, tensor (`all`: every prunable weight together), pairs, jaccard (mean over the pairs of
    replicates), least, most (over the pairs, which are not independent: a range, and no interval), chance.

    chance: of two masks that keep k1 and k2 of a tensor's n weights at independent, uniformly random places, the
    number common to both is hypergeometric with mean m = k1 k2 / n. Expected is taken to be the ratio of the
    means, m / (k1 + k2 - m); of `all`, sum of m / sum of (k1 + k2 - m) over tensors, since each keeps its own
    count. The mean of the ratio itself lies within about its variance over m of this. Rows of fewer than two
    replicates are left out.
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
    """What `overlap` made, drawn: above, all prunable weights and chance (dashed); below, by tensor, over chance."""
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


def tell_overlap(data: pd.DataFrame) -> str:
    """What the figure shows, in words."""
    last = data[(data["tensor"] == ALL) & (data["round"] == data["round"].max())].iloc[0]
    pairs = int(last["pairs"])
    return (
        f"Overlap (Jaccard's index) of the masks of two replicates, against density, mean and range over {pairs} "
        f"pair{'s' if pairs > 1 else ''}. At density {last['density']:.4g} it is {last['jaccard']:.3f} "
        f"[{last['least']:.3f} to {last['most']:.3f}], by chance {last['chance']:.3f} would be expected."
    )


def _counts(one: Mask, other: Mask) -> tuple[float, float, float, float]:
    """In both, in either, and the two numbers expected by chance."""
    kept, too, both = int(one.sum()), int(other.sum()), int((one & other).sum())
    met = kept * too / one.size
    return both, kept + too - both, met, kept + too - met
