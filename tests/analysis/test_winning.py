"""Every answer to the question of the paper, on tables made for it."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from tickets.analysis import Rule, against_dense, compare, criteria, too_short, winning
from tickets.analysis.messages import paragraphs

import tickets

NAN = float("nan")
NOISE = np.array([-0.001, 0.0, 0.001])
NAMED = {"a": Rule(density=0.6)}  # nearest to round 2, at 0.64


def accuracies(**means):
    """{(round, arm): three replicates} around each mean; a key is the arm and the round, such as ticket_1."""
    found = {}
    for index, (key, mean) in enumerate(means.items()):
        arm, _, number = key.rpartition("_")
        found[int(number), arm] = list(mean + np.roll(NOISE, index))
    return found


def run(made, steps, **means):
    """steps: {round: what the ticket takes to the dense networks' loss}; every other arm takes 1000 of 2000."""
    values = accuracies(**means)
    each = {key: [steps.get(key[0], 1000) if key[1] == "ticket" else 1000] * 3 for key in values}
    each = {key: [step - 1, step, step + 1] for key, (step, *_) in each.items()}
    rounds = made(values, each)
    return rounds.assign(steps_to_dense_loss=rounds["early_stop_step"], last_step=2000)


WON = {"ticket_0": 0.9, "reinit_0": 0.9, "ticket_1": 0.95, "reinit_1": 0.9, "ticket_2": 0.91, "reinit_2": 0.8}


def of(one, name):
    (criterion,) = (criterion for criterion in one.criteria if criterion.name == name)
    return criterion


def test_at_a_named_density_each_criterion_is_judged_by_its_own_interval(made):
    (one,) = winning(run(made, {1: 500, 2: 800}, **WON), NAMED)
    assert (one.run, one.answer, one.round, one.replicates) == ("a", "yes", 2, 3)
    assert one.density == pytest.approx(0.64)
    accuracy, steps, reinit = (
        of(one, name) for name in ("no worse than dense", "no slower than dense", "better than reinit")
    )
    assert accuracy.estimate.value == pytest.approx(0.01)
    assert accuracy.margin == pytest.approx(0.05 * 0.1)
    assert steps.estimate.value == pytest.approx(0.8, abs=0.001)
    assert reinit.estimate.value == pytest.approx(0.11)
    assert {criterion.estimate.n for criterion in one.criteria} == {3}
    low, high = 100 * accuracy.estimate.low, 100 * accuracy.estimate.high
    assert one.sentence.startswith(
        "a: A winning ticket at density 0.6400 (the round nearest to 0.6, named before training; 3 replicates, 95 % "
        "intervals). No worse than dense: test accuracy at early stop, ticket minus dense, +1.00 "
        f"[{low:+.2f}, {high:+.2f}] points (required: the interval above -0.50; n = 3): holds. No slower than dense: "
    )


@pytest.mark.parametrize(
    ("change", "steps", "fails"),
    [
        ({"ticket_2": 0.88}, 500, "no worse than dense"),
        ({}, 1200, "no slower than dense"),
        ({"reinit_2": 0.97}, 500, "better than reinit"),
    ],
)
def test_each_criterion_alone_makes_it_a_no(made, change, steps, fails):
    (one,) = winning(run(made, {2: steps}, **{**WON, **change}), NAMED)
    assert one.answer == "no"
    assert {criterion.name: criterion.holds for criterion in one.criteria} == {
        name: "no" if name == fails else "yes"
        for name in ("no worse than dense", "no slower than dense", "better than reinit")
    }
    assert "No winning ticket at density 0.6400 (the round" in one.sentence
    assert f"Shown not to hold: {fails}." in one.sentence


def test_other_densities_decide_nothing_where_one_was_named(made):
    rounds = run(made, {1: 2000, 2: 800}, **{**WON, "ticket_1": 0.1})
    assert winning(rounds, NAMED)[0].answer == "yes"
    assert winning(rounds, {"a": Rule(density=0.9)})[0].answer == "no"


@pytest.mark.parametrize(("named", "number"), [(1.0, 1), (0.72, 1), (0.71, 2), (0.05, 2)])
def test_the_named_density_is_that_of_the_nearest_round_on_a_log_scale(made, named, number):
    # sqrt(0.8 * 0.64) = 0.7155 lies half-way.
    assert winning(run(made, {1: 500, 2: 500}, **WON), {"a": Rule(density=named)})[0].round == number


def test_a_round_that_is_still_to_be_trained_is_waited_for(made):
    rounds = run(made, {1: 500, 2: 500}, **WON)
    (one,) = winning(rounds, {"a": Rule(density=0.1, rounds=12)})
    assert (one.answer, one.why) == ("cannot tell", "the round nearest to density 0.1 is not trained yet")
    assert winning(rounds, {"a": Rule(density=0.1, rounds=2)})[0].answer == "yes"


@pytest.mark.parametrize(("named", "waits"), [(0.63, False), (0.58, False), (0.57, True), (0.1, True)])
def test_it_is_waited_for_only_if_the_next_round_comes_nearer(made, named, waits):
    # The last two are at 0.8 and 0.64, so the next is to be at 0.512; half-way to it, on a log scale, lies 0.572.
    (one,) = winning(run(made, {1: 500, 2: 500}, **WON), {"a": Rule(density=named, rounds=12)})
    assert one.why.endswith("is not trained yet") == waits


@pytest.mark.parametrize(("named", "waits"), [(0.57, False), (0.26, False), (0.25, True), (0.1, True)])
def test_planned_densities_say_which_rounds_are_still_to_come(made, named, waits):
    # Two rounds are trained, the last at 0.64; the third is to be at 0.1. Half-way to it, on a log scale, lies 0.253.
    rule = Rule(density=named, rounds=3, densities=(0.8, 0.64, 0.1))
    (one,) = winning(run(made, {1: 500, 2: 500}, **WON), {"a": rule})
    assert one.why.endswith("is not trained yet") == waits


def test_a_run_whose_tickets_keep_their_trained_values_has_no_verdict(made):
    (one,) = winning(run(made, {1: 500, 2: 500}, **WON), {"a": Rule(density=0.6, rewind="none")})
    assert one.answer == one.answer_diverged == "cannot tell"
    assert one.why.startswith('the tickets keep their trained values (rewind.kind = "none")')
    assert one.context.early_stop is None


def test_no_other_arm_has_a_veto(made):
    rounds = run(made, {1: 500, 2: 500}, **WON)
    means = {**WON, "constant_2": 0.95, "sign_constant_2": 0.91, "repeat_2": 0.91, "reorder_2": 0.92}
    more = run(made, {1: 500, 2: 500}, **means)
    for rules in (None, NAMED):
        (few,), (many,) = winning(rounds, rules), winning(more, rules)
        assert few.answer == many.answer == "yes"
        assert [criterion.name for criterion in many.criteria] == [criterion.name for criterion in few.criteria]
    assert list(many.context.others) == ["constant", "sign_constant"]
    assert many.context.others["constant"].value == pytest.approx(-0.04)
    assert "Other arms, which do not affect the verdict: ticket minus constant -4.00" in many.sentence
    # It has one where the campaign names it.
    (asked,) = winning(more, {"a": Rule(density=0.6, controls=("reinit", "constant"))})
    assert (asked.answer, asked.why) == ("no", "shown not to hold: better than constant")


def test_without_a_named_density_the_intervals_are_simultaneous(made):
    rounds = run(made, {1: 500, 2: 500}, **WON)
    table = criteria(rounds)
    assert (table["band_low"] < table["low"]).all()
    (one,) = winning(rounds)
    assert (one.answer, one.rounds, one.round, one.tried) == ("yes", (1, 2), 2, 2)
    assert one.holding == {"no worse than dense": 2, "no slower than dense": 2, "better than reinit": 2}
    assert of(one, "better than reinit").estimate.low == table.iloc[-1]["band_low"]
    assert "no density was named before training, so 95 % intervals are simultaneous over all densities" in one.sentence


def test_what_its_own_interval_shows_the_simultaneous_one_may_not(made):
    # Six comparisons of three pairs: 4.303 standard errors become some 10.
    rounds = run(made, {1: 500, 2: 500}, **{**WON, "reinit_1": 0.944, "reinit_2": 0.904})
    (one,), (named,) = winning(rounds), winning(rounds, NAMED)
    assert (one.answer, named.answer) == ("cannot tell", "yes")
    assert one.holding["better than reinit"] == 0
    assert "Every criterion is shown to hold at none of 2 densities." in one.sentence


def test_for_lack_of_data_it_is_cannot_tell_and_never_no(made):
    noisy = run(made, {1: 500, 2: 500}, **WON)
    later = (noisy["round"] > 0) & (noisy["arm"] == "reinit")
    noisy.loc[later, "early_stop_test_accuracy"] += 0.2 * (noisy.loc[later, "replicate"] - 1)
    assert [winning(noisy, rules)[0].answer for rules in (None, NAMED)] == ["cannot tell"] * 2
    # One density where it is shown not to be so does not settle the other.
    noisy.loc[(noisy["round"] == 1) & (noisy["arm"] == "ticket"), "early_stop_test_accuracy"] = 0.5
    assert winning(noisy)[0].answer == "cannot tell"


def test_runs_that_cannot_show_it_say_why(made):
    rounds = run(made, {1: 500, 2: 500}, **WON)
    parts = [
        rounds[rounds["replicate"] == 0],
        rounds[rounds["round"] == 0],
        rounds[rounds["arm"] == "ticket"],
        rounds.drop(columns="steps_to_dense_loss"),
    ]
    single, dense, alone, bare = (winning(part, NAMED)[0] for part in parts)
    assert {one.answer for one in (single, dense, alone, bare)} == {"cannot tell"}
    assert single.why == "one replicate gives no interval; raise `replicates` and give the same command again"
    assert dense.why == "no round after the dense one is saved"
    assert alone.why.startswith("the run has no arm reinit, which the ticket must be better than; add it to `arms`")
    assert bare.why.endswith("load them with tickets.load")
    assert winning(rounds.iloc[:0]) == []
    for one in (single, dense, alone, bare):
        assert all(paragraphs(one))


@pytest.mark.parametrize(
    ("improving", "never", "wanted"), [(0, 0, "yes"), (1, 0, "yes"), (2, 0, ""), (0, 2, ""), (1, 1, "")]
)
def test_where_dense_networks_were_trained_too_briefly_there_is_no_answer(made, improving, never, wanted):
    values = {(0, "ticket"): [0.9] * 5, (1, "ticket"): [0.9, 0.901, 0.902, 0.9, 0.9], (1, "reinit"): [0.8] * 5}
    rounds = made(values).assign(early_stop_step=900.0, last_step=1000, steps_to_dense_loss=500.0)
    dense = rounds["round"] == 0
    rounds.loc[dense & (rounds["replicate"] < improving), "early_stop_step"] = 1000.0
    rounds.loc[dense & (rounds["replicate"] >= 5 - never), "steps_to_dense_loss"] = 2000.0
    (one,) = winning(rounds, {"a": Rule(density=0.8)})
    assert one.answer == (wanted or "cannot tell")
    if not wanted:
        assert one.why == f"train longer: {too_short(rounds)}"
        assert too_short(rounds).startswith("of 5 dense networks, ")


def test_a_ticket_that_is_slower_by_three_times_does_not_pass_for_stopping_at_its_last_step(made):
    values = {(0, "ticket"): [0.9] * 5, (1, "ticket"): [0.9, 0.901, 0.902, 0.9, 0.9], (1, "reinit"): [0.8] * 5}
    rounds = made(values).assign(early_stop_step=1000.0, last_step=1000, steps_to_dense_loss=300.0)
    rounds.loc[rounds["round"] == 0, "early_stop_step"] = 800.0
    rounds.loc[(rounds["round"] == 1) & (rounds["arm"] == "ticket"), "steps_to_dense_loss"] = [900, 910, 930, 940, 2000]
    (one,) = winning(rounds, {"a": Rule(density=0.8)})
    assert one.answer == "no"
    assert of(one, "no slower than dense").never == 1
    assert "1 ticket never reached it, counted as twice the steps" in one.sentence


def test_a_dense_network_that_never_gets_there_counts_as_its_last_step(made):
    values = {(0, "ticket"): [0.9] * 5, (1, "ticket"): [0.9] * 5, (1, "reinit"): [0.8] * 5}
    rounds = made(values).assign(early_stop_step=500.0, last_step=1000, steps_to_dense_loss=600.0)
    rounds.loc[(rounds["round"] == 0) & (rounds["replicate"] == 0), "steps_to_dense_loss"] = 2000.0
    (row,) = criteria(rounds).query("criterion == 'no slower than dense'").to_dict("records")
    assert row["estimate"] == pytest.approx(0.6 ** (1 / 5))


def test_a_control_that_a_round_lacks_is_not_bettered_there(made):
    rounds = run(made, {1: 500, 2: 500}, **WON)
    partly = rounds[~((rounds["round"] == 2) & (rounds["arm"] == "reinit"))]
    assert winning(partly)[0].rounds == (1,)
    assert winning(partly, NAMED)[0].answer == "cannot tell"
    last = criteria(partly).iloc[-1]
    assert (last["round"], last["criterion"], last["holds"], last["n"]) == (2, "better than reinit", "cannot tell", 0)


def test_with_diverged_trainings_both_answers_are_told(made):
    rounds = run(made, {1: 500, 2: 500}, **WON)
    # The two that are left do not agree to the last digit, which would say nothing of how far pairs spread.
    rounds["early_stop_test_accuracy"] += 1e-4 * rounds["replicate"] * (rounds["arm"] == "ticket") * rounds["round"]
    lost = (rounds["round"] == 2) & (rounds["replicate"] == 0) & (rounds["arm"] == "ticket")
    rounds.loc[lost, ["early_stop_test_accuracy", "early_stop_step", "final_test_accuracy"]] = NAN
    rounds.loc[lost, "diverged"] = True
    (one,) = winning(rounds, NAMED)
    assert (one.answer, of(one, "no worse than dense").estimate.n) == ("yes", 2)
    assert (one.trainings, one.n_diverged, one.answer_diverged) == (18, 1, "cannot tell")
    said = "1 of 18 trainings diverged and is left out; counted as the worst possible value, the answer is cannot tell."
    assert one.sentence.endswith(said)


def test_a_training_that_is_best_at_its_first_step_is_not_called_diverged(made):
    rounds = run(made, {1: 500, 2: 500}, **WON)
    rounds.loc[rounds["round"] == 2, "early_stop_step"] = 0.0
    for rules in (None, NAMED):
        (one,) = winning(rounds, rules)
        assert one.n_diverged == 0
        assert "diverged" not in one.sentence


def test_each_run_is_answered_for_itself_by_its_own_rule(made):
    one = run(made, {1: 500, 2: 500}, **WON)
    other = run(made, {1: 1900, 2: 500}, **WON).assign(run="b")
    rules = {"a": Rule(density=0.6), "b": Rule(density=0.8)}
    answers = winning(pd.concat([one, other]), rules)
    assert [(answer.run, answer.answer) for answer in answers] == [("a", "yes"), ("b", "no")]


def test_margin_and_confidence_decide(made):
    rounds = run(made, {1: 500}, ticket_0=0.9, ticket_1=0.88, reinit_1=0.7)
    assert winning(rounds, {"a": Rule(density=0.8)})[0].answer == "no"
    assert winning(rounds, {"a": Rule(density=0.8, margin=0.3)})[0].answer == "yes"
    assert winning(rounds, {"a": Rule(density=0.8, margin=0.3)}, confidence=0.9999)[0].answer == "cannot tell"


def test_the_criteria_of_a_saved_run_are_those_of_the_comparisons(campaign_file, tmp_path):
    rounds = tickets.run(campaign_file(tmp_path, replicates=3), out=tmp_path / "out").rounds
    table = criteria(rounds)
    assert len(table) == 2 * 3
    accuracy, control = against_dense(rounds), compare(rounds)
    for row in table.to_dict("records"):
        kind, number = row["criterion"], row["round"]
        tickets_of = rounds[rounds["arm"] == "ticket"].set_index(["round", "replicate"])
        if kind == "no worse than dense":
            (wanted,) = accuracy[accuracy["round"] == number][["difference", "low", "high"]].to_numpy()
            assert row["margin"] == pytest.approx(0.05 * (1 - tickets_of.loc[0, "early_stop_test_accuracy"].mean()))
        elif kind == "no slower than dense":
            dense = tickets_of.loc[0][["steps_to_dense_loss", "last_step"]].min(axis=1)
            logs = np.log(tickets_of.loc[number, "steps_to_dense_loss"] / dense)
            ends = stats.ttest_1samp(logs, 0).confidence_interval()
            wanted = np.exp([logs.mean(), ends.low, ends.high])
        else:
            rows = control[(control["round"] == number) & (control["arm"] == "reinit")]
            (wanted,) = rows[["difference", "low", "high"]].to_numpy()
        np.testing.assert_allclose([row["estimate"], row["low"], row["high"]], wanted, rtol=1e-9, atol=1e-12)


def test_a_control_that_has_trained_fewer_steps_is_said_to(made):
    rules = {"a": Rule(density=0.6, other_steps={"reinit": -100})}
    (one,) = winning(run(made, {1: 500, 2: 500}, **WON), rules)
    assert "points (required: the interval above 0; n = 3; reinit trained 100 steps fewer): holds." in one.sentence


@pytest.mark.parametrize(
    ("seen", "said"), [(0, "named before training"), (3, "named after 3 rounds"), (None, "named after all rounds")]
)
def test_a_density_that_was_named_with_results_in_sight_is_said_to_be(made, seen, said):
    (one,) = winning(run(made, {1: 500, 2: 500}, **WON), {"a": Rule(density=0.6, seen=seen)})
    assert f"(the round nearest to 0.6, {said}" in one.sentence


def test_a_loss_that_dense_networks_start_at_times_nothing(made):
    rounds = run(made, {1: 500, 2: 500}, **WON)
    rounds.loc[rounds["round"] == 0, "steps_to_dense_loss"] = 1.0
    (one,) = winning(rounds, NAMED)
    assert one.answer == "cannot tell"
    assert one.why.startswith("train longer: of 3 dense networks, 3 had reached it before the first step")
