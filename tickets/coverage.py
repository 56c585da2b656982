"""How much of a network can be pruned: which weights are, which are left out, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Why = Literal["frozen", "excluded", "not included"]

SMALL = 0.5  # a share of the weights below this is warned of
NAMED = 3  # tensors that are left out and named in a warning, the largest first


@dataclass(frozen=True)
class LeftOut:
    """A tensor of weights that is not prunable. weights: how many it has. why: what keeps it out."""

    weights: int
    why: Why


@dataclass(frozen=True)
class Coverage:
    """The weights of a network: every parameter of two or more dimensions, frozen ones too.

    Biases and normalisation parameters, mostly of one dimension, are no weights. A parameter that several layers
    share counts once.

    prunable: the number of weights by tensor, in the model's order; density is a fraction of these. left_out: the
    tensors that are no part of it.
    """

    prunable: Mapping[str, int]
    left_out: Mapping[str, LeftOut]

    @property
    def weights(self) -> int:
        """How many weights are prunable."""
        return sum(self.prunable.values())

    @property
    def all_weights(self) -> int:
        """How many weights the network has."""
        return self.weights + sum(tensor.weights for tensor in self.left_out.values())

    @property
    def share(self) -> float:
        """The prunable share of all weights, in [0, 1]."""
        return self.weights / self.all_weights

    @property
    def sentence(self) -> str:
        """What is prunable and what is not, in one line."""
        tensors = f"{len(self.prunable)} tensor{'' if len(self.prunable) == 1 else 's'}"
        if not self.left_out:
            return f"prunable: all {self.weights:,} weights, in {tensors}"
        return (
            f"prunable: {self.weights:,} of {self.all_weights:,} weights ({_percent(self.share)}), in {tensors}; "
            f"not prunable: {self._largest()}"
        )

    @property
    def warning(self) -> str | None:
        """What to do where less than half of the weights are prunable; None where they are more."""
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
        """Plain JSON values, for run.json and `status`."""
        return {
            "prunable": dict(self.prunable),
            "left_out": {name: {"weights": one.weights, "why": one.why} for name, one in self.left_out.items()},
            "weights": self.weights,
            "all_weights": self.all_weights,
            "share": self.share,
        }

    def _by_size(self) -> list[tuple[str, LeftOut]]:
        """The tensors that are left out, the largest first."""
        return sorted(self.left_out.items(), key=lambda item: -item[1].weights)

    def _largest(self) -> str:
        ordered = self._by_size()
        named = [f"{name} ({one.weights:,}, {one.why})" for name, one in ordered[:NAMED]]
        more = len(ordered) - len(named)
        return ", ".join(named) + (f" and {more} more" if more else "")


def coverage_from_json(content: Mapping[str, Any]) -> Coverage:
    """What `Coverage.as_json` gave."""
    left_out = {name: LeftOut(one["weights"], one["why"]) for name, one in content["left_out"].items()}
    return Coverage(dict(content["prunable"]), left_out)


def _percent(share: float) -> str:
    # Cut, not rounded: 99.96 % must not become 100, nor 49.96 % 50.
    return f"{int(1000 * share) / 10:g} %"
