"""Probes in whole campaigns: their files, resuming, growing, and reading them back."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from resealed import write_sealed

import tickets
from tickets.errors import InputError
from tickets.store import status, verify

SOURCE = """
import torch

from tickets.probes import at_steps

def norms(networks, power=2):
    for index in range(len(networks)):
        yield {"network": index, "norm": float(networks.values["1.weight"][index].norm(power))}

@at_steps
def others(networks):
    earlier = networks.earlier(networks.round, trained=False)
    before = networks.earlier(networks.round - 1)
    for index, label in enumerate(networks.labels):
        yield {
            "network": index,
            "of_round": "none" if earlier is None else ",".join(sorted({one.arm for one in earlier.labels})),
            "before": "none" if before is None else ",".join(sorted({one.arm for one in before.labels})),
        }

def round_before(networks):
    # Places and values of all weights of the round before in one number each.
    before = networks.earlier(networks.round - 1)
    for index, label in enumerate(networks.labels):
        found = {"initial": float("nan"), "trained": float("nan")}
        if before is not None:
            place = [(one.replicate, one.arm) for one in before.labels].index((label.replicate, label.arm))
            ends = {"initial": before.initial, "trained": before.values}
            weights = {end: values["1.weight"][place].double().flatten() for end, values in ends.items()}
            found = {end: float(weight @ torch.arange(len(weight)).double()) for end, weight in weights.items()}
        yield {"network": index, **found}
"""


@pytest.fixture
def probes(module) -> str:
    return module("probes", SOURCE)


def run(campaign_file, folder: Path, name: str = "saved", **changes):
    file = campaign_file(folder, **{"rounds": 1, "arms": ["ticket", "reinit"], **changes})
    tickets.run(file, out=folder / name)
    return tickets.load(folder / name)


def damage(folder: Path, change) -> None:
    """Change a manifest, as nothing ever should."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    write_sealed(path, manifest)


def test_tables_are_files_of_the_round_that_the_manifest_names(campaign_file, tmp_path, probes):
    named = [{"name": f"{probes}:norms", "power": 1}, "units"]
    saved = run(campaign_file, tmp_path, probes=named)
    folder = tmp_path / "saved" / saved.runs[0] / "cohort-000" / "round-001"
    assert {path.name for path in folder.glob("*.parquet")} == {
        "curves.parquet", "rounds.parquet", "norms.parquet", "units.parquet",
    }  # fmt: skip
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["probes"] == {
        "norms": {"name": f"{probes}:norms", "options": {"power": 1}, "rows": 4},
        "units": {"name": "units", "options": {}, "rows": 12},
    }
    assert verify(tmp_path / "saved") == []
    assert saved.probes == {"norms": saved.runs, "units": saved.runs}
    pd.testing.assert_frame_equal(saved.units, saved.probe("units"))
    pd.testing.assert_frame_equal(saved.probe("norms"), saved.probe(f"{probes}:norms"))
    rounds = saved.rounds
    pd.testing.assert_frame_equal(saved.probe("norms").iloc[:, :6], rounds.iloc[:, :6])
    ticket = saved.arm("ticket", 1, 1)
    row = saved.probe("norms").query("replicate == 1 and round == 1 and arm == 'ticket'")
    assert row["norm"].item() == pytest.approx(abs(ticket.trained["1.weight"]).sum(), rel=1e-6)
    damage(folder, lambda manifest: manifest["probes"]["units"].update(rows=11))
    (problem,) = verify(tmp_path / "saved")
    assert problem.what == "has 12 rows, but by its manifest at most 11"


def test_store_units_and_the_probe_of_that_name_are_one(campaign_file, tmp_path, contents):
    one = run(campaign_file, tmp_path, "one", rounds=0, store={"units": True})
    two = run(campaign_file, tmp_path, "two", rounds=0, probes=["units"])
    assert one.runs == two.runs
    pd.testing.assert_frame_equal(one.units, two.units)
    both = run(campaign_file, tmp_path, "both", rounds=0, probes=["units"], store={"units": True})
    assert both.probes == {"units": both.runs}


def test_a_run_that_was_interrupted_measures_as_one_that_was_not(campaign_file, tmp_path, probes, contents, watcher):
    named = [f"{probes}:norms", f"{probes}:others"]
    file = campaign_file(tmp_path, rounds=1, arms=["ticket", "reinit"], probes=named, train={"steps": 20})
    with pytest.raises(KeyboardInterrupt):
        tickets.run(file, out=tmp_path / "resumed", listener=watcher(stop=(1, 1)))
    tickets.run(file, out=tmp_path / "resumed")
    tickets.run(file, out=tmp_path / "whole")
    assert contents(tmp_path / "resumed") == contents(tmp_path / "whole")


