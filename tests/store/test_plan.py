from __future__ import annotations

import shutil

import pytest

from tickets.errors import InputError
from tickets.store import CohortPlan, RoundPlan, arm_options, missing, wanted_arms, write_initial, write_round

PAIRS = (("ticket", 0), ("reinit", 0), ("reinit", 1), ("constant", 0), ("random_mask", 0))


def whole(*numbers, arms=PAIRS):
    return tuple(RoundPlan(number, 0, arms) for number in numbers)


def test_a_new_run_is_one_cohort_with_every_round(tmp_path, example):
    run = example.config()
    assert wanted_arms(run) == PAIRS
    assert missing(run, tmp_path / "not there") == (CohortPlan(0, (0, 1), False, whole(0, 1, 2)),)
    assert list(tmp_path.iterdir()) == []


def test_cohort_size_splits_a_new_run(tmp_path, example):
    plans = missing(example.config(replicates=5, cohort_size=2), tmp_path)
    assert [(plan.index, plan.replicates, plan.exists) for plan in plans] == [
        (0, (0, 1), False),
        (1, (2, 3), False),
        (2, (4,), False),
    ]
    assert all(plan.rounds == whole(0, 1, 2) for plan in plans)


def test_a_whole_run_lacks_nothing(saved_run, example):
    assert missing(example.config(), saved_run) == ()
    # Nor does it for a campaign that asks for less, or that splits cohorts in another way.
    for less in ({"replicates": 1}, {"rounds": 1}, {"arms": ["ticket", "reinit"]}, {"cohort_size": 1}):
        assert missing(example.config(**less), saved_run) == ()


def test_more_replicates_go_into_new_cohorts(saved_run, example):
    assert missing(example.config(replicates=4), saved_run) == (CohortPlan(1, (2, 3), False, whole(0, 1, 2)),)
    plans = missing(example.config(replicates=5, cohort_size=2), saved_run)
    assert [(plan.index, plan.replicates) for plan in plans] == [(1, (2, 3)), (2, (4,))]


def test_more_rounds_go_on_in_every_cohort(saved_run, example):
    example.write_cohort(saved_run, example.config(), [2], index=1, rounds=2)
    assert missing(example.config(replicates=3, rounds=4), saved_run) == (
        CohortPlan(0, (0, 1), True, whole(3, 4)),
        CohortPlan(1, (2,), True, whole(2, 3, 4)),
    )


def test_arms_and_draws_added_later_are_parts_of_the_rounds_that_are_there(saved_run, example):
    arms = ["ticket", {"name": "reinit", "draws": 3}, "shuffle", "random_mask"]
    run = example.config(arms=arms, rounds=3)
    late = (("reinit", 2), ("shuffle", 0))
    every = (("ticket", 0), ("reinit", 0), ("reinit", 1), ("reinit", 2), ("shuffle", 0), ("random_mask", 0))
    assert missing(run, saved_run) == (
        CohortPlan(0, (0, 1), True, (*(RoundPlan(n, 1, late) for n in (0, 1, 2)), *whole(3, arms=every))),
    )
    # Once round 0 has its part, it is in the plan no more; what comes later still is the next part.
    write_round(saved_run / "cohort-000", example.record(run, [0, 1], 0, 1, late))
    assert [(plan.number, plan.part) for plan in missing(run, saved_run)[0].rounds] == [
        (1, 1),
        (2, 1),
        (3, 0),
    ]
    more = example.config(arms=[*arms, "sign_constant"], rounds=0)
    assert missing(more, saved_run)[0].rounds == (RoundPlan(0, 2, (("sign_constant", 0),)),)


def test_a_cohort_goes_on_with_all_its_replicates_and_is_left_if_none_is_wanted(saved_run, example):
    example.write_cohort(saved_run, example.config(), [2, 3], index=1, rounds=1)
    assert missing(example.config(replicates=2), saved_run) == ()
    assert missing(example.config(replicates=3), saved_run) == (CohortPlan(1, (2, 3), True, whole(1, 2)),)


def test_a_cohort_with_initial_values_alone_exists_and_one_without_does_not(tmp_path, example):
    write_initial(tmp_path / "cohort-001", {1: example.theta0(1)})
    (tmp_path / "cohort-000" / ".tmp-initial-0123").mkdir(parents=True)
    assert missing(example.config(replicates=3, cohort_size=1), tmp_path) == (
        CohortPlan(0, (0,), False, whole(0, 1, 2)),
        CohortPlan(1, (1,), True, whole(0, 1, 2)),
        CohortPlan(2, (2,), False, whole(0, 1, 2)),
    )


