"""Scores: what a weight is worth when the network is pruned. The lowest go.

A score is a function `f(candidate, **options)` that returns a tensor of scores for each prunable tensor, by name. It is
named once, in `tickets.catalogue.SCORES`, or given in a campaign file as "module:function"; options stand beside its
name: `prune.score = { name = "module:function", scale = 2 }`.
"""

from tickets.candidate import Batch, Candidate, Weights
from tickets.scores.criteria import magnitude, random
from tickets.scores.score import Score, by_tensor, named_score

__all__ = ["Batch", "Candidate", "Score", "Weights", "by_tensor", "magnitude", "named_score", "random"]
