"""The chapter of the report that asks why initial weights are random. New figures are one file and one line each."""

from .chapter import WHY_FIGURES, WHY_RANDOM, chapter_of

__all__ = ["WHY_FIGURES", "WHY_RANDOM", "chapter_of"]
