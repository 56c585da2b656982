"""Why are initial weights random? What the saved tables of a campaign with several starts show."""

from .answer import Answer, answer
from .claim import ABSENT
from .claims import CLAIMS, claims, judged, to_markdown
from .comparisons import comparisons
from .ends import ends, why_no_ends
from .geometry import geometry
from .paired import Side, paired
from .reaching import LEVELS, reaching, steps_to
from .starts import pairs_but_for, starts
from .study import MASKED, Study, study_of, why_not_a_study
from .symmetry import symmetry

__all__ = [
    "ABSENT",
    "CLAIMS",
    "LEVELS",
    "MASKED",
    "Answer",
    "Side",
    "Study",
    "answer",
    "claims",
    "comparisons",
    "ends",
    "geometry",
    "judged",
    "paired",
    "pairs_but_for",
    "reaching",
    "starts",
    "steps_to",
    "study_of",
    "symmetry",
    "to_markdown",
    "why_no_ends",
    "why_not_a_study",
]
