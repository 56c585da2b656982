"""The figures of a run. A new figure is one file here, with its record, and one line in `RUN_FIGURES`."""

from ..figure import FigureRecord
from ..run_data import RunData
from . import (
    accuracy,
    claims,
    connectivity,
    early_bird,
    early_stop_step,
    geometry,
    gradients,
    initial_values,
    learning_curves,
    mask_overlap,
    overlap,
    pixels,
    planted,
    predictions,
    sharpness,
    signs,
    structure,
    surviving,
)

RUN_FIGURES: tuple[FigureRecord[RunData], ...] = (
    accuracy.FIGURE,
    claims.FIGURE,
    early_stop_step.FIGURE,
    learning_curves.FIGURE,
    surviving.FIGURE,
    initial_values.FIGURE,
    overlap.FIGURE,
    pixels.FIGURE,
    planted.FIGURE,
    connectivity.FIGURE,
    mask_overlap.FIGURE,
    early_bird.FIGURE,
    predictions.FIGURE,
    signs.FIGURE,
    signs.BY_STEP,
    structure.FIGURE,
    geometry.FIGURE,
    gradients.FIGURE,
    gradients.BY_STEP,
    sharpness.FIGURE,
)
"""The figures of a run, in the order of the page."""

__all__ = ["RUN_FIGURES"]
