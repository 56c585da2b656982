"""Every answer to the question of the paper, on tables made for it."""

import numpy as np
import pandas as pd
import pytest
from tickets.analysis import against_dense, compare, criteria, winning

import tickets

NAN = float("nan")
NOISE = np.array([-0.001, 0.0, 0.001])


def accuracies(**means):
    """{(round, arm): three replicates} around each mean; a key is the arm and the round, such as ticket_1."""
    found = {}
    for index, (key, mean) in enumerate(means.items()):
        arm, _, number = key.rpartition("_")
        found[int(number), arm] = list(mean + np.roll(NOISE, index))
    return found


def run(made, steps, **means):
    """steps: {round: the ticket's early-stop step}; every other arm's is 1000."""
    values = accuracies(**means)
    each = {key: [steps.get(key[0], 1000) if key[1] == "ticket" else 1000] * 3 for key in values}
    each = {key: [step - 1, step, step + 1] for key, (step, *_) in each.items()}
    return made(values, each)


WON = {"ticket_0": 0.9, "reinit_0": 0.9, "ticket_1": 0.95, "reinit_1": 0.9, "ticket_2": 0.91, "reinit_2": 0.8}


def test_a_winning_ticket_is_told_with_the_smallest_density_and_how_much_better_it_is(made):
    (one,) = winning(run(made, {0: 1000, 1: 500, 2: 800}, **WON))
    assert (one.run, one.answer, one.rounds, one.tried) == ("a", "yes", (1, 2), 2)
    assert one.density == pytest.approx(0.64)
    assert (one.controls, one.replicates, one.but_for, one.n_diverged) == (("reinit",), 3, {}, 0)
    assert one.held == {"no worse than dense": 2, "no slower than dense": 2, "better than reinit": 2}
    assert one.accuracy.value == pytest.approx(0.01)
    assert one.accuracy.n == one.steps.n == 3
    assert one.steps.value == pytest.approx(0.8, abs=0.001)
    low, high = 100 * one.accuracy.low, 100 * one.accuracy.high
    assert one.sentence == (
        f"a: a winning ticket at 2 of 2 densities, down to 0.6400: there it is +1.00 points [{low:+.2f}, {high:+.2f}] "
        f"from dense in test accuracy, stops early after 0.80 [{one.steps.low:.2f}, {one.steps.high:.2f}] times its "
        "steps, and is better than reinit (3 replicates, 95 % intervals)."
    )


@pytest.mark.parametrize(
    ("change", "steps", "fails"),
    [
        ({"ticket_1": 0.88, "reinit_1": 0.8}, 500, "no worse than dense"),
        ({}, 1200, "no slower than dense"),
        ({"reinit_1": 0.951}, 500, "better than reinit"),  # equivalent
        ({"reinit_1": 0.97}, 500, "better than reinit"),  # worse
    ],
)
def test_each_criterion_alone_makes_it_a_no(made, change, steps, fails):
    means = {key: mean for key, mean in {**WON, **change}.items() if not key.endswith("_2")}
    rounds = run(made, {1: steps}, **means)
    table = criteria(rounds)
    assert dict(zip(table["criterion"], table["holds"], strict=True)) == {
        name: "no" if name == fails else "yes"
        for name in ("no worse than dense", "no slower than dense", "better than reinit")
    }
    (one,) = winning(rounds)
    assert (one.answer, one.rounds, one.density, one.accuracy, one.steps) == ("no", (), None, None, None)
    assert one.sentence.startswith("a: no winning ticket: at each of 1 densities something is shown not to hold;")
    assert f"{fails} 0" in one.sentence


def test_for_lack_of_data_it_is_cannot_tell_and_never_no(made):
    rounds = run(made, {1: 500, 2: 500}, **WON)
    noisy = rounds.copy()
    later = (noisy["round"] > 0) & (noisy["arm"] == "reinit")
    noisy.loc[later, "early_stop_test_accuracy"] += 0.2 * (noisy.loc[later, "replicate"] - 1)
    (one,) = winning(noisy)
    assert one.answer == "cannot tell"
    assert one.held == {"no worse than dense": 2, "no slower than dense": 2, "better than reinit": 0}
    assert "cannot tell whether there is a winning ticket: at none of 2 densities is everything shown" in one.sentence
    # One density where it is shown not to be so does not settle the other.
    noisy.loc[(noisy["round"] == 1) & (noisy["arm"] == "ticket"), "early_stop_test_accuracy"] = 0.5
    assert winning(noisy)[0].answer == "cannot tell"


def test_runs_that_cannot_show_it_say_why(made):
    rounds = run(made, {1: 500, 2: 500}, **WON)
    single, dense, alone = (
        winning(part)[0]
        for part in (rounds[rounds["replicate"] == 0], rounds[rounds["round"] == 0], rounds[rounds["arm"] == "ticket"])
    )
    assert {one.answer for one in (single, dense, alone)} == {"cannot tell"}
    assert single.sentence.endswith(
        "one replicate gives no interval; raise `replicates` and give the same command again."
    )
    assert dense.sentence.endswith("no round after the dense one is saved.")
    assert "it has no controls (add some to `arms`); densities where each is shown: no worse than dense 2, no" in (
        alone.sentence
    )
    assert winning(rounds.iloc[:0]) == []


