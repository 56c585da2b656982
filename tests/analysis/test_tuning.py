"""Each arm at its own best value of a swept key, recomputed in a few lines of pandas."""

import numpy as np
import pandas as pd
import pytest
from tickets.analysis import compare
from tickets.analysis.tuning import tune

import tickets
from tickets.errors import InputError

KEY = "train.learning_rate"


@pytest.fixture(scope="module")
def swept(campaign_file, tmp_path_factory):
    """Three learning rates x two seeds, 3 replicates, 2 rounds."""
    there = tmp_path_factory.mktemp("swept")
    file = campaign_file(
        there, replicates=3, rounds=1, sweep={"seed": [0, 1], KEY: [1e-4, 1e-2, 1.0]}, verdict={"density": 0.8}
    )
    return tickets.run(file, out=there / "out")


def test_each_arm_and_round_has_the_value_that_validates_best(swept):
    tuned = tune(swept, KEY)
    rounds, curves = swept.rounds, swept.curves
    configs = {run: swept.config(run) for run in swept.runs}
    for (run, number, arm), rows in tuned.chosen.groupby(["run", "round", "arm"]):
        (seed,) = (seed for seed in (0, 1) if f"seed{seed}" in run)
        means = {}
        for one, config in configs.items():
            if config["seed"] == seed:
                mine = rounds[(rounds["run"] == one) & (rounds["round"] == number) & (rounds["arm"] == arm)]
                at_best = mine.merge(
                    curves, left_on=["run", "replicate", "round", "arm", "draw", "early_stop_step"],
                    right_on=["run", "replicate", "round", "arm", "draw", "step"],
                )  # fmt: skip
                means[config["train"]["learning_rate"]] = at_best["validation_accuracy"].mean()
        assert rows["value"].item() == max(means, key=means.__getitem__)
        assert rows["score"].item() == pytest.approx(max(means.values()))
    assert tuned.chosen["value"].nunique() > 1 or (tuned.chosen["value"] == 1e-2).all()
    assert len(tuned.rounds) == len(rounds) / 3
    assert {rule.density for rule in tuned.rules.values()} == {0.8}


def test_the_joined_run_is_compared_like_any_other(swept):
    tuned = tune(swept, KEY)
    table = compare(tuned.rounds, rules=tuned.rules)
    for row in table.to_dict("records"):
        mine = tuned.rounds[(tuned.rounds["run"] == row["run"]) & (tuned.rounds["round"] == row["round"])]
        wide = mine.groupby(["replicate", "arm"])["early_stop_test_accuracy"].mean().unstack()
        assert row["difference"] == pytest.approx((wide["ticket"] - wide[row["arm"]]).mean())
        assert row["n"] == 3


def test_steps_are_measured_from_the_dense_network_at_its_own_best(swept):
    tuned = tune(swept, KEY)
    for _, mine in tuned.rounds.groupby("run"):
        dense = mine[(mine["round"] == 0) & (mine["arm"] == "ticket")]
        reached = dense["steps_to_dense_loss"] <= dense["last_step"]
        assert reached.any()
        target = 1.1 * dense["early_stop_validation_loss"].mean()
        assert (reached == (dense["early_stop_validation_loss"] <= target)).all()


def test_for_a_loss_the_lowest_validation_loss_decides(swept):
    chosen = tune(swept, KEY, "final_test_loss").chosen
    rounds = swept.rounds[swept.rounds["run"].str.contains("seed0")]
    means = rounds.groupby(["round", "arm", "run"])["early_stop_validation_loss"].mean()
    for row in chosen[chosen["run"].str.contains("seed0")].to_dict("records"):
        assert -row["score"] == pytest.approx(means.loc[row["round"], row["arm"]].min())


def test_a_key_that_was_not_swept_is_refused(swept):
    with pytest.raises(InputError, match=r"--tune train.batch_size: no two runs differ in it alone; seed, train.learn"):
        tune(swept, "train.batch_size")
    with pytest.raises(InputError, match=r"did you mean 'train.learning_rate'\?"):
        tune(swept, "train.learning_rates")


def test_the_command_shows_the_choice(swept, command):
    said = command("compare", swept.folder, "--tune", KEY)
    assert (said.code, said.err) == (0, "")
    assert f"{KEY} at which each arm validates best, by round" in said.out
    assert "digits-mlp-seed0-best-train.learning_rate" in said.out
    import json

    (first, *_) = json.loads(command("compare", swept.folder, "--tune", KEY, "--json").out)
    assert {first["ticket_value"], first["arm_value"]} <= {1e-4, 1e-2, 1.0}
    said = command("compare", swept.folder, "--tune", "seeds")
    assert (said.code, said.out) == (2, "")
    assert "did you mean 'seed'?" in said.err


def test_what_some_runs_lack_is_left_out_and_said(campaign_file, command, tmp_path):
    def run(rate, **changes):
        sweep = {KEY: [rate]}
        tickets.run(campaign_file(tmp_path / str(rate), sweep=sweep, **changes), out=tmp_path / f"out-{rate}")
        return tmp_path / f"out-{rate}"

    few, many = run(1e-3, rounds=1, replicates=2), run(1e-2, rounds=2, replicates=3)
    tuned = tune(tickets.load([few, many]), KEY)
    assert sorted(tuned.rounds["round"].unique()) == [0, 1]
    assert sorted(tuned.rounds["replicate"].unique()) == [0, 1]
    assert (tuned.chosen["of"] == 2).all()
    assert [line.partition(": ")[2] for line in tuned.left_out] == [
        "1 replicate that not every run has",
        "ticket in round 2, reinit in round 2, random_mask in round 2, which not every run has for all replicates",
    ]


@pytest.mark.parametrize(
    ("sweep", "key", "message"),
    [
        ({"seed": [0, 1]}, "seed", "runs with another seed have other replicates, which cannot be paired"),
        ({"data.validation": [100, 200]}, "data.validation", "have other replicates, which cannot be paired"),
        ({"prune.rate": [0.2, 0.5]}, "prune.rate", "have other densities in the same round"),
    ],
)
def test_keys_that_change_what_is_paired_are_refused(sweep, key, message, campaign_file, tmp_path):
    prune = {"output_rate": 0.1, "conv_rate": 0.1}
    saved = tickets.run(campaign_file(tmp_path, rounds=1, sweep=sweep, prune=prune), out=tmp_path / "out")
    with pytest.raises(InputError, match=message):
        tune(saved, key)


def test_nothing_is_changed(swept):
    before = swept.rounds
    tune(swept, KEY)
    pd.testing.assert_frame_equal(swept.rounds, before)
    assert np.isfinite(tune(swept, KEY).chosen["score"]).all()
