"""The chapter about a whole campaign: what do untrained layers do to inputs?"""

from __future__ import annotations

from collections.abc import Collection

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from tickets.plurals import counted
from tickets.store import Saved

from ..labels import capitalised
from ..layers import MEASURES, layers, why_no_layers
from ..text import listed
from .annotation import legend_above, short_title
from .chapter import CampaignChapter, Chapter, Point, Summary
from .figure import Drawn, FigureRecord, head_of, plots_of
from .look import Look, drawing, nth_look
from .panels import panels
from .table import Table
from .ticks import plain_log

QUESTION = "what do untrained layers do to inputs?"
SHOWN = {"deviation": "deviation from Gaussian layers", "effective_rank": "effective rank"}
CAPTION = (
    "Deviation (log scale): root mean square, over pairs of inputs, of the cosine after the layer minus that after "
    "as many infinitely wide Gaussian layers (arc-cosine kernel, Cho & Saul 2009). Effective rank: of the layer's "
    "outputs. As training starts, of dense networks. Line: mean over replicates; band: 95 % t-interval of the mean; "
    "starts without randomness have none."
)


def layers_by_width(data: pd.DataFrame) -> pd.DataFrame:
    """Of the table of `layers`: the last hidden layer of the networks of the most common depth."""
    rows: pd.DataFrame = data[(data["depth"] == data["depth"].mode().iloc[0]) & (data["place"] == data["depth"])]
    return rows


def layers_by_depth(data: pd.DataFrame) -> pd.DataFrame:
    """Of the table of `layers`: all layers of the widest networks of the most common depth."""
    deep = data[data["depth"] == data["depth"].mode().iloc[0]]
    widest = deep.groupby(["setting", "start"])["width"].transform("max")
    rows: pd.DataFrame = deep[deep.groupby("run")["width"].transform("max") == widest]
    return rows


@drawing
def draw_layers(data: pd.DataFrame, along: str) -> Figure:
    """Draw deviation and effective rank: a row of panels per setting, a line per start.

    Parameters
    ----------
    data : DataFrame
        Rows of `layers`, at most one per setting, start, `along` and measure.
    along : str
        "width" (on a log scale) or "place".
    """
    settings, looks = list(data["setting"].unique()), _looks(data)
    figure, grid = panels(len(SHOWN) * len(settings), 2.4)
    places = [(setting, measure) for setting in settings for measure in SHOWN]
    for axes, (setting, measure) in zip(grid, places, strict=True):
        rows = data[(data["setting"] == setting) & (data["measure"] == measure)]
        _lines(axes, rows, along, looks)
        axes.set_title(f"{short_title(setting, 20)}: {measure.replace('_', ' ')}")
        axes.set_xlabel("units of each layer (log scale)" if along == "width" else "layer")
        if measure == "deviation" and bool((rows["mean"] > 0).all()):
            axes.set_yscale("log")
            axes.set_ylim(float(rows["mean"].min()) / 1.5, float(rows["mean"].max()) * 1.5)  # a band may reach 0
            plain_log(axes.yaxis, (1.0, 2.0, 5.0))
        else:
            axes.set_ylim(bottom=0)
    lines = [Line2D([], [], color=look.colour, marker=look.marker) for look in looks.values()]
    legend_above(figure, lines, list(looks))
    return figure


def _lines(axes: Axes, rows: pd.DataFrame, along: str, looks: dict[str, Look]) -> None:
    if along == "width":
        axes.set_xscale("log")
    for start, look in looks.items():
        own = rows[rows["start"] == start].sort_values(along)
        axes.fill_between(own[along], own["low"], own["high"], color=look.colour, alpha=0.16, linewidth=0)
        axes.plot(own[along], own["mean"], color=look.colour, marker=look.marker)
    if along == "width":
        plain_log(axes.xaxis, (1.0, 2.0, 5.0))
    axes.set_xticks(sorted(rows[along].unique()), [f"{value:g}" for value in sorted(rows[along].unique())])


def _looks(data: pd.DataFrame) -> dict[str, Look]:
    return {start: nth_look(place) for place, start in enumerate(data["start"].unique())}


def describe_layers(data: pd.DataFrame, along: str) -> str:
    """The text alternative of `draw_layers`."""
    parts = []
    for (setting, measure), rows in data[data["measure"].isin(SHOWN)].groupby(["setting", "measure"], sort=False):
        lines = [f"{start} {_course(own, along)}" for start, own in rows.groupby("start", sort=False)]
        parts.append(f"{setting}, {SHOWN[str(measure)]}: {'; '.join(lines)}")
    what = "units" if along == "width" else "layers"
    return f"Untrained dense networks, by {what}, mean over replicates. {'. '.join(parts)}."


