"""A score as a function: by name, with its options, or made of a function of one tensor's weights."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from tickets.binding import named_function, with_options
from tickets.candidate import Candidate
from tickets.catalogue import SCORES

Score = Callable[[Candidate], Mapping[str, Tensor]]


class by_tensor:  # noqa: N801 - a decorator
    """Make a score of a function of one tensor's weights, `f(weights, **options) -> Tensor`; a decorator.

    The function is called with the `Weights` of each prunable tensor in turn.
    """

    def __init__(self, function: Callable[..., Tensor]) -> None:
        functools.update_wrapper(self, function)
        self._function = function

    def __call__(self, candidate: Candidate, **options: Any) -> dict[str, Tensor]:
        """The scores of each prunable tensor, by name."""
        return {name: self._function(candidate.weights(name), **options) for name in candidate.mask}


def named_score(name: str, options: Mapping[str, Any] | None = None, key: str = "prune.score") -> Score:
    """The score with this name and these options.

    Parameters
    ----------
    name
        One of `tickets.catalogue.SCORES`, or "module:function".
    options
        Its keyword arguments.
    key
        The key of the campaign file that names it, for errors.

    Raises
    ------
    InputError
        If there is no such score, or if it does not take these options.
    """
    return with_options(named_function(key, name, SCORES), key, name, options or {}, positional=1)