def test_arms_that_are_added_later_are_measured_beside_what_is_there(campaign_file, tmp_path, probes):
    named = [f"{probes}:norms", f"{probes}:others"]
    run(campaign_file, tmp_path, probes=named, arms=["ticket"])
    saved = run(campaign_file, tmp_path, probes=named, arms=["ticket", "reinit"], store={"trained": "all"})
    norms = saved.probe("norms")
    assert norms.groupby(["round", "arm"]).size().to_dict() == {
        (number, arm): 2 for number in (0, 1) for arm in ("ticket", "reinit")
    }
    others = saved.probe("others").drop_duplicates(["round", "arm"]).set_index(["round", "arm"])
    assert others[["of_round", "before"]].to_dict("index") == {
        (0, "ticket"): {"of_round": "none", "before": "none"},
        (0, "reinit"): {"of_round": "ticket", "before": "none"},
        (1, "ticket"): {"of_round": "none", "before": "ticket"},
        (1, "reinit"): {"of_round": "ticket", "before": "reinit,ticket"},
    }
    assert verify(tmp_path / "saved") == []


def test_networks_of_the_round_before_have_their_arms_pruned_weights(campaign_file, tmp_path, probes):
    arms = ["ticket", {"name": "reinit", "pruned": "initial"}]
    saved = run(
        campaign_file, tmp_path, probes=[f"{probes}:round_before"], arms=arms, rounds=2, store={"trained": "all"}
    )
    table = saved.probe("round_before").set_index(["round", "arm", "replicate"])
    for arm in ("ticket", "reinit"):
        wanted = saved.arm(arm, 1, 1)
        pruned = ~wanted.mask["1.weight"]
        assert pruned.any()
        assert (wanted.values["1.weight"][pruned] != 0).any() == (arm == "reinit")
        for end, values in (("initial", wanted.values), ("trained", wanted.trained)):
            weights = values["1.weight"].astype(np.float64).ravel()
            assert table.loc[(2, arm, 1), end] == pytest.approx(weights @ np.arange(len(weights)), rel=1e-9)


def test_a_probe_that_is_added_later_has_no_table_of_the_rounds_before(campaign_file, tmp_path, probes, watcher):
    run(campaign_file, tmp_path, rounds=1)
    file = campaign_file(tmp_path, rounds=2, arms=["ticket", "reinit"], probes=[f"{probes}:norms"])
    listener = watcher()
    saved = tickets.run(file, out=tmp_path / "saved", listener=listener)
    line = "probe norms: no table of rounds 0 and 1, committed before the campaign file named the probe ("
    line += "`tickets probe` measures what is stored)"
    assert f"{saved.runs[0]}: {line}" in listener.said
    assert saved.probe("norms")["round"].unique().tolist() == [2]
    (found,) = status(tmp_path / "saved")
    assert found.unmeasured == [line]
    assert found.state == "done"
    assert verify(tmp_path / "saved") == []


def test_a_probe_goes_on_with_the_options_and_columns_that_it_began_with(campaign_file, tmp_path, probes, module):
    run(campaign_file, tmp_path, rounds=0, probes=[f"{probes}:norms"])
    changed = campaign_file(tmp_path, rounds=1, arms=["ticket"], probes=[{"name": f"{probes}:norms", "power": 1}])
    with pytest.raises(InputError, match=r"probe norms: measured in .*round-000 with options = {}, now {'power': 1}"):
        tickets.run(changed, out=tmp_path / "saved")
    another = module("more", SOURCE.replace('"norm":', '"length":'))
    changed = campaign_file(tmp_path, rounds=1, arms=["ticket"], probes=[f"{another}:norms"])
    with pytest.raises(InputError) as caught:
        tickets.run(changed, out=tmp_path / "saved")
    assert [f"with {key}" in line for key, line in zip(("name", "the columns"), caught.value.problems, strict=True)]


LATE = """
def late(networks):
    # Nothing in the trial, which has 64 examples, and other columns in each round.
    if networks.round == 0 or len(networks.examples.train_inputs) <= 64:
        return []
    return [{"network": 0, **({"a": "x"} if networks.round == 1 else {"b": 1.0})}]

def steady(networks):
    if networks.round == 0 or len(networks.examples.train_inputs) <= 64:
        return []
    return [{"network": 0, "a": "x", "b": True}] if networks.round == 1 else [{"network": 0, "b": False, "a": "y"}]
"""


