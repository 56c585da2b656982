"""Figures and the report of saved runs. Pure: tables and masks in, tables, figures and bytes out; no pyplot."""

from ..shown import as_measured
from .by_density import by_density, draw_by_density, tell_by_density
from .formats import to_inline_svg, to_pdf, to_svg
from .initial_values import draw_initial_values, initial_values, tell_initial_values
from .kept_pixels import draw_kept_pixels, kept_pixels, tell_kept_pixels, why_no_pixels
from .latex import to_latex
from .learning_curves import chosen_rounds, draw_learning_curves, learning_curves, tell_learning_curves
from .masks import Masks, Values, read_initial, read_masks
from .overlap import draw_overlap, overlap, tell_overlap
from .page import PAGE, make_figure, make_report
from .plots import Missing, Plot, plots_of
from .section import Section, section_of
from .sheets import Sheet, sheets_of, to_csv
from .surviving import draw_surviving, surviving, tell_surviving
from .why.distances import draw_kept_distances, kept_distances, tell_kept_distances
from .why.distinct import distinct_units, draw_distinct_units, tell_distinct_units
from .why.losses import draw_training_losses, tell_training_losses, training_losses
from .why.part import WhyPart, why_part
from .why.retrained import distances_between_ends, draw_distances_between_ends, tell_distances_between_ends

__all__ = [
    "PAGE",
    "Masks",
    "Missing",
    "Plot",
    "Section",
    "Sheet",
    "Values",
    "WhyPart",
    "as_measured",
    "by_density",
    "chosen_rounds",
    "distances_between_ends",
    "distinct_units",
    "draw_by_density",
    "draw_distances_between_ends",
    "draw_distinct_units",
    "draw_initial_values",
    "draw_kept_distances",
    "draw_kept_pixels",
    "draw_learning_curves",
    "draw_overlap",
    "draw_surviving",
    "draw_training_losses",
    "initial_values",
    "kept_distances",
    "kept_pixels",
    "learning_curves",
    "make_figure",
    "make_report",
    "overlap",
    "plots_of",
    "read_initial",
    "read_masks",
    "section_of",
    "sheets_of",
    "surviving",
    "tell_by_density",
    "tell_distances_between_ends",
    "tell_distinct_units",
    "tell_initial_values",
    "tell_kept_distances",
    "tell_kept_pixels",
    "tell_learning_curves",
    "tell_overlap",
    "tell_surviving",
    "tell_training_losses",
    "to_csv",
    "to_inline_svg",
    "to_latex",
    "to_pdf",
    "to_svg",
    "training_losses",
    "why_no_pixels",
    "why_part",
]
