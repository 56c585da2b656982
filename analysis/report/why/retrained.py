"""How far apart two trainings of a network end, by what they share."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ...why_random import Study
from ..labels import room_for, short_names
from ..layout import stacked
from ..look import drawing, nth_look

_ROW = 0.24  # inches
_SIZE = 9  # points
WAYS = ("all the same", "other order", "other start", "both other")


def distances_between_ends(study: Study) -> pd.DataFrame:
    """`why_random.ends` by run and by what the two trainings do not share: a row per run and way.

    Columns: setting, label, kind, run, way (one of WAYS), pairs, identical (bit for bit), distance, least, most (over
    the pairs, which are not independent: a range, and no interval), accuracy_difference (mean), accuracy_spread
    (standard deviation of the differences). A random start has no `repeat` of another start, and so on.
    """
    named = study.starts[["setting", "label", "kind", "run"]].merge(study.ends, on="run")
    shares = list(zip(named["same_start"].astype(bool), named["same_order"].astype(bool), strict=True))
    named["way"] = [WAYS[(not start) * 2 + (not order)] for start, order in shares]
    keys = ["setting", "label", "kind", "run", "way"]
    named["place"] = named["way"].map(WAYS.index)
    ordered = named.assign(run_place=pd.factorize(named["run"])[0]).sort_values(["run_place", "place"], kind="stable")
    grouped = ordered.groupby(keys, sort=False)
    return grouped.agg(
        pairs=("identical", "size"),
        identical=("identical", "sum"),
        distance=("distance", "mean"),
        least=("distance", "min"),
        most=("distance", "max"),
        accuracy_difference=("accuracy_difference", "mean"),
        accuracy_spread=("accuracy_difference", "std"),
    ).reset_index()


@drawing
def draw_distances_between_ends(data: pd.DataFrame) -> Figure:
    """What `distances_between_ends` made, drawn: a row a start, a mark for each way; bar: least to most."""
    settings = list(data["setting"].unique())
    labels = {setting: list(data.loc[data["setting"] == setting, "label"].unique()) for setting in settings}
    names = short_names(data["label"])
    left = room_for(names.values(), _SIZE) + 0.025
    figure, grid = stacked([_ROW * (len(labels[setting]) + 1) for setting in settings], left, right=0.97, above=0.55)
    looks = {way: nth_look(index) for index, way in enumerate(WAYS)}
    most = float(data["most"].max())
    for axes, setting in zip(grid, settings, strict=True):
        here = data[data["setting"] == setting]
        axes.set_title(setting)
        axes.set_xlim(0, 1.05 * most if most > 0 else 1)
        axes.set_ylim(len(labels[setting]) - 0.4, -0.6)
        axes.set_yticks(range(len(labels[setting])), [names[label] for label in labels[setting]], fontsize=_SIZE)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        for row in here.to_dict("records"):
            place, look = labels[setting].index(row["label"]), looks[row["way"]]
            axes.plot(
                [row["least"], row["most"]],
                [place, place],
                color=look.colour,
                linewidth=3.5,
                alpha=0.4,
                solid_capstyle="butt",
            )
            axes.plot(
                [row["distance"]],
                [place],
                color=look.colour,
                marker=look.marker,
                linestyle="",
                markersize=5,
                clip_on=False,
            )
        axes.set_xlabel("distance between ends / way travelled")
    there = [way for way in WAYS if (data["way"] == way).any()]
    marks = [Line2D([], [], color=looks[way].colour, marker=looks[way].marker, linestyle="") for way in there]
    figure.legend(marks, there, loc="upper left", ncols=4, handletextpad=0.1, columnspacing=1.2)
    return figure


def tell_distances_between_ends(data: pd.DataFrame) -> str:
    """What the figure shows, in words."""
    parts = []
    for setting, here in data.groupby("setting", sort=False):
        told = []
        for label, rows in here.groupby("label", sort=False):
            ways = ", ".join(
                f"{row['way']} {row['distance']:.2g} ({row['identical']} of {row['pairs']} identical)"
                for row in rows.to_dict("records")
            )
            told.append(f"{label}: {ways}")
        parts.append(f"{setting}: {'; '.join(told)}")
    return (
        "Distance between the ends of two trainings over the way travelled, by what they do not share, mean over "
        f"pairs. {'. '.join(parts)}."
    )
