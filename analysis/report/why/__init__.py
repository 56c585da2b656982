"""The part of the report that asks why initial weights are random: its figures, tables and answer."""

from .part import FIGURES, SLUG, WhyPart, to_text, why_part

__all__ = ["FIGURES", "SLUG", "WhyPart", "to_text", "why_part"]
