"""The notes about a campaign's runs before they train: what is prunable, and what to know when arms are compared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tickets.fitting import Fitted
from tickets.rewinding import slow_note
from tickets.roles import recipe_sentences, small_dense_sentence, steps_sentence
from tickets.transfer import transfer_note


def foreword(runs: Sequence[Fitted]) -> list[str]:
    """The notes about some runs, each once: the runs of a sweep share most of them.

    Parameters
    ----------
    runs
        The runs.

    Returns
    -------
    list of str
        One line for each note.
    """
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
            "be decided"
        )
    yield from transfer_note(one)
    yield from slow_note(one.run)
    file = {"config": one.run.model_dump(mode="json"), "starts": one.trial.recorded_starts()}
    if one.small_dense is not None:
        file["small_dense"] = one.small_dense.as_json()
    yield from recipe_sentences(file["config"])
    yield from (line for line in (small_dense_sentence(file), steps_sentence(file)) if line)
    yield from _undecided(one)


def _undecided(one: Fitted) -> Iterator[str]:
    """A warning if the verdict needs a control that the run does not train, or that starts as the ticket does."""
    run = one.run
    controls = [arm for arm in run.verdict.controls if run.rounds > 0]
    absent = [arm for arm in controls if arm not in {arm.label for arm in run.arms}]
    alike = [arm for arm in controls if arm in one.trial.like_ticket]
    fix = "name another control in verdict.controls"
    if absent:
        yield (
            f"warning: verdict.controls = {list(run.verdict.controls)}: the run does not train {', '.join(absent)}, so "
            f'that whether there is a winning ticket will be "cannot tell"; add it to `arms`, or {fix}'
        )
    if alike:
        yield (
            f"warning: verdict.controls = {list(run.verdict.controls)}: {', '.join(alike)} starts as the ticket does "
            f'and is no control, so that whether there is a winning ticket will be "cannot tell"; {fix}'
        )
