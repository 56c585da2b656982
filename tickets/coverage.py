"""Which weights of a network are prunable, which are not, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Why = Literal["frozen", "excluded", "not included"]

SMALL = 0.5  # a smaller prunable share of the weights raises a warning
NAMED = 3  # the largest tensors that are not prunable, named in the warning


@dataclass(frozen=True)
class LeftOut:
    """A tensor that is not prunable: its number of weights, and the reason."""

    weights: int
    why: Why


@dataclass(frozen=True)
class Coverage:
    """The weights of a network: every parameter of two or more dimensions, including frozen ones.

    Biases and normalisation parameters, which mostly have one dimension, do not count as weights. A parameter that
    several layers share counts once.

    Attributes
    ----------
    prunable
        The number of weights of each prunable tensor, in the model's order. Density is a fraction of these.
    left_out
        The tensors that are not prunable.
    """

    prunable: Mapping[str, int]
    left_out: Mapping[str, LeftOut]

    @property
    def weights(self) -> int:
        """The number of prunable weights."""
        return sum(self.prunable.values())

    @property
    def all_weights(self) -> int:
        """The number of weights of the network."""
        return self.weights + sum(tensor.weights for tensor in self.left_out.values())

    @property
    def share(self) -> float:
        """The prunable share of all weights, in [0, 1]."""
        return self.weights / self.all_weights

    @property
    def sentence(self) -> str:
        """A line that says which tensors are prunable and which are not."""
        tensors = f"{len(self.prunable)} tensor{'' if len(self.prunable) == 1 else 's'}"
        if not self.left_out:
            return f"prunable: all {self.weights:,} weights, in {tensors}"
        return (
            f"prunable: {self.weights:,} of {self.all_weights:,} weights ({_percent(self.share)}), in {tensors}; "
            f"not prunable: {self._largest()}"
        )

    @property
    def warning(self) -> str | None:
        """Advice if less than half of the weights are prunable, else None."""
        if self.share >= SMALL:
            return None
        could = [name for name, one in self._by_size() if one.why == "not included"]
        remedy = (
            f'name those to be pruned in prune.include, e.g. include = ["{could[0]}"]'
            if could
            else "prune.include cannot add them: they are frozen (requires_grad = False) or prune.exclude names them"
        )
        return (
            f"only {_percent(self.share)} of the weights are prunable, and density is a fraction of these alone; the "
            f"largest tensors left out: {self._largest()}; {remedy}"
        )

    def as_json(self) -> dict[str, Any]:
        """The coverage as JSON values, for run.json and `status`."""
        return {
            "prunable": dict(self.prunable),
            "left_out": {name: {"weights": one.weights, "why": one.why} for name, one in self.left_out.items()},
            "weights": self.weights,
            "all_weights": self.all_weights,
            "share": self.share,
        }

    def _by_size(self) -> list[tuple[str, LeftOut]]:
        """The tensors that are not prunable, the largest first."""
        return sorted(self.left_out.items(), key=lambda item: -item[1].weights)

    def _largest(self) -> str:
        ordered = self._by_size()
        named = [f"{name} ({one.weights:,}, {one.why})" for name, one in ordered[:NAMED]]
        more = len(ordered) - len(named)
        return ", ".join(named) + (f" and {more} more" if more else "")


def coverage_from_json(content: Mapping[str, Any]) -> Coverage:
    """The inverse of `Coverage.as_json`."""
    left_out = {name: LeftOut(one["weights"], one["why"]) for name, one in content["left_out"].items()}
    return Coverage(dict(content["prunable"]), left_out)


def _percent(share: float) -> str:
    # Truncated, not rounded: 99.96 % must not be printed as 100 %, nor 49.96 % as 50 %.
    return f"{int(1000 * share) / 10:g} %"
