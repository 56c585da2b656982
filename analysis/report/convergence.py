"""The chapter about a whole campaign that measures its convergence: which starts converge, how fast, by width."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from tickets.errors import InputError
from tickets.plurals import counted
from tickets.store import Saved

from ..convergence import converging, level_of, why_no_convergence, width_of
from ..labels import capitalised
from ..text import listed
from ..why_random import starts
from .annotation import short_title
from .chapter import CampaignChapter, Chapter, Point, Summary
from .figure import Drawn, FigureRecord, head_of, plots_of
from .look import drawing
from .panels import WIDTH
from .table import Table
from .ticks import plain_log
from .why_random.kinds import look_of_kind

QUESTION = "do wide networks converge, and from which starts?"

_PANELS = {
    "training_loss": "training loss\nat the end",
    "rate": "linear rate a step\n(dotted: predicted)",
    "smallest": "smallest eigenvalue\nat the start",
    "relative_distance": "relative distance\ntravelled",
}
_KEYS = ["setting", "start", "kind", "width", "run"]


@dataclass(frozen=True)
class Converging:
    """The networks of a campaign that measures its convergence.

    Parameters
    ----------
    networks : DataFrame
        The rows of `converging` with setting, start, kind and width (NaN for hidden layers of several widths).
    levels : tuple of float
        The training losses that the runs wait for.
    """

    networks: pd.DataFrame
    levels: tuple[float, ...]


def converging_study(saved: Saved, without: Collection[str] = ()) -> Converging:
    """Read the networks of a campaign.

    Raises
    ------
    InputError
        If `why_no_convergence` gives a reason, or a table is damaged.
    """
    why = why_no_convergence(saved, without)
    if why is not None:
        raise InputError(f"{saved.folder}: {why}")
    measured = converging(saved, without)
    configs = {str(run): saved.config(str(run)) for run in measured["run"].unique()}
    described = _told_apart(starts(configs))[["setting", "start", "kind", "run"]]
    widths = {run: np.nan if width_of(config) is None else width_of(config) for run, config in configs.items()}
    named = described.assign(width=described["run"].map(widths).astype(float)).merge(measured, on="run")
    return Converging(named, tuple(sorted({level_of(config) for config in configs.values()})))


def _told_apart(described: pd.DataFrame) -> pd.DataFrame:
    """The starts with what else of the model differs among the runs of each: these are lines of their own."""
    depth = [counted(widths.count("-") + 1, "hidden layer") for widths in described["widths"]]
    more = {
        "model": described["model"],
        "biases": "biases " + described["biases"],
        "dropout": [f"dropout {rate:g}" for rate in described["dropout"]],
        "options": described["options"],
        "depth": depth,
    }
    texts = pd.DataFrame(more, index=described.index)
    names = described["start"].copy()
    for _, group in texts.groupby([described["setting"], described["start"]], sort=False):
        differ = [name for name in texts if group[name].nunique() > 1]
        if differ:
            names[group.index] += " [" + group[differ].agg(", ".join, axis=1) + "]"
    return described.assign(start=names)


def convergence_by_run(study: Converging) -> pd.DataFrame:
    """Means over replicates: a row per run, by setting, start and width.

    Columns setting, start, kind, width, run, n, reached (replicates that reach the loss), steps, predicted_steps (means
    over those that have them), then mean, _least and _most of training_loss, rate, predicted_rate, smallest, change and
    relative_distance.
    """
    rows = []
    for key, group in study.networks.groupby(_KEYS, sort=False, dropna=False):
        row = dict(zip(_KEYS, key, strict=True))
        row |= {"n": len(group), "reached": int(group["reached"].sum())}
        row |= {name: float(group[name].mean()) for name in ("steps", "predicted_steps")}
        for name in (*_PANELS, "predicted_rate", "change"):
            values = group[name].astype(float)
            row |= {
                name: float(values.mean()),
                f"{name}_least": float(values.min()),
                f"{name}_most": float(values.max()),
            }
        rows.append(row)
    return pd.DataFrame(rows).sort_values(["setting", "start", "width"], kind="stable", ignore_index=True)


@drawing
def draw_convergence(data: pd.DataFrame, levels: Collection[float]) -> Figure:
    """Draw the table of `convergence_by_run`: four quantities against width, a column of panels for each setting."""
    settings = list(data["setting"].unique())
    figure = Figure(figsize=(max(WIDTH, 2.8 * len(settings)), 2.1 * len(_PANELS) + 0.6), layout="constrained")
    grid = figure.subplots(len(_PANELS), len(settings), squeeze=False, sharex=True)
    looks = _looks(data)
    for column, setting in enumerate(settings):
        here = data[data["setting"] == setting]
        for axes, (name, title) in zip(grid[:, column], _PANELS.items(), strict=True):
            _draw(axes, here, name, looks)
            if name == "training_loss":
                for level in levels:
                    axes.axhline(level, color="#808080", linestyle=(0, (4, 3)), linewidth=1)
            if name == "rate":
                for start, look in looks.items():
                    rows = here[(here["start"] == start) & (here["predicted_rate"] > 0)]
                    axes.plot(rows["width"], rows["predicted_rate"], color=look.get_color(), linestyle=":")
            if column == 0:
                axes.set_ylabel(title, fontsize=9)
        grid[0, column].set_title(short_title(setting))
        grid[-1, column].set_xlabel("width (log scale)")
    figure.legend(list(looks.values()), list(looks), loc="outside lower center", ncols=min(3, len(looks)))
    return figure


def _looks(data: pd.DataFrame) -> dict[str, Line2D]:
    """A line's look by start: a colour per kind, a marker per start of a kind."""
    kinds = data.drop_duplicates("start").set_index("start")["kind"]
    seen: dict[str, int] = {}
    looks = {}
    for start, kind in kinds.items():
        look = look_of_kind(str(kind), seen.setdefault(kind, 0))
        seen[kind] += 1
        looks[str(start)] = Line2D([], [], color=look.colour, marker=look.marker, linewidth=1.2)
    return looks


