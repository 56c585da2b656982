"""The analysis of saved runs: pandas in, pandas out. Imported as `tickets.analysis`; never imports torch."""

from .answers import Context, Criterion, Estimate, Winning
from .comparison import against_dense, compare, measurements
from .criteria import criteria, too_short
from .intervals import LEAST_FOR_P, detectable, paired_band, paired_interval, sign_flip_p, smallest_p
from .metrics import METRICS, Metric, margins, values_of
from .rule import Rule, rule_of, rules_of
from .simultaneous import MaxT, max_t
from .summary import over_replicates, table
from .verdicts import Verdict, verdict
from .winning import winning

__all__ = [
    "LEAST_FOR_P",
    "METRICS",
    "Context",
    "Criterion",
    "Estimate",
    "MaxT",
    "Metric",
    "Rule",
    "Verdict",
    "Winning",
    "against_dense",
    "compare",
    "criteria",
    "detectable",
    "margins",
    "max_t",
    "measurements",
    "over_replicates",
    "paired_band",
    "paired_interval",
    "rule_of",
    "rules_of",
    "sign_flip_p",
    "smallest_p",
    "table",
    "too_short",
    "values_of",
    "verdict",
    "winning",
]
