"""What a saved run lacks: cohorts, rounds, and arms and draws that were added later."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tickets.catalogue import ARMS
from tickets.config import ArmConfig
from tickets.config.named import added_later
from tickets.config.own_train import inline
from tickets.errors import InputError
from tickets.store.survey import REPAIR, Pair, SavedCohort, SavedRound, survey

if TYPE_CHECKING:
    from tickets.config import Run


@dataclass(frozen=True)
class RoundPlan:
    """What is missing of one round.

    Attributes
    ----------
    number
        The round.
    part
        The part to train. Part 0 is the whole round with its ticket; parts from 1 have arms and draws added later.
    arms
        The missing (arm, draw) pairs.
    """

    number: int
    part: int
    arms: tuple[Pair, ...]


@dataclass(frozen=True)
class CohortPlan:
    """What is missing of one cohort.

    Attributes
    ----------
    index
        The number of the cohort.
    replicates
        The replicates that it has, or will have.
    exists
        Whether its initial values are committed.
    rounds
        What is missing of each round; rounds that lack nothing are left out.
    """

    index: int
    replicates: tuple[int, ...]
    exists: bool
    rounds: tuple[RoundPlan, ...]


def missing(run: Run, folder: Path, gaps: bool = False) -> tuple[CohortPlan, ...]:
    """What is missing of a run in a folder, by cohort; empty if nothing is.

    Saved cohorts keep their replicates and get the rounds, arms and draws that they lack. The other replicates form new
    cohorts of `cohort_size`. Nothing is written.

    Parameters
    ----------
    run
        The run, as the campaign file has it.
    folder
        The run's folder; it need not exist.
    gaps
        Whether a round before the last may be missing, as after a repair; it is trained again.

    Raises
    ------
    InputError
        If an arm was trained there with other options, or (without `gaps`) if a round before the last is missing.
    """
    return plan(run, survey(folder), gaps=gaps)


def plan(
    run: Run,
    saved: Sequence[SavedCohort],
    options: Mapping[str, Mapping[str, Any]] | None = None,
    gaps: bool = False,
) -> tuple[CohortPlan, ...]:
    """As `missing`, for committed cohorts that were read before: a pure function.

    Parameters
    ----------
    run
        The run, as the campaign file has it.
    saved
        Its committed cohorts.
    options
        What `arm_options` gives for its arms, if the caller has it.
    gaps
        See `missing`.
    """
    conflicts = list(dict.fromkeys(_conflicts(arm_options(run.arms) if options is None else options, run, saved)))
    for gap in [cohort.gap for cohort in saved if cohort.gap is not None and not gaps]:
        conflicts.append(
            f"{gap}: missing, though later rounds or parts are there; take it from a backup (`tickets verify` lists "
            f"all damage), or train it again ({REPAIR})"
        )
    if conflicts:
        raise InputError(conflicts)
    wanted = set(range(run.replicates))
    old = [
        CohortPlan(cohort.index, cohort.replicates, True, _rounds(run, cohort.rounds))
        for cohort in saved
        if wanted & set(cohort.replicates)
    ]
    rest = sorted(wanted - {replicate for cohort in saved for replicate in cohort.replicates})
    size = run.cohort_size or max(len(rest), 1)
    chunks = [tuple(rest[first : first + size]) for first in range(0, len(rest), size)]
    indices = _free({cohort.index for cohort in saved}, len(chunks))
    whole = _rounds(run, {}) if chunks else ()  # one for all: there may be 100,000 cohorts
    new = [CohortPlan(index, chunk, False, whole) for index, chunk in zip(indices, chunks, strict=True)]
    return tuple(sorted((cohort for cohort in [*old, *new] if cohort.rounds), key=lambda cohort: cohort.index))


def wanted_arms(run: Run) -> tuple[Pair, ...]:
    """The (arm, draw) pairs that each round of a run trains, in the campaign's order."""
    return tuple((arm.label, draw) for arm in run.arms for draw in range(arm.draws))


def arm_options(arms: Iterable[ArmConfig]) -> dict[str, dict[str, Any]]:
    """The keys of each arm that affect its training, by label, for the manifest's "arm_options".

    These are all keys except label, draws and role. The name is left out if it is the label.
    """
    options = {}
    for arm in arms:
        found = arm.model_dump(mode="json", exclude={"label", "draws", "role"})
        if train := arm.own_train.model_dump(mode="json"):  # with the catalogue's, which a later version may change
            found["train"] = train
        options[arm.label] = {key: value for key, value in found.items() if (key, value) != ("name", arm.label)}
    return options


def _rounds(run: Run, saved: Mapping[int, SavedRound]) -> tuple[RoundPlan, ...]:
    arms = wanted_arms(run)
    plans = []
    for number in range(run.rounds + 1):
        there = saved.get(number)
        lacking = arms if there is None else tuple(pair for pair in arms if pair not in there.trained)
        if lacking:
            plans.append(RoundPlan(number, 0 if there is None else there.parts + 1, lacking))
    return tuple(plans)


def _free(taken: set[int], count: int) -> list[int]:
    """The lowest `count` cohort numbers that are not taken."""
    return [index for index in range(count + len(taken)) if index not in taken][:count]


def _conflicts(options: Mapping[str, Mapping[str, Any]], run: Run, saved: Sequence[SavedCohort]) -> Iterator[str]:
    trained = ((arm, then) for cohort in saved for found in cohort.rounds.values() for arm, then in found.options)
    for arm, then in trained:
        if arm not in options or then == options[arm]:
            continue
        before, wanted = _whole(arm, then), _whole(arm, options[arm])
        own = wanted["name"] not in ARMS
        for key in {**before, **wanted} if own else before:
            # Without rewinding every arm of the catalogue starts at step 0, with or without `start = 0`; but where
            # tickets are fine-tuned, none does.
            without_effect = key == "start" and run.rewind.step == 0 and run.rewind.kind != "none" and not own
            # Manifests of earlier versions lack the options of the catalogue's arms that were added later.
            if (key in wanted or own) and wanted.get(key) != before.get(key) and not without_effect:
                yield (
                    f"arm {arm!r} was trained here with {key} = {_shown(before.get(key))}; the campaign now says "
                    f"{_shown(wanted.get(key))}; what is committed is never changed: use another folder (--out), or "
                    "give the arm a label of its own"
                )


def _whole(arm: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """An arm's options, including those that are left out at their defaults."""
    name = str(options.get("name", arm))
    return {"name": name, **added_later(ArmConfig.form({"name": name})), "train": {}, **options}


def _shown(value: object) -> str:
    if isinstance(value, Mapping):
        return inline(value)
    return "none" if value is None else str(value)
