"""Records that do not fit together are refused, and nothing of them is written."""

from __future__ import annotations

import dataclasses

import pytest

from tickets.store import (
    wanted_arms,
    write_round,
)


def broken(example, run, change):
    record = example.record(run, [0, 1], 1, 0, wanted_arms(run))
    return dataclasses.replace(record, **change(record))


def with_mask(record, arm_name, mask):
    return [dataclasses.replace(arm, mask=mask(arm)) if arm.arm == arm_name else arm for arm in record.arms]


def flipped(arm):
    mask = {name: kept.copy() for name, kept in arm.mask.items()}
    mask["1.weight"].flat[0] ^= True
    return mask


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: {"arms": r.arms[1:]}, "every replicate must have every arm and draw, once"),
        (lambda r: {"arms": [*r.arms, r.arms[0]]}, "every replicate must have every arm and draw, once"),
        (lambda r: {"replicates": (0, 1, 2)}, "every replicate must have every arm and draw, once"),
        (lambda r: {"arms": [a for a in r.arms if a.arm != "ticket"]}, "'ticket' belongs to part 0"),
        (lambda r: {"part": 1}, "'ticket' belongs to part 0, and to no other"),
        (
            lambda r: {"arms": with_mask(r, "constant", flipped)},
            "mask of arm 'constant', replicate 0, is not of this",
        ),
        (
            lambda r: {"arms": with_mask(r, "random_mask", flipped)},
            "the mask of arm 'random_mask', replicate 0, is not",
        ),
        (lambda r: {"next_masks": {0: r.next_masks[0]}}, r"next masks of replicates \[0\]"),
        (lambda r: {"extra": {"density": 1}}, r"the manifest has keys \['density'\] of its own"),
        (lambda r: {"rounds": r.rounds.drop(columns="seconds")}, "columns are .*, but must be .*'seconds'"),
        (lambda r: {"curves": r.curves.assign(extra=1)}, "columns are .*'extra'"),
        (
            lambda r: {"curves": r.curves.assign(step=0.5)},
            "column 'step' is of type float64, but must be int64",
        ),
        (
            lambda r: {"rounds": r.rounds.assign(diverged=0)},
            "column 'diverged' is of type int64, but must be bool",
        ),
        (lambda r: {"rounds": r.rounds.assign(run=1)}, "column 'run' is of type int64, but must be string"),
        (
            lambda r: {"rounds": r.rounds.assign(seconds="1")},
            "column 'seconds' is of type .*, but must be double",
        ),
    ],
)
def test_a_record_that_does_not_fit_together_is_refused_and_nothing_is_written(tmp_path, example, change, message):
    run = example.config()
    cohort = example.write_cohort(tmp_path, run, [0, 1], rounds=1)
    write_round(cohort, example.record(run, [0, 1], 1, 0, wanted_arms(run))) if "part" in message else None
    before = sorted(path.name for path in cohort.iterdir())
    with pytest.raises(ValueError, match=message):
        write_round(cohort, broken(example, run, change))
    assert sorted(path.name for path in cohort.iterdir()) == before