def test_a_control_that_a_round_lacks_is_not_bettered_there(made):
    rounds = run(made, {1: 500, 2: 500}, **WON)
    partly = rounds[~((rounds["round"] == 2) & (rounds["arm"] == "reinit"))]
    (one,) = winning(partly)
    assert one.rounds == (1,)
    last = criteria(partly).iloc[-1]
    assert (last["round"], last["criterion"], last["holds"], last["n"]) == (2, "better than reinit", "cannot tell", 0)


def test_the_one_control_that_stands_in_the_way_is_named(made):
    means = {**WON, "constant_0": 0.9, "constant_1": 0.95, "constant_2": 0.91}
    (one,) = winning(run(made, {1: 500, 2: 500}, **means))
    assert (one.answer, one.density) == ("no", None)
    assert one.but_for == {"constant": pytest.approx(0.64)}
    assert one.sentence.endswith(" But without constant it would be a yes, down to density 0.6400.")
    (only,) = winning(run(made, {1: 500}, ticket_0=0.9, ticket_1=0.95, reinit_1=0.95))
    assert only.but_for == {}  # without any control there is no yes


def test_with_diverged_trainings_both_answers_are_told(made):
    rounds = run(made, {1: 500, 2: 500}, **WON)
    lost = (rounds["round"] == 2) & (rounds["replicate"] == 0) & (rounds["arm"] == "ticket")
    rounds.loc[lost, ["early_stop_test_accuracy", "early_stop_step"]] = NAN
    rounds.loc[lost, "diverged"] = True
    (one,) = winning(rounds)
    assert (one.answer, one.rounds, one.accuracy.n) == ("yes", (1, 2), 2)
    # Counted as 0 among three, one ticket makes the smaller density anybody's guess.
    assert (one.trainings, one.n_diverged) == (18, 1)
    assert one.answer_diverged == "yes"
    assert one.density_diverged == pytest.approx(0.8)
    told = "1 of 18 trainings have no value (diverged) and are left out; counted as the worst there is, the answer is "
    assert told in one.sentence
    assert one.sentence.endswith("the answer is yes, down to density 0.8000.")
    (whole,) = winning(rounds[~((rounds["replicate"] == 0) & (rounds["round"] == 2))].assign(diverged=False))
    assert "diverged" not in whole.sentence


def test_each_run_is_answered_for_itself(made):
    one, other = run(made, {1: 500, 2: 500}, **WON), run(made, {1: 2000, 2: 2000}, **WON).assign(run="b")
    assert [(answer.run, answer.answer) for answer in winning(pd.concat([one, other]))] == [("a", "yes"), ("b", "no")]


def test_margins_and_confidence_decide(made):
    rounds = run(made, {1: 1100}, ticket_0=0.9, ticket_1=0.88, reinit_1=0.7)
    assert winning(rounds)[0].answer == "no"
    assert winning(rounds, margin=0.03, step_margin=0.2)[0].answer == "yes"
    assert winning(rounds, margin=0.03)[0].held["no slower than dense"] == 0
    assert winning(rounds, margin=0.03, step_margin=0.2, confidence=0.9999)[0].answer == "cannot tell"


def test_the_criteria_of_a_saved_run_are_those_of_the_comparisons(campaign_file, tmp_path):
    rounds = tickets.run(campaign_file(tmp_path, replicates=3), out=tmp_path / "out").rounds
    table = criteria(rounds)
    assert len(table) == 2 * 4
    accuracy, steps, control = against_dense(rounds), against_dense(rounds, "early_stop_step"), compare(rounds)
    for row in table.to_dict("records"):
        kind, number = row["criterion"], row["round"]
        if kind == "no worse than dense":
            (wanted,) = accuracy[accuracy["round"] == number][["difference", "low", "high"]].to_numpy()
            held = "yes" if wanted[1] >= -0.005 else "no" if wanted[2] < -0.005 else "cannot tell"
        elif kind == "no slower than dense":
            (wanted,) = steps[steps["round"] == number][["ratio", "ratio_low", "ratio_high"]].to_numpy()
            held = "yes" if wanted[2] <= 1.05 else "no" if wanted[1] > 1.05 else "cannot tell"
        else:
            rows = control[(control["round"] == number) & (control["arm"] == kind.removeprefix("better than "))]
            (wanted,) = rows[["difference", "low", "high"]].to_numpy()
            told = rows["verdict"].iloc[0]
            held = "yes" if told == "better" else "no" if wanted[2] <= 0.005 else "cannot tell"
        np.testing.assert_array_equal([row["estimate"], row["low"], row["high"]], wanted)
        assert row["holds"] == held