def _draw(axes: Axes, here: pd.DataFrame, name: str, looks: Mapping[str, Line2D]) -> None:
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    for start, look in looks.items():
        rows = here[(here["start"] == start) & (here[name] > 0)]
        band = rows[rows[f"{name}_least"] > 0]
        colour = look.get_color()
        axes.fill_between(band["width"], band[f"{name}_least"], band[f"{name}_most"], color=colour, alpha=0.15, lw=0)
        axes.plot(rows["width"], rows[name], color=colour, marker=look.get_marker(), linewidth=1.2)
    widths = sorted(here["width"].dropna().unique())
    axes.set_xticks(widths, [f"{width:,.0f}" for width in widths], fontsize=7)
    axes.minorticks_off()
    positive = here.loc[here[name] > 0, name]
    if len(positive):
        plain_log(axes.yaxis, (1.0,) if positive.max() > 30 * positive.min() else (1.0, 2.0, 5.0))


def describe_convergence(data: pd.DataFrame) -> str:
    """The text alternative of the figure."""
    parts = []
    for (setting, start), rows in data.groupby(["setting", "start"], sort=False):
        first, last = rows.iloc[0], rows.iloc[-1]
        parts.append(
            f"{setting}, {start}, width {first['width']:g} to {last['width']:g}: training loss "
            f"{first['training_loss']:.3g} to {last['training_loss']:.3g}, rate {first['rate']:.3g} to "
            f"{last['rate']:.3g}, smallest eigenvalue {first['smallest']:.3g} to {last['smallest']:.3g}, relative "
            f"distance {first['relative_distance']:.3g} to {last['relative_distance']:.3g}"
        )
    return f"Convergence by width of the hidden layers. {'. '.join(parts)}."


