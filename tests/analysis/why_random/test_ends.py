"""Where trainings end."""

import numpy as np
import pytest
from tickets.analysis.why_random import ends, study_of, why_no_ends
from tickets.analysis.why_random.ends import End, arm_names, compared

import tickets


def end(start, end, accuracy=0.5):
    return End(np.array(start, np.float32), np.array(end, np.float32), accuracy)


def test_distance_is_over_the_way_travelled():
    one, other = end([0, 0], [3, 4], 0.5), end([0, 0], [3, 0], 0.75)
    assert compared(one, other, 5.0) == (True, False, 0.8, 0.25)
    assert compared(one, end([0, 1], [3, 4]), 5.0) == (False, True, 0.0, 0.0)


def test_the_last_bit_counts():
    assert compared(end([0], [1]), end([0], [np.nextafter(np.float32(1), np.float32(2))]), 1.0)[1] is False


def test_a_way_of_no_length_and_one_that_diverged_give_no_distance():
    assert np.isnan(compared(end([0], [0]), end([0], [1]), 0.0)[2])
    assert np.isnan(compared(end([0], [1]), end([0], [np.inf]), 1.0)[2])
    assert np.isnan(compared(end([0], [1]), end([0], [np.nan]), float("nan"))[2])
    assert compared(end([0], [np.nan]), end([0], [np.nan]), 1.0)[1] is True


def run_of(saved, init, **model):
    """The one run with this start and these options."""
    wanted = {"name": "mlp", "widths": [8], **model}
    (run,) = [run for run in saved.runs if saved.config(run)["model"] == {**wanted, "init": init}]
    return run


def test_by_hand_from_saved_values(starts_saved):
    run = run_of(starts_saved, "glorot_normal")
    table = ends(starts_saved, run)
    assert table["against"].tolist() == ["repeat", "reorder", "reinit"] * 2 + ["ticket"]

    def vector(values):
        return np.concatenate([array.ravel() for array in values.values()])

    accuracy = starts_saved.rounds.set_index(["run", "round", "replicate", "arm"])["final_test_accuracy"]
    for row in table.to_dict("records"):
        ticket = starts_saved.ticket(row["replicate"], 0, run=run)
        other = starts_saved.arm(row["against"], row["other"], 0, run=run)
        apart = np.linalg.norm(vector(ticket.trained) - vector(other.trained))
        way = np.linalg.norm(vector(ticket.trained) - vector(ticket.values))
        if row["against"] == "ticket":
            way = (way + np.linalg.norm(vector(other.trained) - vector(other.values))) / 2
        assert row["distance"] == pytest.approx(apart / way, rel=1e-5)
        assert row["identical"] == np.array_equal(vector(ticket.trained), vector(other.trained))
        assert row["same_start"] == np.array_equal(vector(ticket.values), vector(other.values))
        assert row["same_order"] == (row["against"] in ("repeat", "reinit"))
        difference = accuracy[run, 0, row["other"], row["against"]] - accuracy[run, 0, row["replicate"], "ticket"]
        assert row["accuracy_difference"] == pytest.approx(difference)


def test_what_is_shared_is_read_off_the_values_not_the_names(starts_saved):
    # A start without chance is the same when it is drawn again, and in every replicate.
    table = ends(starts_saved, run_of(starts_saved, "dct"))
    assert table["same_start"].all()
    assert table.loc[table["against"] == "reinit", "identical"].all()
    random = ends(starts_saved, run_of(starts_saved, "glorot_normal")).set_index("against")
    assert not random.loc["reinit", "same_start"].any()
    assert random.loc["repeat", "identical"].all()


def test_of_two_arms_with_one_name_the_first_counts(campaign_file, tmp_path):
    again = ["ticket", {"name": "repeat", "label": "once_more"}, {"name": "repeat", "label": "twice"}, "constant"]
    options = {"rounds": 0, "replicates": 2, "arms": again, "store": {"trained": "all", "units": True}}
    models = [{"name": "mlp", "widths": [4], "init": init} for init in ("glorot_normal", "zeros")]
    train = {"steps": 2, "evaluate_every": 2}
    saved = tickets.run(campaign_file(tmp_path, **options, train=train, sweep={"model": models}), out=tmp_path / "out")
    run = saved.runs[0]
    assert arm_names(saved.config(run)) == {
        "ticket": "ticket",
        "once_more": "repeat",
        "twice": "",
        "constant": "constant",
    }
    table = ends(saved, run)
    assert table["against"].tolist() == ["repeat", "repeat", "ticket"]
    study = study_of(saved)
    assert set(study.rounds["arm"]) == set(study.units["arm"]) == {"ticket", "repeat", "constant"}
    assert len(study.rounds) == 2 * 2 * 3


def test_why_there_are_none(config):
    assert why_no_ends(config(arms=["ticket", "repeat"])) is None
    assert 'store.trained = "ticket"' in why_no_ends(config(trained="ticket", arms=["ticket", "repeat"]))
    assert "add repeat, reorder, reinit" in why_no_ends(config())
