"""What is said of a campaign's runs before they train: what is prunable, and what a comparison of arms must know."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tickets.fitting import Fitted
from tickets.roles import steps_sentence


def foreword(runs: Sequence[Fitted]) -> list[str]:
    """The lines for these runs, each once: runs of one sweep mostly share them."""
    return list(dict.fromkeys(line for one in runs for line in _lines(one)))


def _lines(one: Fitted) -> Iterator[str]:
    name = f"model {one.run.model.name}"
    yield f"{name}: {one.coverage.sentence}"
    if one.coverage.warning:
        yield f"warning: {name}: {one.coverage.warning}"
    yield from one.trial.notes
    if one.scale.accuracy == "none":
        yield (
            f"warning: train.loss {one.run.train.loss}: has neither accuracy nor R2, since the model's outputs and the "
            "labels have other shapes; arms are compared by their losses, and whether there is a winning ticket cannot "
            "be told"
        )
    steps = steps_sentence({"config": one.run.model_dump(mode="json"), "starts": one.trial.recorded_starts()})
    if steps:
        yield steps