def convergence_table(data: pd.DataFrame) -> Table:
    """The table of the chapter."""
    shown = pd.DataFrame(
        {
            "on": data["setting"],
            "start": data["start"],
            "width": [_number(value, ",.0f") for value in data["width"]],
            "reached": [f"{reached} of {n}" for reached, n in zip(data["reached"], data["n"], strict=True)],
            "steps (predicted)": _beside(data["steps"], data["predicted_steps"], ",.0f"),
            "rate a step (predicted)": _beside(data["rate"], data["predicted_rate"], ".2e"),
            "smallest eigenvalue": [_number(value, ".2e") for value in data["smallest"]],
            "matrix changed by": [_number(value, ".2g") for value in data["change"]],
            "relative distance": [_number(value, ".2g") for value in data["relative_distance"]],
        }
    )
    note = (
        "Means over replicates. Reached: replicates whose training loss fell to the level; steps: of those. Predicted: "
        "by the Gram matrix before training, for the steps of the linearised network, for the rate by its smallest "
        "eigenvalue."
    )
    return Table("convergence", "Convergence by start and width", shown, note, data)


def chapter_of(saved: Saved, without: Collection[str] = ()) -> Chapter:
    """The chapter of a campaign that measures its convergence.

    Raises
    ------
    InputError
        If `why_no_convergence` gives a reason, or a table is damaged.
    """
    study = converging_study(saved, without)
    data = convergence_by_run(study)
    head = head_of(str(saved.config(str(data["run"].iloc[0])).get("name", "campaign")), "report")
    plots, missing = plots_of((FIGURE,), study, head, {"study": "study = report.converging_study(saved)"})
    levels = listed([f"{level:g}" for level in study.levels])
    counts = data.groupby("start", sort=False)[["reached", "n"]].sum()
    points = [Point(f"{start}: {row['reached']:.0f} of {row['n']:.0f} networks") for start, row in counts.iterrows()]
    n = sorted(data["n"].unique())
    return Chapter(
        name="convergence",
        title=capitalised(QUESTION),
        question=QUESTION,
        about="",
        summary=Summary(f"Networks that reach a training loss of {levels}, of all widths and data sets:", points),
        what=f"{counted(len(data), 'run')} on {listed(list(data['setting'].unique()))}, dense networks.",
        certainty=f"n = {n[0] if len(n) == 1 else f'{n[0]} to {n[-1]}'} replicates; bands are ranges over replicates.",
        plots=plots,
        missing=missing,
        tables=[convergence_table(data)],
    )


def _make(study: Converging) -> Drawn | str:
    data = convergence_by_run(study)
    if data.dropna(subset=["width"])["width"].nunique() < 2:
        return "its runs have one width"
    return Drawn(
        figure=draw_convergence(data, study.levels),
        data=data,
        description=describe_convergence(data),
        caption=(
            "Line: mean over replicates; band: their range. Blue: random starts; green: deterministic starts of "
            "different units; orange: equal units. Dashed: the training loss that trainings are to reach. Dotted: the "
            "rate that the smallest eigenvalue of the Gram matrix before training predicts."
        ),
        code=("data = report.convergence_by_run(study)\nfigure = report.draw_convergence(data, study.levels)"),
    )


def _number(value: float, form: str) -> str:
    return "" if np.isnan(value) else f"{value:{form}}"


def _beside(values: pd.Series[float], predicted: pd.Series[float], form: str) -> list[str]:
    """Each number with the predicted one in brackets."""
    texts = [(_number(one, form) or "none", _number(other, form)) for one, other in zip(values, predicted, strict=True)]
    return [f"{first} ({second})" if second else first for first, second in texts]


FIGURE = FigureRecord("convergence", "Convergence by width", _make)
CONVERGENCE_CHAPTER = CampaignChapter((FIGURE.name,), why_no_convergence, chapter_of)
