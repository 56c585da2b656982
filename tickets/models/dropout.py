"""The option `dropout` of a model."""

from __future__ import annotations

from collections.abc import Iterator


def rate_problems(dropout: float) -> Iterator[str]:
    """Yield an error message if a dropout probability is not in [0, 1)."""
    if isinstance(dropout, bool) or not isinstance(dropout, int | float) or not 0 <= dropout < 1:
        yield f"model.dropout = {dropout!r}: must be at least 0 and less than 1"
