"""Campaigns without what a claim needs: they are refused, or every verdict is "cannot tell"."""

import pytest
from tickets.analysis.why_random import (
    claims,
    study_of,
    why_not_a_study,
)

import tickets
from tickets.errors import InputError


def test_claims_take_units_and_two_starts(campaign_file, tmp_path):
    tickets.run(
        campaign_file(tmp_path, rounds=0, replicates=1, train={"steps": 2, "evaluate_every": 2}), out=tmp_path / "a"
    )
    saved = tickets.load(tmp_path / "a")
    assert why_not_a_study(saved) == 'no run counts its hidden units; set probes = ["units"]'
    with pytest.raises(InputError, match=r'set probes = \["units"\]'):
        claims(saved)
    options = {"rounds": 0, "replicates": 1, "train": {"steps": 2, "evaluate_every": 2}, "store": {"units": True}}
    tickets.run(campaign_file(tmp_path, **options), out=tmp_path / "b")
    assert why_not_a_study(tickets.load(tmp_path / "b")) == "1 run of one start each; sweep model.init"


def test_one_replicate_nothing_trained_twice_and_trainings_that_diverge(campaign_file, tmp_path):
    models = [{"name": "mlp", "widths": [4], "init": init} for init in ("glorot_normal", "zeros")]
    options = {"rounds": 0, "replicates": 1, "arms": ["ticket"], "store": {"units": True}, "sweep": {"model": models}}
    train = {"steps": 4, "evaluate_every": 2, "optimizer": "sgd", "learning_rate": 1e30}
    tickets.run(campaign_file(tmp_path, **options, train=train), out=tmp_path / "out")
    saved = tickets.load(tmp_path / "out")
    assert saved.rounds["diverged"].any()
    table = claims(saved).set_index("name")
    assert set(table.drop("one_direction")["verdict"]) == {"cannot tell"}
    assert 'store.trained = "ticket"' in table.loc["same_end", "evidence"]
    assert study_of(saved).ends.empty
