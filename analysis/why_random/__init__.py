"""Why are initial weights random? What the saved tables of a campaign with several starts show."""

from .ends import ends, why_no_ends
from .geometry import geometry
from .own_claims import keeps_distances, one_direction, other_ends
from .reaching import LEVELS, reaching, steps_to
from .span import span
from .starts import starts
from .study import MASKED, Study, study_of, why_not_a_study
from .symmetry import symmetry

__all__ = [
    "LEVELS",
    "MASKED",
    "Study",
    "ends",
    "geometry",
    "keeps_distances",
    "one_direction",
    "other_ends",
    "reaching",
    "span",
    "starts",
    "steps_to",
    "study_of",
    "symmetry",
    "why_no_ends",
    "why_not_a_study",
]
