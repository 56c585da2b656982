"""By hand, and against a few lines of pandas and scipy."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from tickets.analysis import Rule, against_dense, compare, max_t, measurements, over_replicates

import tickets
from tickets.errors import InputError

NAN = float("nan")
CONTRACT = [
    "run", "round", "density", "arm", "metric", "n", "difference", "low", "high", "p", "p_adjusted", "verdict",
]  # fmt: skip


def at(table, number, arm):
    (row,) = table[(table["round"] == number) & (table["arm"] == arm)].to_dict("records")
    return row


def test_a_comparison_by_hand(made):
    rounds = made({(1, "ticket"): [0.90, 0.92, 0.94], (1, "reinit"): [0.89, 0.90, 0.91]})
    table = compare(rounds)
    assert list(table.columns)[:12] == CONTRACT
    # One comparison alone is its own family.
    assert (at(table, 1, "reinit")["band_low"], at(table, 1, "reinit")["band_high"]) == pytest.approx(
        (-0.004841, 0.044841), abs=1e-6
    )
    row = at(table, 1, "reinit")
    # The differences are 0.01, 0.02 and 0.03: m = 0.02, s = 0.01, 4.302653 x 0.01 / sqrt(3) = 0.024841
    assert (row["run"], row["density"], row["metric"], row["n"]) == ("a", 0.8, "early_stop_test_accuracy", 3)
    assert row["difference"] == pytest.approx(0.02, abs=1e-12)
    assert (row["low"], row["high"]) == (pytest.approx(-0.004841, abs=1e-6), pytest.approx(0.044841, abs=1e-6))
    assert row["verdict"] == "cannot tell"
    assert np.isnan([row["p"], row["p_adjusted"], row["ratio"]]).all()
    assert row["smallest_p"] == 0.25
    assert row["smallest"] == pytest.approx(5.653489 * 0.01 / np.sqrt(3), rel=1e-5)


@pytest.mark.parametrize(
    ("ticket", "control", "wanted"),
    [
        ([0.90, 0.91, 0.92], [0.80, 0.81, 0.821], "better"),
        ([0.80, 0.81, 0.821], [0.90, 0.91, 0.92], "worse"),
        ([0.90, 0.91, 0.92], [0.9001, 0.9099, 0.92], "equivalent"),
        ([0.902, 0.9121, 0.922], [0.90, 0.91, 0.92], "equivalent"),  # above 0 for certain, by 0.2 points
        ([0.90, 0.99, 0.92], [0.80, 0.99, 0.99], "cannot tell"),
        ([0.90], [0.10], "cannot tell"),
        ([NAN, NAN, 0.9], [0.1, 0.1, 0.1], "cannot tell"),
    ],
)
def test_every_verdict(made, ticket, control, wanted):
    (row,) = compare(made({(1, "ticket"): ticket, (1, "reinit"): control})).to_dict("records")
    assert row["verdict"] == wanted
    losses = compare(made({(1, "ticket"): control, (1, "reinit"): ticket}), "final_test_loss", margin=0.005)
    assert losses["verdict"].tolist() == [wanted]  # less is better


def test_one_replicate_has_a_difference_and_no_interval(made):
    (row,) = compare(made({(1, "ticket"): [0.9], (1, "reinit"): [0.5]})).to_dict("records")
    assert (row["n"], row["difference"], row["verdict"]) == (1, 0.4, "cannot tell")
    assert np.isnan([row["low"], row["high"], row["p"], row["smallest"]]).all()


def test_draws_are_averaged_within_each_replicate_first(made):
    single = made({(1, "ticket"): [0.9, 0.8, 0.7], (1, "reinit"): [0.5, 0.6, 0.65]})
    drawn = made({(1, "ticket"): [0.9, 0.8, 0.7], (1, "reinit"): [[0.4, 0.6], [0.55, 0.65], [0.6, 0.65, 0.7]]})
    pd.testing.assert_frame_equal(compare(single), compare(drawn), rtol=1e-12)
    assert compare(drawn)["n"].tolist() == [3]


def test_a_draw_that_diverged_is_in_no_mean_and_is_counted(made):
    rounds = made({(1, "ticket"): [0.9, 0.8], (1, "reinit"): [[0.5, NAN], [0.6, 0.6]]})
    row = at(compare(rounds), 1, "reinit")
    assert (row["n"], row["n_diverged"], row["difference"]) == (2, 1, pytest.approx(0.3))
    # Counted as accuracy 0 it makes the replicate's mean 0.25.
    assert at(compare(rounds, count_diverged=True), 1, "reinit")["difference"] == pytest.approx((0.65 + 0.2) / 2)


def test_pairs_that_diverged_are_left_out_and_how_the_verdict_changes_is_shown(made):
    rounds = made(
        {
            (1, "ticket"): [0.90, 0.91, 0.92, NAN],
            (1, "reinit"): [0.80, 0.81, 0.821, 0.8],
            (1, "constant"): [NAN, NAN, NAN, NAN],
            (1, "shuffle"): [0.5, 0.5, 0.505, NAN],
        }
    )
    table, counted = compare(rounds), compare(rounds, count_diverged=True)
    assert table["n"].tolist() == [3, 0, 3]
    assert table["n_diverged"].tolist() == [1, 5, 2]
    assert table["verdict"].tolist() == ["better", "cannot tell", "better"]
    assert np.isnan(at(table, 1, "constant")["band_low"])
    assert table["verdict_diverged"].tolist() == counted["verdict"].tolist()
    assert counted["n"].tolist() == [4, 4, 4]
    assert counted["difference"].tolist() == pytest.approx([(0.299 - 0.8) / 4, 2.73 / 4, 1.225 / 4])
    # A single 0 among good values widens an interval, whoever diverged.
    assert counted["verdict"].tolist() == ["cannot tell"] * 3
    assert np.isnan(at(table, 1, "constant")["difference"])


def test_a_control_that_always_diverges_is_beaten_only_if_that_counts(made):
    rounds = made({(1, "ticket"): [0.90, 0.91, 0.92], (1, "constant"): [NAN, NAN, NAN]})
    (row,) = compare(rounds).to_dict("records")
    assert (row["n"], row["n_diverged"], row["verdict"], row["verdict_diverged"]) == (0, 3, "cannot tell", "better")


def test_where_nothing_is_the_worst_possible_the_worst_of_the_run_counts(made):
    rounds = made({(0, "ticket"): [1.0, 9.0], (1, "ticket"): [2.0, NAN], (1, "reinit"): [3.0, 3.0]})
    other = made({(1, "ticket"): [99.0, 99.0], (1, "reinit"): [99.0, 99.0]}, run="b")
    both = pd.concat([rounds, other])
    row = compare(both, "final_test_loss", count_diverged=True).iloc[0]
    assert row["difference"] == pytest.approx(((2 - 3) + (9 - 3)) / 2)


def test_the_early_stop_step_is_judged_by_its_ratio(made):
    steps = {(1, "ticket"): [100, 200, 300], (1, "reinit"): [200, 410, 610]}
    accuracies = {key: [0.5] * 3 for key in steps}
    (row,) = compare(made(accuracies, steps), "early_stop_step").to_dict("records")
    assert row["difference"] == pytest.approx((-100 - 210 - 310) / 3)
    logs = np.log([100 / 200, 200 / 410, 300 / 610])
    wanted = stats.ttest_1samp(logs, 0).confidence_interval()
    assert row["ratio"] == pytest.approx((0.5 * (200 / 410) * (300 / 610)) ** (1 / 3))
    assert row["ratio_low"] == pytest.approx(np.exp(wanted.low))
    assert row["ratio_high"] == pytest.approx(np.exp(wanted.high))
    assert row["verdict"] == "better"  # fewer steps
    assert row["low"] < 0 < row["high"]  # the steps themselves would not have told
    assert row["smallest"] == pytest.approx(np.exp(5.653489 * logs.std(ddof=1) / np.sqrt(3)), rel=1e-5)


@pytest.mark.parametrize(("margin", "wanted"), [(None, "equivalent"), (0.03, "worse"), (0.05, "equivalent")])
def test_the_margin_of_the_ratio_is_relative_and_the_same_both_ways(made, margin, wanted):
    steps = {(1, "ticket"): [1040, 1041, 1039], (1, "reinit"): [1000, 1000, 1000]}
    table = compare(made({key: [0.5] * 3 for key in steps}, steps), "early_stop_step", margin)
    assert table["verdict"].tolist() == [wanted]
    swapped = {(1, "ticket"): steps[1, "reinit"], (1, "reinit"): steps[1, "ticket"]}
    table = compare(made({key: [0.5] * 3 for key in steps}, swapped), "early_stop_step", margin)
    assert table["verdict"].tolist() == [wanted.replace("worse", "better")]


def test_a_training_that_never_got_better_than_its_start_is_not_a_fast_one(made):
    steps = {(1, "ticket"): [100, 100, 100], (1, "constant"): [0, 1000, 900]}
    rounds = made({key: [0.5] * 3 for key in steps}, steps)
    row = at(compare(rounds, "early_stop_step"), 1, "constant")
    assert (row["n"], row["n_diverged"], row["difference"]) == (2, 1, -850)
    assert at(compare(rounds, "early_stop_step", count_diverged=True), 1, "constant")["difference"] == -2600 / 3


def test_p_and_verdict_are_adjusted_over_all_comparisons_of_a_run(made):
    rng = np.random.default_rng(0)
    arms = ("ticket", "reinit", "constant")
    values = {
        (number, arm): list(rng.normal(0.8 + 0.01 * (arm == "ticket"), 0.01, 8)) for number in range(5) for arm in arms
    }
    rounds = pd.concat([made(values), made({key: row[::-1] for key, row in values.items()}, run="b")])
    table = compare(rounds)
    for run, part in table.groupby("run"):
        of_run = rounds[rounds["run"] == run]
        wide = of_run.pivot(index=["round", "arm"], columns="replicate", values="early_stop_test_accuracy")
        keys = list(zip(part["round"], part["arm"], strict=True))
        differences = np.array([wide.loc[number, "ticket"] - wide.loc[number, arm] for number, arm in keys])
        wanted = max_t(differences)
        np.testing.assert_allclose(part["p_adjusted"], np.maximum(part["p"], wanted.p_adjusted))
        half = wanted.critical * differences.std(axis=1, ddof=1) / np.sqrt(8)
        np.testing.assert_allclose(part["band_high"] - part["difference"], half)
        assert (part["band_low"] < part["low"]).all()
    assert (table["p_adjusted"] >= table["p"]).all()


def test_no_ticket_is_better_beside_an_adjusted_p_above_a_twentieth(made):
    # By the t-interval for certain, but signs of 5 and 1 come up by chance alone in 14 of 64 cases.
    ticket, control = [0.95, 0.95, 0.95, 0.95, 0.949, 0.899], [0.9] * 6
    (row,) = compare(made({(1, "ticket"): ticket, (1, "reinit"): control})).to_dict("records")
    assert row["band_low"] > 0
    assert row["p"] == row["p_adjusted"] == 0.0625
    assert row["verdict"] == "cannot tell"


def test_a_tenth_arm_changes_no_difference_and_measurements_are_no_controls(made):
    values = {(1, "ticket"): [0.9, 0.91, 0.92], (1, "reinit"): [0.8, 0.81, 0.82]}
    again = {(1, "repeat"): [0.91, 0.91, 0.91], (1, "reorder"): [0.9, 0.9, 0.9]}
    table = compare(made({**values, **again}))
    pd.testing.assert_frame_equal(table, compare(made(values)))
    found = measurements(made({**values, **again}), "early_stop_test_accuracy")
    assert found["arm"].tolist() == ["repeat", "reorder"]
    assert found["n"].tolist() == [3, 3]
    assert found["difference"].tolist() == pytest.approx([0.0, 0.01])
    assert found["spread"].tolist() == pytest.approx([np.sqrt(2e-4 / 3), np.sqrt(5e-4 / 3)])
    with pytest.raises(InputError, match="no ticket with a control"):
        compare(made({(1, "ticket"): [0.9, 0.91], (1, "repeat"): [0.9, 0.9]}))


def test_what_does_not_matter_is_a_share_of_the_dense_networks_own_error(made):
    for dense, wanted in ((0.98, 0.001), (0.6, 0.02)):
        rounds = made({(0, "ticket"): [dense] * 3, (1, "ticket"): [0.9] * 3, (1, "reinit"): [0.89, 0.9, 0.91]})
        assert compare(rounds)["margin"].tolist() == pytest.approx([wanted])
        assert compare(rounds, rules={"a": Rule(margin=0.1)})["margin"].tolist() == pytest.approx([2 * wanted])
        assert compare(rounds, "final_test_loss")["margin"].tolist() == pytest.approx([0.05 * dense])
        assert compare(rounds, "early_stop_step")["margin"].tolist() == [pytest.approx(0.05)]
    without = made({(1, "ticket"): [0.9] * 3, (1, "reinit"): [0.89, 0.9, 0.91]})
    assert compare(without)["margin"].tolist() == [0.005]


def test_the_rows_are_by_run_round_and_arm_as_they_come(made):
    one = made({(number, arm): [0.5, 0.6] for number in (0, 1) for arm in ("ticket", "reinit", "constant")}, run="z")
    # An arm that was added later, for one round and replicate only.
    two = made({(1, "ticket"): [0.5, 0.6], (1, "shuffle"): [0.5], (0, "ticket"): [0.5, 0.6]}, run="a")
    table = compare(pd.concat([one, two]))
    assert table[["run", "round", "arm"]].to_numpy().tolist() == [
        ["z", 0, "reinit"], ["z", 0, "constant"], ["z", 1, "reinit"], ["z", 1, "constant"], ["a", 1, "shuffle"],
    ]  # fmt: skip
    assert table["n"].tolist() == [2, 2, 2, 2, 1]


def test_replicates_are_paired_by_their_number_and_not_by_their_place(made):
    rounds = made({(1, "ticket"): [0.1, 0.2, 0.3], (1, "reinit"): [0.0, 0.1, 0.2]})
    shuffled = rounds.sample(frac=1, random_state=3)
    assert compare(shuffled)["difference"].tolist() == pytest.approx([0.1])
    missing = rounds[~((rounds["replicate"] == 0) & (rounds["arm"] == "reinit"))]
    assert compare(missing)["n"].tolist() == [2]
    assert (compare(missing)["high"] - compare(missing)["low"]).tolist() == pytest.approx([0.0], abs=1e-9)


def test_against_dense_pairs_each_round_with_the_round_0_of_its_replicate(made):
    rounds = made({(0, "ticket"): [0.5, 0.6], (1, "ticket"): [0.55, 0.66], (2, "ticket"): [0.4, NAN]})
    table = against_dense(rounds)
    assert table["arm"].tolist() == ["dense", "dense"]
    assert table["round"].tolist() == [1, 2]
    assert table["density"].tolist() == pytest.approx([0.8, 0.64])
    assert table["difference"].tolist() == pytest.approx([0.055, -0.1])
    assert table["n"].tolist() == [2, 1]
    assert table["n_diverged"].tolist() == [0, 1]
    assert against_dense(rounds[rounds["round"] == 0]).empty


def test_the_numbers_of_a_saved_run_in_a_few_lines_of_pandas(campaign_file, tmp_path):
    rounds = tickets.run(campaign_file(tmp_path, replicates=3, rounds=1), out=tmp_path / "out").rounds
    table = compare(rounds)
    wide = rounds.groupby(["round", "replicate", "arm"])["early_stop_test_accuracy"].mean().unstack("arm")
    assert len(table) == 4
    for row in table.to_dict("records"):
        differences = (wide["ticket"] - wide[row["arm"]]).loc[row["round"]]
        assert row["n"] == 3
        assert row["difference"] == pytest.approx(differences.mean(), abs=1e-12)
        half = stats.t.ppf(0.975, 2) * differences.std() / np.sqrt(3)
        assert row["high"] - row["difference"] == pytest.approx(half, abs=1e-12)
    means = over_replicates(rounds).set_index(["round", "arm"])["mean"].unstack("arm")
    for row in table.to_dict("records"):
        gap = means.loc[row["round"], "ticket"] - means.loc[row["round"], row["arm"]]
        assert row["difference"] == pytest.approx(gap, abs=1e-12)


def test_nothing_given_is_changed(made):
    rounds = made({(1, "ticket"): [0.5, NAN], (1, "reinit"): [0.5, 0.1]})
    before = rounds.copy()
    compare(rounds, "early_stop_step")
    against_dense(rounds)
    pd.testing.assert_frame_equal(rounds, before)


def test_wrong_input_is_said(made):
    rounds = made({(1, "ticket"): [0.5, 0.6], (1, "reinit"): [0.5, 0.1]})
    with pytest.raises(InputError, match=r"metric = 'early_stop_steps': must be one of .*mean 'early_stop_step'\?"):
        compare(rounds, "early_stop_steps")
    for margin in (-0.1, NAN, float("inf")):
        with pytest.raises(InputError, match=rf"margin = {margin}: must be a number >= 0"):
            compare(rounds, margin=margin)
    with pytest.raises(InputError, match=r"confidence = 95: must lie between 0 and 1"):
        compare(rounds, confidence=95)
    with pytest.raises(InputError, match=r"run a: no ticket with a control to compare it with; add one to `arms`"):
        compare(rounds[rounds["arm"] == "ticket"])
    with pytest.raises(InputError, match=r"no rounds are saved: a control"):
        compare(rounds.iloc[:0])


def test_many_runs_take_a_second_or_two_and_not_a_minute(made):
    rng = np.random.default_rng(0)
    arms = ("ticket", "reinit", "constant", "shuffle", "random_mask")
    one = made({(number, arm): list(rng.random(5)) for number in range(17) for arm in arms})
    table = compare(pd.concat([one.assign(run=f"run-{index:03d}") for index in range(200)]))
    assert len(table) == 200 * 17 * 4
    first = table[table["run"] == "run-000"].drop(columns="run")
    last = table[table["run"] == "run-199"].drop(columns="run").reset_index(drop=True)
    pd.testing.assert_frame_equal(first, last)


def test_before_training_a_missing_value_is_not_the_worst(made):
    values = {
        (0, "ticket"): [0.1, 0.1],
        (1, "ticket"): [0.4, 0.6],
        (1, "reinit"): [0.1, 0.1],
        (2, "ticket"): [NAN, NAN],
    }
    rounds = made({**values, (2, "reinit"): [0.1, 0.1]}).rename(
        columns={"final_test_accuracy": "untrained_test_accuracy"}
    )
    table = compare(rounds, "untrained_test_accuracy")
    assert at(table, 1, "reinit")["difference"] == pytest.approx(0.4)
    assert at(table, 1, "reinit")["margin"] == pytest.approx(0.05 * 0.9)
    later = at(table, 2, "reinit")
    assert (later["n"], later["verdict"], later["verdict_diverged"]) == (0, "cannot tell", "cannot tell")