def test_columns_that_the_trial_does_not_show_are_those_of_the_rounds_before(campaign_file, tmp_path, module):
    name = module("late", LATE)
    file = campaign_file(tmp_path, rounds=2, arms=["ticket"], probes=[f"{name}:late"])
    told = (
        rf"probe late \('{name}:late'\): measured in .*round-001 with the columns {{'a': 'string'}}, now "
        "{'b': 'number'}; what is committed is never changed"
    )
    for _ in range(2):  # the second time, round 2 is resumed
        with pytest.raises(RuntimeError, match=told):
            tickets.run(file, out=tmp_path / "saved")
    assert tickets.load(tmp_path / "saved").probe("late")["round"].tolist() == [1]
    assert verify(tmp_path / "saved") == []


def test_columns_that_stay_may_be_in_another_order_and_begin_late(campaign_file, tmp_path, module):
    saved = run(campaign_file, tmp_path, rounds=2, arms=["ticket"], probes=[f"{module('late', LATE)}:steady"])
    assert saved.probe("steady")[["round", "a", "b"]].values.tolist() == [[1, "x", True], [2, "y", False]]


def test_a_table_without_rows_does_not_hide_the_columns_of_the_next_one(campaign_file, tmp_path, module):
    late = LATE.replace("len(networks.examples.train_inputs) <= 64", "False")
    run(campaign_file, tmp_path, rounds=1, arms=["ticket"], probes=[f"{module('late', late)}:steady"])
    changed = late.replace('"b": True', '"c": True')
    file = campaign_file(tmp_path, rounds=1, arms=["ticket"], probes=[f"{module('more', changed)}:steady"])
    with pytest.raises(InputError) as caught:
        tickets.run(file, out=tmp_path / "saved")
    assert [f"with {key}" in line for key, line in zip(("name", "the columns"), caught.value.problems, strict=True)]


def test_probes_that_are_not_there(campaign_file, tmp_path, probes):
    nothing = run(campaign_file, tmp_path, "nothing", rounds=0)
    assert nothing.probes == {}
    assert nothing.units.empty
    with pytest.raises(InputError, match=r"probe 'units': .* has no table of it \(no probe was measured\)"):
        nothing.probe("units")
    saved = run(campaign_file, tmp_path, rounds=0, probes=[f"{probes}:norms", "units"])
    with pytest.raises(InputError, match=r"no table of it; did you mean 'norms'\? \(there are: norms, units\)"):
        saved.probe("norm")
    with pytest.raises(InputError, match=r"the table 'norms' in .* is that of '.*:norms'"):
        saved.probe("elsewhere:norms")


def test_several_campaigns_as_one(campaign_file, tmp_path, probes, module):
    one = run(campaign_file, tmp_path, "one", rounds=0, probes=["units", f"{probes}:norms"])
    two = run(campaign_file, tmp_path, "two", rounds=0, probes=["units"], seed=1)
    both = tickets.load([tmp_path / "one", tmp_path / "two"])
    assert both.probes == {"norms": one.runs, "units": sorted([*one.runs, *two.runs])}
    assert set(both.probe("norms")["run"]) == set(one.runs)
    pd.testing.assert_frame_equal(
        both.units, pd.concat([load.units for load in sorted((one, two), key=lambda s: s.runs)], ignore_index=True)
    )
    more = SOURCE.replace('"norm": float', '"power": power, "norm": float')
    run(campaign_file, tmp_path, "three", rounds=0, probes=[f"{module('more', more)}:norms"], seed=2)
    with pytest.raises(InputError, match="has tables of several functions"):
        tickets.load([tmp_path / "one", tmp_path / "three"]).probe("norms")


def test_a_damaged_table_is_found_and_its_run_can_be_left_out(campaign_file, tmp_path, probes):
    saved = run(campaign_file, tmp_path, rounds=0, probes=[f"{probes}:norms"])
    path = tmp_path / "saved" / saved.runs[0] / "cohort-000" / "round-000" / "norms.parquet"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"norms\.parquet"):
        tickets.load(tmp_path / "saved").probe("norms")
    left = tickets.load(tmp_path / "saved", skip_damaged=True)
    assert left.probe("norms").empty
    assert verify(tmp_path / "saved")[0].path == str(path)


def test_training_that_diverges_is_measured(campaign_file, tmp_path, probes):
    saved = run(
        campaign_file, tmp_path, rounds=0, probes=[f"{probes}:norms", "units"],
        train={"learning_rate": 1e30, "optimizer": "sgd"},
    )  # fmt: skip
    assert saved.rounds["diverged"].all()
    assert saved.probe("norms")["norm"].isna().any()
    assert len(saved.units) == 12


def test_probes_are_listed(command):
    said = command("list", "probes")
    assert said.code == 0
    assert said.out.startswith("units  ")
