"""Every figure of a run, with what stands beside it: its numbers, a sentence, and the lines that draw it again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from tickets.store import Saved

from ..metrics import find_metric, values_of
from ..shown import Shown, accuracy_of, as_measured, shown
from ..words import counted, listed
from .by_density import by_density, draw_by_density, tell_by_density
from .initial_values import draw_initial_values, initial_values, tell_initial_values
from .kept_pixels import draw_kept_pixels, kept_pixels, tell_kept_pixels, why_no_pixels
from .learning_curves import chosen_rounds, draw_learning_curves, learning_curves, tell_learning_curves
from .masks import Masks, read_initial, read_masks
from .overlap import draw_overlap, overlap, tell_overlap
from .surviving import draw_surviving, surviving, tell_surviving

STEP = "early_stop_step"
PLOTS = ("accuracy", "steps", "curves", "surviving", "initial", "overlap", "pixels")
"""The names of the figures that a run can have."""


@dataclass(frozen=True)
class Plot:
    """A figure. name: its files are called so. told: its text alternative. code: draws it from the saved run."""

    name: str
    title: str
    figure: Figure
    data: pd.DataFrame
    told: str
    note: str
    code: str


@dataclass(frozen=True)
class Missing:
    """A figure that this run cannot have, and why."""

    title: str
    why: str


def plots_of(saved: Saved, run: str, file: Mapping[str, Any]) -> tuple[list[Plot], list[Missing]]:
    """The figures of a run, and those that it cannot have. file: what its run.json holds.

    Raises InputError if masks or values of the run are damaged.
    """
    rounds, curves = (table[table["run"] == run] for table in (saved.rounds, saved.curves))
    masks, chosen = read_masks(saved, run), chosen_rounds(rounds)
    measured, how = accuracy_of(file), shown(accuracy_of(file))
    made = [
        _accuracy(as_measured(rounds, measured), how),
        _steps(rounds),
        _curves(as_measured(curves, measured), chosen, how),
        _surviving(masks),
        _initial(masks, read_initial(saved, run), chosen),
        _overlap(masks),
        _pixels(masks, chosen_rounds(rounds, 5)[1:], file["data"]["input_shape"]),
    ]
    head = _head(str(file["config"].get("name", "campaign")), run)
    plots = [_with_head(one, head) for one in made if isinstance(one, Plot)]
    return plots, [one for one in made if isinstance(one, Missing)]


_INTERVALS = (
    "Line: mean over replicates (draws averaged first). Band: 95 % t-interval of that mean, for each arm by itself; "
    "whether the ticket differs from an arm is judged on pairs, in the table."
)


def _accuracy(rounds: pd.DataFrame, how: Shown) -> Plot:
    metric = how.metric
    data = by_density(rounds, metric)
    code = "data = report.by_density(rounds)\nfigure = report.draw_by_density(data)"
    if how.name != "accuracy":
        code = (
            f'{_renamed("rounds", how)}data = report.by_density(rounds, "{metric}")\n'
            f'figure = report.draw_by_density(data, "{metric}")'
        )
    heading = find_metric(metric).heading
    return Plot(
        "accuracy", f"{heading[:1].upper()}{heading[1:]}", draw_by_density(data, metric), data,
        tell_by_density(data, metric), _INTERVALS + " Dashed: the ticket's own dense network.", code,
    )  # fmt: skip


def _renamed(table: str, how: Shown) -> str:
    """The line that names the columns of a table of R2 as the figures do."""
    return f'{table} = report.as_measured({table}, "R2")\n' if how.name == "R2" else ""


def _steps(rounds: pd.DataFrame) -> Plot | Missing:
    title = "Early-stop step"
    data = by_density(rounds, STEP)
    without = _without_step(rounds)
    if data["mean"].notna().sum() == 0:
        return Missing(title, f"no training has one ({without})")
    longest = int(rounds[STEP].max())
    at_end = float((rounds[STEP] == longest).mean())
    note = (
        f"{_INTERVALS} The step with the lowest validation loss, less is faster; {100 * at_end:.0f} % of the trainings "
        f"stop at {longest:,}, the last such step of any: those that were still improving at their last step might "
        "have gone on."
    )
    if without:
        note += f" Left out: {without}."
    draw = f'report.draw_by_density(data, "{STEP}", most={longest})'
    code = f'data = report.by_density(rounds, "{STEP}")\nfigure = {draw}'
    return Plot("steps", title, draw_by_density(data, STEP, longest), data, tell_by_density(data, STEP), note, code)


def _without_step(rounds: pd.DataFrame) -> str:
    """How many trainings have no early-stop step, and why; nothing if all have one."""
    lacks = values_of(rounds, STEP).isna()
    diverged, best_at_0 = int((lacks & rounds["diverged"]).sum()), int((lacks & ~rounds["diverged"]).sum())
    told = [f"{counted(diverged, 'training')} that diverged"] if diverged else []
    told += [f"{counted(best_at_0, 'training')} best before the first step"] if best_at_0 else []
    return listed(told)


def _curves(curves: pd.DataFrame, chosen: list[int], how: Shown) -> Plot | Missing:
    title, column = "Learning curves", how.column
    data = learning_curves(curves, chosen, column)
    if data.empty:
        return Missing(title, "no evaluated step is saved")
    code = f"data = report.learning_curves(curves, {chosen})\nfigure = report.draw_learning_curves(data)"
    if how.name != "accuracy":
        code = (
            f'{_renamed("curves", how)}data = report.learning_curves(curves, {chosen}, "{column}")\n'
            f'figure = report.draw_learning_curves(data, "{column}")'
        )
    note = (
        f"Test {how.name} as training goes on, at densities evenly spread over the rounds. Line and band as in the "
        "first figure. The axis shows what comes after the first tenth of training; before, curves may start below it."
    )
    figure = draw_learning_curves(data, column)
    return Plot("curves", title, figure, data, tell_learning_curves(data, column), note, code)


_MASKS = "masks = report.read_masks(saved, run)\n"


def _surviving(masks: Masks) -> Plot:
    data = surviving(masks)
    code = _MASKS + "data = report.surviving(masks)\nfigure = report.draw_surviving(data)"
    title, note = "Surviving fraction by tensor", "Mean over replicates. Dashed: all prunable weights together."
    return Plot("surviving", title, draw_surviving(data), data, tell_surviving(data), note, code)


def _initial(masks: Masks, values: Mapping[int, Any], chosen: list[int]) -> Plot | Missing:
    title = "Initial values of the survivors"
    numbers = sorted({chosen[0], chosen[len(chosen) // 2], chosen[-1]})
    if len(numbers) < 2:
        return Missing(title, "only the dense round is saved, in which all weights survive")
    data = initial_values(values, masks, numbers)
    code = (
        f"{_MASKS}values = report.read_initial(saved, run)\n"
        f"data = report.initial_values(values, masks, {numbers})\nfigure = report.draw_initial_values(data)"
    )
    note = "All replicates together; each histogram is of as many weights as survive, as shares, so shapes compare."
    return Plot("initial", title, draw_initial_values(data), data, tell_initial_values(data), note, code)


def _overlap(masks: Masks) -> Plot | Missing:
    title = "Overlap of masks between replicates"
    data = overlap(masks)
    if data.empty:
        return Missing(title, "it takes two replicates")
    note = (
        "Above, of all prunable weights: |A and B| / |A or B|, mean over pairs of replicates; band: least and most. By "
        "chance: masks that keep k1 and k2 of a tensor's n weights at random have m = k1 k2 / n in common on average "
        "(hypergeometric), so sum of m / sum of (k1 + k2 - m) over tensors is expected, a ratio of means. Below: the "
        "one over the other, by tensor; 1 is chance."
    )
    code = _MASKS + "data = report.overlap(masks)\nfigure = report.draw_overlap(data)"
    return Plot("overlap", title, draw_overlap(data), data, tell_overlap(data), note, code)


def _pixels(masks: Masks, numbers: list[int], input_shape: list[int]) -> Plot | Missing:
    title = "Pixels that the first layer keeps"
    why = why_no_pixels(masks, input_shape)
    if why:
        return Missing(title, why)
    data = kept_pixels(masks, numbers, input_shape)
    code = f"{_MASKS}data = report.kept_pixels(masks, {numbers}, {input_shape})\nfigure = report.draw_kept_pixels(data)"
    note = "Weights of the first layer that survive at each pixel, over units and replicates; 1 is the mean of all."
    return Plot("pixels", title, draw_kept_pixels(data), data, tell_kept_pixels(data), note, code)


def _head(campaign: str, run: str) -> str:
    folder = f"runs/saved/{campaign}"
    return (
        "from pathlib import Path\n\nimport tickets\nfrom tickets.analysis import report\n\n"
        f"saved = tickets.load({quoted(folder)})  # the campaign's folder\n"
        f"run = {quoted(run)}\n"
    )


def quoted(text: str) -> str:
    """Text as Python writes it, in double quotes where that takes no more escapes."""
    plain = repr(text)
    return plain if set("\"'") & set(plain[1:-1]) else f'"{plain[1:-1]}"'


def saved_as(name: str) -> str:
    """The line that saves a figure as the report does, whatever the reader's own settings."""
    return f'Path("{name}.pdf").write_bytes(report.to_pdf(figure))\n'


def _with_head(plot: Plot, head: str) -> Plot:
    tables = "".join(
        f'{name} = saved.{name}[saved.{name}["run"] == run]\n'
        for name in ("rounds", "curves")
        if re.search(rf"\b{name}\b", plot.code)
    )
    code = f"{head}{tables}{plot.code}\n{saved_as(plot.name)}"
    return Plot(**{**vars(plot), "code": code})
