"""Campaigns that are no study of initial values are refused, and why."""

import pytest
from tickets.analysis.why_random import study_of, why_not_a_study

import tickets
from tickets.errors import InputError


def test_a_study_takes_units_and_two_starts(campaign_file, tmp_path):
    options = {"rounds": 0, "replicates": 1, "train": {"steps": 2, "evaluate_every": 2}}
    saved = tickets.run(campaign_file(tmp_path, **options), out=tmp_path / "a")
    assert why_not_a_study(saved) == 'no run counts its hidden units; set probes = ["units"]'
    with pytest.raises(InputError, match=r'set probes = \["units"\]'):
        study_of(saved)
    saved = tickets.run(campaign_file(tmp_path, **options, store={"units": True}), out=tmp_path / "b")
    assert why_not_a_study(saved) == "1 run of one start each; sweep model.init"


def test_where_nothing_was_trained_twice_there_are_no_ends(campaign_file, tmp_path):
    models = [{"name": "mlp", "widths": [4], "init": init} for init in ("glorot_normal", "zeros")]
    options = {"rounds": 0, "replicates": 1, "arms": ["ticket"], "store": {"units": True}, "sweep": {"model": models}}
    train = {"steps": 4, "evaluate_every": 2, "optimizer": "sgd", "learning_rate": 1e30}
    saved = tickets.run(campaign_file(tmp_path, **options, train=train), out=tmp_path / "out")
    assert saved.rounds["diverged"].any()
    study = study_of(saved)
    assert study.ends.empty
    assert set(study.no_ends) == set(saved.runs)
    assert all('store.trained = "ticket"' in why for why in study.no_ends.values())