def test_half_written_rounds_are_missing(saved_run, example):
    cohort = saved_run / "cohort-000"
    (cohort / "round-002").rename(cohort / ".tmp-round-002-0123")
    assert missing(example.config(), saved_run) == (CohortPlan(0, (0, 1), True, whole(2)),)


def test_an_arm_that_was_trained_with_other_options_is_refused(saved_run, example):
    run = example.config(arms=["ticket", {"name": "constant", "value": 0.7}])
    message = (
        r"^arm 'constant' was trained here with value = 0.5; the campaign now says 0.7; "
        r"what is committed is never changed: use another folder \(--out\), or give the arm a label of its own$"
    )
    with pytest.raises(InputError, match=message):
        missing(run, saved_run)
    # Equal numbers are equal, however they are written.
    assert missing(example.config(arms=["ticket", {"name": "constant", "value": 0.50}]), saved_run) == ()


def test_every_such_arm_is_named_once(tmp_path, example):
    rewind = {"step": 7}
    example.write(tmp_path, example.config(rewind=rewind))
    arms = ["ticket", {"name": "constant", "value": 1, "start": 0}, {"name": "random_mask", "start": 0}]
    with pytest.raises(InputError) as raised:
        missing(example.config(rewind=rewind, arms=arms), tmp_path)
    assert [problem.split("; what")[0] for problem in raised.value.problems] == [
        "arm 'constant' was trained here with value = 0.5; the campaign now says 1.0",
        "arm 'constant' was trained here with start = none; the campaign now says 0",
        "arm 'random_mask' was trained here with start = none; the campaign now says 0",
    ]


def test_a_start_without_effect_and_an_arm_that_was_not_trained_are_no_conflict(saved_run, example):
    arms = ["ticket", {"name": "reinit", "draws": 2, "start": 0}]
    assert missing(example.config(arms=arms), saved_run) == ()
    # The first part's manifest tells of all the campaign's arms; what counts are those that it trained.
    later = example.config(arms=["ticket", {"name": "constant", "value": 0.5}, "shuffle"])
    assert missing(later, saved_run)[0].rounds[0].arms == (("shuffle", 0),)


def test_options_of_an_arm_that_a_part_did_not_train_do_not_count(saved_run, example):
    listed = example.config(arms=["ticket", "shuffle", "sign_constant"], rewind={"step": 7})
    record = example.record(listed, [0, 1], 0, 1, [("shuffle", 0)])  # sign_constant is in the campaign only
    write_round(saved_run / "cohort-000", record)
    now = example.config(arms=["ticket", "shuffle", {"name": "sign_constant", "start": 0}], rewind={"step": 7})
    assert missing(now, saved_run)[0].rounds[0] == RoundPlan(0, 2, (("sign_constant", 0),))


def test_options_that_are_not_written_are_as_usual(saved_run, example):
    # No manifest says what the biases were, nor that an arm's name is its label.
    with pytest.raises(InputError) as raised:
        missing(example.config(arms=["ticket", {"name": "constant", "biases": "model"}]), saved_run)
    assert raised.value.problems[0].startswith("arm 'constant' was trained here with biases = zeros; the campaign now")
    assert missing(example.config(arms=["ticket", {"name": "constant", "biases": "zeros"}]), saved_run) == ()


def test_an_arm_under_a_label_is_another_arm(saved_run, example):
    arms = ["ticket", "reinit", {"name": "constant", "label": "ones", "value": 1, "biases": "model"}]
    run = example.config(arms=arms)
    assert wanted_arms(run) == (("ticket", 0), ("reinit", 0), ("ones", 0))
    assert missing(run, saved_run)[0].rounds[0] == RoundPlan(0, 1, (("ones", 0),))
    assert arm_options(run.arms) == {
        "ticket": {"start": None, "value": None},
        "reinit": {"start": None, "value": None},
        "ones": {"name": "constant", "start": None, "value": 1.0, "biases": "model"},
    }


def test_a_label_that_was_given_to_another_arm_is_refused(tmp_path, example):
    example.write(tmp_path, example.config(arms=["ticket", {"name": "reinit", "label": "mine"}]))
    with pytest.raises(
        InputError, match=r"^arm 'mine' was trained here with name = reinit; the campaign now says shuffle"
    ):
        missing(example.config(arms=["ticket", {"name": "shuffle", "label": "mine"}]), tmp_path)


@pytest.mark.parametrize("gone", ["round-000", "round-001"])
def test_a_hole_between_rounds_is_refused(saved_run, example, gone):
    shutil.rmtree(saved_run / "cohort-000" / gone)
    with pytest.raises(InputError, match=rf"{gone}: missing, though later rounds or parts are there; .*tickets verify"):
        missing(example.config(), saved_run)
