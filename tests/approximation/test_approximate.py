"""`tickets.approximate` and its command: results, files, resuming, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

import tickets
from tickets.approximation import approximating, plain, read_approximation, subset_sum
from tickets.approximation.approximating import approximate
from tickets.command_line import approximated
from tickets.data.digits import digits
from tickets.errors import InputError

KEYS = (
    "candidates", "tolerance", "values", "target_weights", "kept_per_weight", "worst_error", "target_accuracy",
    "accuracy", "seconds",
)  # fmt: skip


def test_the_result_is_that_of_the_network_which_is_built(trained, whole):
    assert set(KEYS) <= whole.result.keys()
    ticket = tickets.load(trained).ticket(replicate=0, round=1)
    data = digits()
    network = read_approximation(whole.folder).build()
    with torch.no_grad():
        outputs = network(data.test_inputs)
        right = float((outputs.argmax(1) == data.test_labels).double().mean())
        torch.testing.assert_close(plain(network)(data.test_inputs), outputs, rtol=1e-4, atol=1e-5)
    rounds = tickets.load(trained).rounds
    row = rounds[(rounds["round"] == 1) & (rounds["arm"] == "ticket")].iloc[0]
    assert whole.result["accuracy"] == pytest.approx(right, abs=1e-12)
    assert whole.result["target_accuracy"] == pytest.approx(row["final_test_accuracy"], abs=1e-6)
    assert whole.result["target_weights"] == sum(int(mask.sum()) for mask in ticket.mask.values())
    assert whole.result["target_biases"] == 18
    assert whole.result["bound_holds"] is True
    assert 0 < whole.result["bound_output_error"] <= whole.result["output_bound"]


def test_effective_weights_differ_from_the_trained_ones_by_the_worst_error(trained, whole):
    """The digits are never negative: the columns of the first layer are its answers to one pixel at a time."""
    values = tickets.load(trained).ticket(replicate=0, round=1).trained
    layer = whole.build().get_submodule("layer0").double()
    eye = torch.eye(64, dtype=torch.float64)
    with torch.no_grad():
        bias = layer(torch.zeros(1, 64, dtype=torch.float64))
        errors = np.abs((layer(eye) - bias).T.numpy() - values["1.weight"])
    assert errors[values["1.weight"] == 0].max() == 0
    assert errors.max() <= whole.result["worst_error"] + 1e-12
    layer = whole.build().get_submodule("layer1").double()
    eye = torch.eye(8, dtype=torch.float64)
    with torch.no_grad():
        second = np.abs((layer(eye) - layer(0 * eye[:1])).T.numpy() - values["3.weight"])
        biases = np.abs(bias[0].numpy() - values["1.bias"]), np.abs(layer(0 * eye[:1])[0].numpy() - values["3.bias"])
    worst = max(errors.max(), second.max(), *(one.max() for one in biases))
    assert worst == pytest.approx(whole.result["worst_error"], rel=1e-9)


@pytest.mark.parametrize("construction", ["weight", "row"])
def test_an_interrupted_search_goes_on_and_ends_at_the_same_bits(
    trained, tmp_path, in_blocks, construction, arrays, stop
):
    straight = approximate(trained, 9, 0.01, construction=construction, out=tmp_path / "straight")
    with pytest.raises(KeyboardInterrupt):
        approximate(trained, 9, 0.01, construction=construction, out=tmp_path / "twice", listener=stop(after=5))
    assert 0 < len(arrays(tmp_path / "twice")) < len(arrays(tmp_path / "straight"))
    rest = stop()
    resumed = approximate(trained, 9, 0.01, construction=construction, out=tmp_path / "twice", listener=rest)
    assert rest.found == rest.promised < rest.total == 610
    assert arrays(tmp_path / "twice") == arrays(tmp_path / "straight")
    timed = ("seconds", "search_seconds")
    assert {key: value for key, value in resumed.result.items() if key not in timed} == {
        key: value for key, value in straight.result.items() if key not in timed
    }
    again = stop()
    done = approximate(trained, 9, 0.01, construction=construction, out=tmp_path / "twice", listener=again)
    assert (again.found, done.result) == (0, resumed.result)


def test_without_a_compiler_the_same_is_found(trained, whole, tmp_path, monkeypatch):
    monkeypatch.setattr(subset_sum, "jit_is_off", lambda: True)
    made = approximate(trained, 10, 0.01, round=1, out=tmp_path / "a")
    assert made.result["worst_error"] == pytest.approx(whole.result["worst_error"], abs=1e-14)
    assert made.result["mean_error"] == pytest.approx(whole.result["mean_error"], abs=1e-14)


def test_what_is_not_there_is_named(trained, tmp_path):
    with pytest.raises(InputError, match="values after training are not stored"):
        approximate(trained, 5, 0.1, arm="random_mask")
    with pytest.raises(InputError, match=r"round = 7: run \S+ has rounds 0 to 1"):
        approximate(trained, 5, 0.1, round=7)
    with pytest.raises(InputError, match=r"nowhere: no such folder"):
        approximate(tmp_path / "nowhere", 5, 0.1)


def test_only_trusted_code_is_called_and_its_layers_are_named(tmp_path, campaign_file, module):
    nets = module(
        "nets",
        "from torch import nn\n\n"
        "def bent(input_shape, classes):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64, 4), nn.Tanh(), nn.Linear(4, classes))\n",
    )
    model = {"name": f"{nets}:bent"}
    file = campaign_file(tmp_path, replicates=1, rounds=0, model=model, arms=["ticket"])
    tickets.run(file, out=tmp_path / "out")
    with pytest.raises(InputError, match=f"names code that is not part of tickets .*: {nets}:bent; it was not called"):
        approximate(tmp_path / "out", 5, 0.1)
    with pytest.raises(InputError, match=r"layer 2 is a Tanh; what is approximated is a chain of Linear and ReLU"):
        approximate(tmp_path / "out", 5, 0.1, trust_code=True)


def test_the_command_prints_json_and_text_and_keeps_the_campaign_whole(trained, command):
    options = ("--candidates", 12, "--tolerance", 0.01, "--values", "normal", "--choose", "fewest")
    said = command("approximate", trained, *options, "--json")
    assert said.code == 0, said.err
    found = json.loads(said.out)
    assert set(KEYS) <= found.keys()
    assert (found["candidates"], found["tolerance"], found["values"]) == (12, 0.01, "normal")
    assert found["folder"].startswith(str(trained / "approximations"))
    assert "610 subsets of 12 normal candidates" in said.err
    text = command("approximate", trained, *options)
    assert f"kept {found['kept_per_weight']:.2f} of 12 normal candidates a weight" in text.out
    assert "bound" in text.out
    assert "DOES NOT" not in text.out
    assert "is there already" in text.err
    assert command("verify", trained).code == 0
    assert command("status", trained).code == 0
    assert tickets.load(trained).runs


def test_constants_fail_in_the_network_that_others_make(trained, command):
    results = {}
    for values in ("uniform", "constant"):
        said = command("approximate", trained, "--candidates", 18, "--tolerance", 0.02, "--values", values, "--json")
        assert said.code == 0
        results[values] = json.loads(said.out)
    assert results["uniform"]["accuracy"] == pytest.approx(results["uniform"]["target_accuracy"], abs=0.01)
    assert results["constant"]["accuracy"] < results["constant"]["target_accuracy"] - 0.3
    assert results["constant"]["within_tolerance"] < 0.2 < 0.99 < results["uniform"]["within_tolerance"]


def test_a_network_that_does_not_fit_into_the_memory_is_refused(trained, tmp_path, monkeypatch):
    monkeypatch.setattr(approximating, "free_bytes", lambda device: 2**20)
    with pytest.raises(InputError, match=r"candidates = 9: the random network takes 0\.5 GiB, and 0\.0 GiB are free"):
        approximate(trained, 9, 0.1, out=tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_progress_and_an_interrupt_are_told(trained, command, tmp_path, monkeypatch, in_blocks):
    monkeypatch.setattr(approximated, "_EVERY_S", 0.0)
    options = ("approximate", trained, "--candidates", 8, "--tolerance", 0.1, "--out", tmp_path / "a b")
    advance = approximated.Progress.advance

    def interrupted(self, count):
        advance(self, count)
        if self._found > 200:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(approximated.Progress, "advance", interrupted)
        said = command(*options)
    assert said.code == 130
    assert "65 of 610 subsets (11 %), " in said.err
    assert said.err.splitlines()[-1] == (
        f"interrupted; what was found is kept. To go on: tickets approximate {trained} --candidates 8 --tolerance 0.1 "
        f"--out '{tmp_path / 'a b'}'"
    )
    assert "of them there already" in command(*options).err


def test_every_option_of_the_command_has_an_effect(trained, command, tmp_path):
    said = command(
        "approximate", trained, "--candidates", 6, "--tolerance", 0.2, "--values", "normal", "--replicate", 0,
        "--round", 1, "--arm", "ticket", "--draw", 0, "--construction", "row", "--choose", "fewest", "--seed", 5,
        "--out", tmp_path / "a", "--json",
    )  # fmt: skip
    assert said.code == 0, said.err
    given = {
        "candidates": 6, "tolerance": 0.2, "values": "normal", "replicate": 0, "round": 1, "arm": "ticket", "draw": 0,
        "construction": "row", "choose": "fewest", "seed": 5, "folder": str(tmp_path / "a"),
    }  # fmt: skip
    found = json.loads(said.out)
    assert {key: found[key] for key in given} == given


def test_wrong_options_are_refused_in_lines(trained, command):
    said = command("approximate", trained, "--candidates", 99, "--tolerance", 0, "--values", "unifrom")
    assert said.code == 2
    assert said.err.splitlines() == [
        "error: candidates = 99: must be a whole number from 1 to 62",
        "error: values = 'unifrom': must be one of uniform, normal, signed_constant, constant; did you mean 'uniform'?",
        "error: tolerance = 0.0: must be a number above 0, such as 0.01",
    ]
