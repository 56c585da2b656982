"""The figure of the distance between the ends of two trainings of a network, by what they do not share."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ...why_random import Study
from ..annotation import room_for, short_names, short_title
from ..figure import Drawn, FigureRecord
from ..look import drawing, nth_look
from ..panels import stacked

_ROW = 0.24  # inches
_SIZE = 9  # points
WAYS = ("all the same", "other order", "other start", "both other")
"""What two trainings do not share."""


def distances_between_ends(study: Study) -> pd.DataFrame:
    """Summarise `why_random.ends` by run and by what the two trainings do not share: a row per run and way.

    Parameters
    ----------
    study : Study
        As `study_of` returns.

    Returns
    -------
    DataFrame
        Columns setting, label, kind, run, way (one of `WAYS`), pairs, identical (bit for bit), distance (mean), least,
        most (range over the pairs, which are not independent, so that it is not an interval), accuracy_difference
        (mean) and accuracy_spread (standard deviation).
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
    """Draw the table of `distances_between_ends`: a row per start, a mark per way; bar: minimum to maximum."""
    settings = list(data["setting"].unique())
    labels = {setting: list(data.loc[data["setting"] == setting, "label"].unique()) for setting in settings}
    names = short_names(data["label"])
    left = room_for(names.values(), _SIZE) + 0.025
    figure, grid = stacked([_ROW * (len(labels[setting]) + 1) for setting in settings], left, right=0.97, above=0.55)
    looks = {way: nth_look(index) for index, way in enumerate(WAYS)}
    most = float(data["most"].max())
    for axes, setting in zip(grid, settings, strict=True):
        here = data[data["setting"] == setting]
        axes.set_title(short_title(setting))
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
        axes.set_xlabel("distance between ends / distance travelled")
    there = [way for way in WAYS if (data["way"] == way).any()]
    marks = [Line2D([], [], color=looks[way].colour, marker=looks[way].marker, linestyle="") for way in there]
    figure.legend(marks, there, loc="upper left", ncols=4, handletextpad=0.1, columnspacing=1.2)
    return figure


def describe_distances_between_ends(data: pd.DataFrame) -> str:
    """The text alternative of the figure."""
    parts = []
    for setting, here in data.groupby("setting", sort=False):
        starts = []
        for label, rows in here.groupby("label", sort=False):
            ways = ", ".join(
                f"{row['way']} {row['distance']:.2g} ({row['identical']} of {row['pairs']} identical)"
                for row in rows.to_dict("records")
            )
            starts.append(f"{label}: {ways}")
        parts.append(f"{setting}: {'; '.join(starts)}")
    return (
        "Distance between the ends of two trainings / distance travelled, by what they do not share, mean over pairs. "
        f"{'. '.join(parts)}."
    )


def _make(study: Study) -> Drawn | str:
    if study.ends.empty:
        return [*study.no_ends.values(), *study.damaged.values(), "no dense network was trained twice"][0]
    data = distances_between_ends(study)
    return Drawn(
        figure=draw_distances_between_ends(data),
        data=data,
        description=describe_distances_between_ends(data),
        caption=(
            "Distance between the ends of two dense trainings / distance from start to end. Mark: mean over pairs; "
            "bar: minimum to maximum. 0 is the same network. With dropout the noise differs, also where everything "
            "else is the same."
        ),
        code="data = report.distances_between_ends(study)\nfigure = report.draw_distances_between_ends(data)",
    )


FIGURE = FigureRecord("ends", "Distance between the ends of two trainings", _make)
