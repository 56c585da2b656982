"""Why are initial weights random? What a campaign of many starts shows, from its saved tables alone."""

from .answer import Answer, answer
from .claim import ABSENT
from .claims import claims, judged
from .comparisons import MASKED, comparisons
from .ends import ends, why_no_ends
from .geometry import geometry
from .paired import Side, paired
from .reaching import LEVELS, reaching, steps_to
from .starts import pairs_but_for, starts
from .study import Study, study_of, why_no_study
from .symmetry import symmetry

__all__ = [
    "ABSENT",
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
    "why_no_ends",
    "why_no_study",
]
