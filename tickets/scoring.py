"""Scoring: calling a score on a candidate, and checking what it returns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from tickets.candidate import Candidate
from tickets.errors import InputError, UserCodeError
from tickets.process_state import settings_kept
from tickets.random_state import seed_generators, untouched_generators
from tickets.scores import Score, by_tensor
from tickets.users_code import one_line

_BY_TENSOR = "if it scores one tensor's weights, decorate it with tickets.scores.by_tensor"


def scores_of(
    score: Score, candidate: Candidate, named: str, when: str, *, may_be_nan: bool = False
) -> dict[str, Tensor]:
    """Call a score, and check what it returns.

    Process-wide settings that the score changes are restored; the global generators are seeded before it.

    Parameters
    ----------
    score
        Any function that campaign files can name.
    candidate
        The network.
    named, when
        The score, and the round and replicate, for errors.
    may_be_nan
        Whether scores of surviving weights may be NaN, which ranks lowest: the training diverged.

    Returns
    -------
    dict of str to Tensor
        By prunable parameter, of the tensor's shape, in the model's order.

    Raises
    ------
    InputError
        If the score raises one: it says why it does not fit this network.
    UserCodeError
        If the score raises any other exception; or if it does not return a tensor of real numbers on the CPU, of the
        tensor's shape, for each prunable tensor and nothing else, or NaN for a weight that survives though all values
        are finite.
    """
    alive = {name: mask.clone() for name, mask in candidate.mask.items()}  # the score may write to the candidate's
    try:
        with settings_kept(), untouched_generators():
            seed_generators(candidate.generator.initial_seed())
            scores: object = score(candidate)
    except UserCodeError:
        raise
    except InputError as error:  # the score does not fit the network, or its options do not fit the data
        raise InputError([f"{named}: {problem}" for problem in error.problems]) from error
    except (Exception, SystemExit) as error:
        raise UserCodeError(f"{named}: fails ({when}): {one_line(error)}{_hint(score, error)}") from error
    problems = list(_wrong(scores, alive, may_be_nan or not candidate.is_finite))
    if problems:
        raise UserCodeError([f"{named}: {problem} ({when})" for problem in problems])
    assert isinstance(scores, Mapping)
    return {name: scores[name].detach() for name in alive}


def _hint(score: Score, error: BaseException) -> str:
    """What may be wrong where a score takes a candidate for one tensor's weights."""
    looks_so = isinstance(error, AttributeError | TypeError) and not isinstance(score, by_tensor)
    return f"; {_BY_TENSOR}" if looks_so else ""


def _wrong(scores: object, alive: Mapping[str, Tensor], may_be_nan: bool) -> Iterator[str]:
    names = list(alive)
    if not isinstance(scores, Mapping):
        hint = f"; {_BY_TENSOR}" if isinstance(scores, Tensor) else ""
        yield f"returned a {type(scores).__name__}, must return a tensor for each of {', '.join(names)}, by name{hint}"
        return
    if missing := [name for name in names if name not in scores]:
        yield f"returned nothing for {', '.join(missing)}, must return a tensor for each of {', '.join(names)}"
    if unknown := [str(name) for name in scores if name not in alive]:
        yield f"returned scores for {', '.join(unknown)}, must return them for {', '.join(names)} and nothing else"
    for name, kept in alive.items():
        wrong = _wrong_tensor(scores[name], kept, may_be_nan) if name in scores else None
        if wrong:
            yield f"{wrong} for {name}"


def _wrong_tensor(scores: object, alive: Tensor, may_be_nan: bool) -> str | None:
    shape = tuple(alive.shape)
    if not isinstance(scores, Tensor):
        return f"returned a {type(scores).__name__}, must return a tensor of shape {shape},"
    if scores.device.type != "cpu" or scores.layout != torch.strided:
        where = scores.device if scores.device.type != "cpu" else scores.layout
        return f"returned a tensor that is {where}, must return an ordinary tensor on the cpu,"
    if tuple(scores.shape) != shape:
        return f"returned a tensor of shape {tuple(scores.shape)}, must be {shape}, one number for each weight,"
    if scores.is_complex() or scores.dtype == torch.bool:
        return f"returned numbers of type {scores.dtype}, must be real (bool: scores.float() if 0 and 1 are meant),"
    broken = 0 if may_be_nan else int(torch.isnan(scores.detach())[alive].sum())
    if broken:
        return f"returned NaN for {broken} of {int(alive.sum())} surviving weights, must be a number for each,"
    return None
