"""A campaign whose steps in between are evaluated on a few examples: what is reported is of all."""

from __future__ import annotations

import numpy as np
import pytest

import tickets
from tickets.store import verify

TRAIN = {"steps": 60, "evaluate_every": 6, "batch_size": 50, "learning_rate": 0.2}
KEY = ["replicate", "round", "arm", "draw"]


@pytest.mark.parametrize("model", [{"name": "mlp", "widths": [16]}, "conv2"])
def test_what_is_reported_is_of_all_examples(model, campaign_file, tmp_path):
    changes = {"model": model, "rounds": 1, "arms": ["ticket", "reinit"], "store": {"trained": "all"}}
    if model == "conv2":
        changes |= {"replicates": 1, "rounds": 0, "arms": ["ticket"]}
        train = {"steps": 12, "evaluate_every": 2, "batch_size": 20, "learning_rate": 0.01}
    else:
        train = TRAIN
    on_all = tickets.run(campaign_file(tmp_path, train=train, **changes), out=tmp_path / "all")
    few = tickets.run(campaign_file(tmp_path, train={**train, "evaluate_on": 60}, **changes), out=tmp_path / "few")
    assert on_all.runs != few.runs
    assert verify(tmp_path / "few") == []
    # Measuring changes no network.
    for replicate in sorted(set(few.rounds["replicate"])):
        for number in sorted(set(few.rounds["round"])):
            one, other = on_all.ticket(replicate, number), few.ticket(replicate, number)
            assert all(np.array_equal(one.mask[name], other.mask[name]) for name in one.mask)
            assert all(np.array_equal(one.trained[name], other.trained[name]) for name in one.trained)
    # Every number of `rounds` is what the network scores on all examples at that step.
    columns = ["test_accuracy", "validation_loss"]
    whole = on_all.curves.set_index([*KEY, "step"])[columns]
    rounds = few.rounds
    for row in rounds.to_dict("records"):
        key = tuple(row[name] for name in KEY)
        accuracy, loss = whole.loc[(*key, int(row["early_stop_step"]))]
        assert (row["early_stop_test_accuracy"], row["early_stop_validation_loss"]) == (accuracy, loss)
    last = ["final_test_accuracy", "final_test_loss", "final_train_loss", "diverged"]
    assert rounds[last].equals(on_all.rounds[last])
    # In between fewer are measured: accuracies are multiples of 1/60.
    curves = few.curves
    between = curves[(curves["step"] > 0) & (curves["step"] < train["steps"])]
    assert len(between) > 0
    for column in ("train_accuracy", "validation_accuracy", "test_accuracy"):
        assert np.allclose(between[column] * 60, np.round(between[column] * 60), atol=1e-9)


def test_a_run_goes_on_as_it_began(campaign_file, contents, watcher, tmp_path):
    file = campaign_file(tmp_path, train={**TRAIN, "evaluate_on": 40})
    tickets.run(file, out=tmp_path / "whole")
    for _ in range(9):
        listener = watcher(stop=(1, 3))
        try:
            tickets.run(file, out=tmp_path / "parts", listener=listener)
        except KeyboardInterrupt:
            continue
        break
    assert contents(tmp_path / "whole") == contents(tmp_path / "parts")
