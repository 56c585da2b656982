"""The figure of the early-stop step against density."""

from __future__ import annotations

import pandas as pd

from tickets.plurals import counted
from tickets.roles import keeps_trained

from ...metrics import values_of
from ...text import listed
from ..figure import Drawn, FigureRecord
from ..run_data import RunData
from .by_density import INTERVALS, by_density, describe_by_density, draw_by_density

STEP = "early_stop_step"


def drawn(rounds: pd.DataFrame) -> Drawn | str:
    """The early-stop step against density.

    Parameters
    ----------
    rounds : DataFrame
        The rows of one run.

    Returns
    -------
    Drawn or str
        The figure; or why there is none.
    """
    data, without = by_density(rounds, STEP), _without_step(rounds)
    if data["mean"].notna().sum() == 0:
        return f"no training has one ({without})"
    longest = int(rounds[STEP].max())
    at_end = float((rounds[STEP] == longest).mean())
    caption = (
        f"The evaluated step with the lowest validation loss; smaller is faster. {INTERVALS} {100 * at_end:.0f} % of "
        f"the trainings stop at {longest:,}, the latest such step of any: a training that still improved at its last "
        f"step might have stopped later.{f' Left out: {without}.' if without else ''}"
    )
    draw = f'report.draw_by_density(data, "{STEP}", most={longest})'
    code = f'data = report.by_density(rounds, "{STEP}")\nfigure = {draw}'
    return Drawn(draw_by_density(data, STEP, longest), data, describe_by_density(data, STEP), caption, code)


def _without_step(rounds: pd.DataFrame) -> str:
    """How many trainings have no early-stop step, and why; "" if all have one."""
    lacks = values_of(rounds, STEP).isna()
    diverged, best_at_0 = int((lacks & rounds["diverged"]).sum()), int((lacks & ~rounds["diverged"]).sum())
    parts = [f"{counted(diverged, 'training')} that diverged"] if diverged else []
    parts += [f"{counted(best_at_0, 'training')} best before the first step"] if best_at_0 else []
    return listed(parts)


def _make(run: RunData) -> Drawn | str:
    if keeps_trained(run.file["config"]):
        return "the tickets keep their trained values, so a step does not mean what it means for the dense network"
    return drawn(run.rounds)


FIGURE = FigureRecord("steps", "Early-stop step", _make)
