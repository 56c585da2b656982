"""A layer that multiplies by a constant."""

from __future__ import annotations

from torch import Tensor, nn


class Scale(nn.Module):
    """Multiply by a constant.

    Parameters
    ----------
    factor
        The constant.
    """

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        """x times the factor, in x's shape."""
        return x * self.factor

    def extra_repr(self) -> str:
        """The factor, as the module is printed."""
        return f"{self.factor:g}"
