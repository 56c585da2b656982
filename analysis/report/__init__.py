"""The report of saved runs: tables and masks in; tables, figures and bytes out. No pyplot, no state.

A new figure of a run is one file in `figures` and one line in its `RUN_FIGURES`; a new chapter about a whole campaign
is one `CampaignChapter` and one line in `page.CAMPAIGN_CHAPTERS`.
"""

from ..claims import answers_of_run
from ..labels import labels_of
from ..planted import planted_by_density, planted_sentences
from ..rule import rule_of
from .chapter import Chapter, Point, Summary
from .convergence import convergence_by_run, converging_study, describe_convergence, draw_convergence
from .figure import Drawn, FigureRecord, Missing, Plot, plots_of
from .figures import RUN_FIGURES
from .figures.by_density import by_density, describe_by_density, draw_by_density
from .figures.claims import claims_data, describe_claims, draw_claims
from .figures.connectivity import barriers, describe_barriers, draw_barriers
from .figures.early_bird import describe_mask_distances, draw_mask_distances, mask_distances
from .figures.geometry import GEOMETRY, last_layers
from .figures.gradients import GRADIENTS, NORM, gradients_at_ends
from .figures.initial_values import describe_initial_values, draw_initial_values, initial_values
from .figures.learning_curves import chosen_rounds, describe_learning_curves, draw_learning_curves, learning_curves
from .figures.mask_overlap import describe_mask_overlaps, draw_mask_overlaps, mask_overlaps
from .figures.overlap import describe_overlap, draw_overlap, overlap
from .figures.pixels import describe_kept_pixels, draw_kept_pixels, kept_pixels, why_no_pixels
from .figures.planted import describe_planted, draw_planted, tables_of_planted
from .figures.predictions import describe_disagreements, disagreements, draw_disagreements
from .figures.sharpness import SHARPNESS
from .figures.signs import FLIPPED, SIGNS, last_signs
from .figures.structure import STRUCTURE, structure_shares
from .figures.surviving import describe_surviving, draw_surviving, surviving
from .formats import to_inline_svg, to_pdf, to_svg
from .latex import to_latex
from .layers import LAYER_FIGURES, chapter_of_layers, describe_layers, draw_layers, layers_by_depth, layers_by_width
from .masks import Masks, Values, read_initial, read_masks
from .page import NO_ROUND, PAGE, make_figure, make_report
from .probed import Quantity, describe_probe_means, draw_probe_means, draw_probe_steps, probe_means, read_probe
from .run_chapter import chapter_of_run
from .run_data import RunData
from .run_tables import tables_of_run
from .strong_ticket import describe_sweep, draw_sweep
from .table import Table, to_csv
from .why_random import WHY_FIGURES, chapter_of
from .why_random.distances import describe_layer_distances, draw_layer_distances, layer_distances
from .why_random.distinct_units import describe_distinct_units, distinct_units, draw_distinct_units
from .why_random.ends import describe_distances_between_ends, distances_between_ends, draw_distances_between_ends
from .why_random.training_losses import describe_training_losses, draw_training_losses, training_losses

__all__ = [
    "FLIPPED",
    "GEOMETRY",
    "GRADIENTS",
    "LAYER_FIGURES",
    "NORM",
    "NO_ROUND",
    "PAGE",
    "RUN_FIGURES",
    "SHARPNESS",
    "SIGNS",
    "STRUCTURE",
    "WHY_FIGURES",
    "Chapter",
    "Drawn",
    "FigureRecord",
    "Masks",
    "Missing",
    "Plot",
    "Point",
    "Quantity",
    "RunData",
    "Summary",
    "Table",
    "Values",
    "answers_of_run",
    "barriers",
    "by_density",
    "chapter_of",
    "chapter_of_layers",
    "chapter_of_run",
    "chosen_rounds",
    "claims_data",
    "convergence_by_run",
    "converging_study",
    "describe_barriers",
    "describe_by_density",
    "describe_claims",
    "describe_convergence",
    "describe_disagreements",
    "describe_distances_between_ends",
    "describe_distinct_units",
    "describe_initial_values",
    "describe_kept_pixels",
    "describe_layer_distances",
    "describe_layers",
    "describe_learning_curves",
    "describe_mask_distances",
    "describe_mask_overlaps",
    "describe_overlap",
    "describe_planted",
    "describe_probe_means",
    "describe_surviving",
    "describe_sweep",
    "describe_training_losses",
    "disagreements",
    "distances_between_ends",
    "distinct_units",
    "draw_barriers",
    "draw_by_density",
    "draw_claims",
    "draw_convergence",
    "draw_disagreements",
    "draw_distances_between_ends",
    "draw_distinct_units",
    "draw_initial_values",
    "draw_kept_pixels",
    "draw_layer_distances",
    "draw_layers",
    "draw_learning_curves",
    "draw_mask_distances",
    "draw_mask_overlaps",
    "draw_overlap",
    "draw_planted",
    "draw_probe_means",
    "draw_probe_steps",
    "draw_surviving",
    "draw_sweep",
    "draw_training_losses",
    "gradients_at_ends",
    "initial_values",
    "kept_pixels",
    "labels_of",
    "last_layers",
    "last_signs",
    "layer_distances",
    "layers_by_depth",
    "layers_by_width",
    "learning_curves",
    "make_figure",
    "make_report",
    "mask_distances",
    "mask_overlaps",
    "overlap",
    "planted_by_density",
    "planted_sentences",
    "plots_of",
    "probe_means",
    "read_initial",
    "read_masks",
    "read_probe",
    "rule_of",
    "structure_shares",
    "surviving",
    "tables_of_planted",
    "tables_of_run",
    "to_csv",
    "to_inline_svg",
    "to_latex",
    "to_pdf",
    "to_svg",
    "training_losses",
    "why_no_pixels",
]