def _course(rows: pd.DataFrame, along: str) -> str:
    return ", ".join(f"{row['mean']:.3g} at {row[along]}" for row in rows.sort_values(along).to_dict("records"))


def _make_width(data: pd.DataFrame) -> Drawn | str:
    rows = layers_by_width(data)
    if rows["width"].nunique() < 2:
        return "the networks have one width; sweep model.widths"
    return Drawn(
        figure=draw_layers(rows, "width"),
        data=rows,
        description=describe_layers(rows, "width"),
        caption=f"Of the last hidden layer. {CAPTION}",
        code='data = report.layers_by_width(layers)\nfigure = report.draw_layers(data, "width")',
    )


def _make_depth(data: pd.DataFrame) -> Drawn | str:
    rows = layers_by_depth(data)
    if rows["place"].nunique() < 2:
        return "the networks have one hidden layer"
    return Drawn(
        figure=draw_layers(rows, "place"),
        data=rows,
        description=describe_layers(rows, "place"),
        caption=f"Of the widest networks, by hidden layer. {CAPTION}",
        code='data = report.layers_by_depth(layers)\nfigure = report.draw_layers(data, "place")',
    )


LAYER_FIGURES: tuple[FigureRecord[pd.DataFrame], ...] = (
    FigureRecord("layers_by_width", "Angles and rank after the last layer, by width", _make_width),
    FigureRecord("layers_by_depth", "Angles and rank, layer by layer", _make_depth),
)


def chapter_of_layers(saved: Saved, without: Collection[str] = ()) -> Chapter:
    """The chapter of a campaign for which `why_no_layers` gives no reason.

    Raises
    ------
    InputError
        If it gives one, or a table is damaged.
    """
    data = layers(saved, without)
    head = head_of(str(saved.config(str(data["run"].iloc[0])).get("name", "campaign")), "layers as layers_of, report")
    plots, missing = plots_of(LAYER_FIGURES, data, head, {"layers": "layers = layers_of.layers(saved)"})
    runs = counted(data["run"].nunique(), "run")
    n = sorted({int(count) for count in data["n"]})
    return Chapter(
        name="layers",
        title=capitalised(QUESTION),
        question=QUESTION,
        about="",
        summary=_summary(data),
        what=f"The dense networks of {runs}, as training starts, on {listed(list(data['setting'].unique()))}.",
        certainty=(
            f"n = {n[-1]} replicates, each with its own initial values where they are random; 95 % t-intervals. The "
            "inputs are the first 64 validation examples."
        ),
        plots=plots,
        missing=missing,
        tables=[_table(data)],
    )


LAYERS = CampaignChapter(tuple(record.name for record in LAYER_FIGURES), why_no_layers, chapter_of_layers)


def _summary(data: pd.DataFrame) -> Summary:
    """The least and the greatest deviation and rank, in the last layer of the widest networks of each setting."""
    last = layers_by_depth(data)
    last = last[last["place"] == last["depth"]]
    points = []
    for setting, here in last.groupby("setting", sort=False):
        texts = []
        for measure, name in SHOWN.items():
            rows = here[(here["measure"] == measure) & here["mean"].notna()].sort_values("mean", kind="stable")
            if len(rows):
                ends = [f"{row['mean']:.3g} ({row['start']})" for row in rows.iloc[[0, -1]].to_dict("records")]
                texts.append(f"{name} {' to '.join(ends)}")
        points.append(Point(f"{setting}, widths {here['widths'].iloc[0]}: {'; '.join(texts)}"))
    return Summary(
        "Wide Gaussian ReLU layers change each angle between inputs by a known amount (the arc-cosine kernel). Below: "
        "how far the layers of each start deviate from it, and how many directions they pass on.",
        points,
    )


def _table(data: pd.DataFrame) -> Table:
    """Every mean, a row per run and layer."""
    keys = ["setting", "start", "widths", "place"]
    wide = data.pivot(index=["run", *keys], columns="measure", values="mean")[list(MEASURES)]
    order = data[["run", *keys]].drop_duplicates()
    shown = order.merge(wide.reset_index(), on=["run", *keys]).drop(columns="run")
    note = (
        "Means over replicates, as training starts. Angles in degrees; angle_kernel: after as many Gaussian layers; "
        "deviation_layer: that of this layer alone, from the angles that it is given."
    )
    return Table("layers", "What each layer does", shown, note, data)
