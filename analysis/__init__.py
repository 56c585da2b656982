"""Reading saved runs: pandas in, pandas out. Imported as `tickets.analysis`; never trains, never imports torch."""

from .comparison import against_dense, compare
from .criteria import criteria
from .intervals import LEAST_FOR_P, adjusted_p, detectable, paired_interval, sign_flip_p, smallest_p
from .metrics import METRICS, Metric, values_of
from .summary import over_replicates, table
from .verdicts import Verdict, verdict
from .winning import Estimate, Winning, winning

__all__ = [
    "LEAST_FOR_P",
    "METRICS",
    "Estimate",
    "Metric",
    "Verdict",
    "Winning",
    "adjusted_p",
    "against_dense",
    "compare",
    "criteria",
    "detectable",
    "over_replicates",
    "paired_interval",
    "sign_flip_p",
    "smallest_p",
    "table",
    "values_of",
    "verdict",
    "winning",
]
