"""Probes that are measured after the fact: `tickets probe` and `tickets.probe`."""

from __future__ import annotations

import json
import shutil
import uuid
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from resealed import write_sealed

import tickets
from tickets.errors import InputError
from tickets.store import status, taken, verify

ARMS = ["ticket", "reinit", {"name": "random_mask", "pruned": "initial"}]
NAMES = ["signs", "structure", {"name": "gradients", "examples": 50}, {"name": "sharpness", "examples": 30}]
SMALL = {"model": {"name": "mlp", "widths": [3]}, "train": {"steps": 8, "evaluate_every": 4}, "arms": ARMS, "rounds": 1}
SOURCE = """
import torch

from tickets.probes import at_steps, every_step

def norms(networks, power=2):
    for index in range(len(networks)):
        yield {"network": index, "norm": float(networks.values["1.weight"][index].norm(power))}

@at_steps
def starts(networks):
    for index in range(len(networks)):
        yield {"network": index, "sum": float(networks.initial["1.weight"][index].double().sum())}

@every_step
@at_steps
def course(networks):
    return norms(networks)

def fails_late(networks):
    if networks.labels[0].density not in (1, 0.5):  # those of the trial
        raise RuntimeError("too late")
    return norms(networks)
"""

NETS = """
from torch import nn

def net(input_shape, classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, classes))
"""


@pytest.fixture(scope="module", autouse=True)
def few_threads():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, campaign_file):
    """trained(store.trained): the folder of a run without probes, made once."""
    there = tmp_path_factory.mktemp("probing")
    for kept in ("all", "ticket", "none"):
        file = campaign_file(there / kept, **SMALL, store={"trained": kept}, rewind={"step": 4})
        tickets.run(file, out=there / kept / "saved")
    return lambda kept: there / kept / "saved"


@pytest.fixture
def folder(trained, tmp_path):
    """folder(store.trained): a copy of it."""

    def copy(kept: str) -> Path:
        return shutil.copytree(trained(kept), tmp_path / f"{kept}-{uuid.uuid4().hex}")

    return copy


def of_run(saved: Path) -> Path:
    (run,) = (path.parent for path in saved.glob("*/run.json"))
    return run


def bytes_of(saved: Path) -> dict[str, bytes]:
    files = (path for path in saved.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(saved)): path.read_bytes() for path in files}


def test_a_probe_after_the_fact_measures_what_it_would_have_in_training(folder, campaign_file, tmp_path):
    given = {**SMALL, "store": {"trained": "all"}, "rewind": {"step": 4}}
    tickets.run(campaign_file(tmp_path, **given, probes=NAMES), out=tmp_path / "in_training")
    there = folder("all")
    before, expected = bytes_of(there), tickets.load(tmp_path / "in_training")
    found = tickets.probe(there, NAMES)
    after = bytes_of(there)
    assert all(after[name] == data for name, data in before.items() if not name.endswith("log.jsonl"))
    assert all(after[name].startswith(data) for name, data in before.items()), "the log grows"
    for name in ("signs", "structure", "gradients", "sharpness"):
        table = expected.probe(name)
        if "step" in table:
            ends = table.groupby(["round", "arm"])["step"].agg(["min", "max"])
            assert ends.loc[(1, "ticket")].tolist() == [4, 8], "it starts at the rewind step"
            table = table[table["step"].isin([8]) | (table["step"] == np.where(table["round"] == 0, 0, 4))]
        pd.testing.assert_frame_equal(found.probe(name), table.reset_index(drop=True), check_exact=True)
    assert verify(there) == []


def test_the_same_command_again_measures_only_what_is_missing(folder, campaign_file, tmp_path, command):
    there = folder("all")
    said = command("probe", there, "structure", "{ name = 'gradients', examples = 20 }")
    run = of_run(there).name
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines() == [
        f"{run}: structure: measured rounds 0 and 1 (12 networks)",
        f"{run}: gradients: measured rounds 0 and 1 (12 networks) at the start and the end of training",
        f'to read it: tickets.load("{there}").probe("structure")',
        f'to read it: tickets.load("{there}").probe("gradients")',
    ]
    before = bytes_of(there)
    assert (
        command("probe", there, "structure").out.splitlines()[0] == f"{run}: structure: there already: rounds 0 and 1"
    )
    assert bytes_of(there) == before
    file = campaign_file(
        tmp_path,
        **{**SMALL, "rounds": 2, "replicates": 3},
        store={"trained": "all"},
        rewind={"step": 4},
        probes=["structure"],
    )
    saved = tickets.run(file, out=there)
    assert sorted(saved.probe("structure")["round"].unique()) == [0, 1, 2]
    assert status(there)[0].unmeasured == []
    said = command("probe", there, "{ name = 'gradients', examples = 20 }", "--json")
    (record,) = json.loads(said.out)
    # Round 2 of the first cohort, and all rounds of the one that has the third replicate.
    assert (record["rounds"], record["networks"], record["there"]) == ([0, 1, 2], 3 * 2 + 3 * 3, [0, 1])
    table = tickets.load(there).probe("gradients")
    assert table.groupby(["round", "replicate", "arm"]).ngroups == 3 * 3 * 3
    assert not table.duplicated(["round", "replicate", "arm", "step", "tensor"]).any()
    assert verify(there) == []


def test_arms_without_stored_values_are_left_out_and_said(folder, command):
    there, run = folder("ticket"), of_run(folder("ticket")).name
    said = command("probe", there, "sharpness", "gradients", "structure")
    without = "arms reinit, random_mask without stored values after training (store.trained)"
    assert said.out.splitlines()[:3] == [
        f"{run}: sharpness: measured rounds 0 and 1 (4 networks); left out: {without}",
        f"{run}: gradients: measured rounds 0 and 1 (12 networks) at the start and the end of training; at the start "
        f"only: {without}",
        f"{run}: structure: measured rounds 0 and 1 (12 networks)",
    ]
    table = tickets.load(there).probe("gradients")
    steps = table[table["round"] == 1].groupby("arm")["step"].unique().map(list).to_dict()
    assert steps == {"ticket": [4, 8], "reinit": [4], "random_mask": [4]}
    assert set(tickets.load(there).probe("sharpness")["arm"]) == {"ticket"}


def test_without_any_stored_value_it_says_what_would_have_had_to_be_stored(folder, command):
    there = folder("none")
    before = bytes_of(there)
    said = command("probe", there, "signs", "structure", "sharpness")
    assert (said.code, said.out) == (2, "")
    assert "error: probe 'signs': measures trained networks, and" in said.err
    assert 'has no values after training (store.trained = \'none\'); set store.trained = "ticket" or "all"' in said.err
    assert bytes_of(there) == before
    said = command("probe", there, "structure", "gradients")
    assert said.code == 0
    assert set(tickets.load(there).probe("gradients").query("round == 0")["step"]) == {0}


def test_other_options_are_refused_and_a_campaign_that_names_them_too(folder, command, campaign_file, tmp_path):
    there = folder("all")
    tickets.probe(there, {"name": "gradients", "examples": 20})
    said = command("probe", there, "gradients")
    assert said.code == 2
    assert "with options = {'examples': 20, 'training': False}, now {'examples': 1000, 'training': False}" in said.err
    file = campaign_file(
        tmp_path, **{**SMALL, "rounds": 2}, store={"trained": "all"}, rewind={"step": 4}, probes=["gradients"]
    )
    with pytest.raises(InputError, match=r"probe gradients: measured in .*probes-000-000 with options"):
        tickets.run(file, out=there)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["unts"], "probes[0].name = 'unts': unknown probe; did you mean 'units'?"),
        (["{ name = 'sharpness', example = 3 }"], "probes[0].example: unknown key; did you mean 'examples'?"),
        (["{ name = 'sharpness', examples = 0 }"], "probes[0].examples = 0: must be at least 1"),
        (["{ name = 'sharpness' examples = 0"], "not a TOML table"),
        (["no_such_module:norms"], "no_such_module"),
    ],
)
def test_wrong_names_are_refused_at_once(trained, command, names, message):
    said = command("probe", trained("all"), *names)
    assert (said.code, said.out) == (2, "")
    assert message in said.err


def test_it_refuses_a_folder_without_rounds_and_one_that_is_being_trained(folder, command, tmp_path):
    assert "no saved run in it" in command("probe", tmp_path, "structure").err
    there = folder("all")
    run = of_run(there)
    with taken(run / "cohort-000"):
        said = command("probe", there, "structure")
        assert said.code == 2
        assert f"is at work in {run / 'cohort-000'}; wait until it ends, and run the same command again" in said.err
        assert "is at work in" in command("probe", run, "structure").err
    for cohort in run.glob("cohort-*"):
        shutil.rmtree(cohort)
    assert "no round is committed yet" in command("probe", there, "structure").err


def test_what_an_interrupted_command_left_is_removed(folder):
    there = folder("all")
    torn = of_run(there) / "cohort-000" / f".tmp-probes-000-000-{uuid.uuid4().hex}"
    torn.mkdir()
    tickets.probe(there, "structure")
    assert not torn.exists()
    assert verify(there) == []


def test_a_probe_of_the_users_that_fails_keeps_the_rounds_before(folder, command, module):
    there, name = folder("all"), module("probes", SOURCE)
    said = command("probe", there, f"{name}:fails_late", f"{name}:norms")
    assert said.code == 1
    assert "failed: probe" in said.err
    assert "too late" in said.err
    assert set(tickets.load(there).probe("fails_late")["round"]) == {0}
    said = command("probe", there, f"{name}:norms")
    assert said.code == 0
    saved = tickets.load(there)
    table = saved.probe(f"{name}:norms")
    ticket = saved.ticket(1, 1)
    own = table[(table["round"] == 1) & (table["replicate"] == 1) & (table["arm"] == "ticket")]["norm"]
    assert own.tolist() == [float(torch.from_numpy(ticket.trained["1.weight"]).norm())]
    manifest = json.loads((of_run(there) / "cohort-000" / "probes-001-000" / "manifest.json").read_text())
    assert len(manifest["sources"][name]) == 64


def test_pruned_weights_that_keep_their_initial_values_are_among_the_initial_ones(folder, module):
    saved = tickets.probe(folder("all"), f"{module('probes', SOURCE)}:starts")
    table = saved.probe("starts").query("round == 1 and replicate == 0 and arm == 'random_mask'")
    values = saved.arm("random_mask", 0, 1).values["1.weight"]
    assert np.count_nonzero(values) == values.size, "pruned ones are not 0"
    assert table["sum"].tolist() == pytest.approx([values.astype(np.float64).sum()] * 2, rel=1e-12)


def test_the_table_of_a_probe_of_the_catalogue_may_be_that_of_a_function_of_the_users(folder, module):
    there, mine = folder("ticket"), f"{module('probes', SOURCE.replace('def norms', 'def sharpness'))}:sharpness"
    saved = tickets.probe(there, mine)
    assert list(saved.probe("sharpness").columns)[-1] == "norm"
    assert saved.probe(mine).equals(saved.probe("sharpness"))
    before = bytes_of(there)
    with pytest.raises(InputError, match=f"probe sharpness: measured in .* with name = {mine}, now sharpness; what is"):
        tickets.probe(there, "sharpness")
    assert bytes_of(there) == before
    assert verify(there) == []


def test_a_probe_that_means_nothing_at_both_ends_alone_is_refused(trained, command, module):
    name = module("probes", SOURCE)
    said = command("probe", trained("all"), f"{name}:course", "structure")
    assert (said.code, said.out) == (2, "")
    assert f"probe '{name}:course': needs the networks at every evaluated step, and those between" in said.err


def test_code_that_a_saved_run_names_is_called_only_if_it_is_trusted(campaign_file, tmp_path, command, module):
    nets = module("nets", NETS)
    given = {**SMALL, "rounds": 0, "arms": ["ticket"], "model": f"{nets}:net"}
    tickets.run(campaign_file(tmp_path, **given), out=tmp_path / "saved")
    said = command("probe", tmp_path / "saved", "structure")
    assert said.code == 2
    assert f"{nets}:net; it was not called. If you trust it: --trust-code" in said.err
    assert command("probe", tmp_path / "saved", "structure", "--trust-code").code == 0
    # The same name for another network.
    file = tmp_path / "modules" / f"{nets}.py"
    file.write_text(file.read_text().replace("classes))", "classes), nn.Tanh())"))
    namespace = __import__(nets)
    exec(file.read_text(), namespace.__dict__)
    said = command("probe", tmp_path / "saved", "sharpness", "--trust-code")
    assert said.code == 2
    assert "is not the network that this run began with" in said.err


def test_verify_finds_tables_that_do_not_belong(folder):
    there = folder("all")
    tickets.probe(there, "structure")
    cohort = of_run(there) / "cohort-000"
    path = cohort / "probes-001-000" / "structure.parquet"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + b"x")
    assert [Path(one.path).name for one in verify(there)] == ["structure.parquet"]
    with pytest.raises(InputError, match="SHA-256"):
        tickets.load(there).probe("structure")
    path.write_bytes(content)
    for change, message in (
        ({"round": 0}, "is the manifest of probes of round 0, part 0"),
        ({"density": {"0": 0.5, "1": 0.5}}, "has another density than the manifest of round-001"),
        ({"probes": {}}, "names the probes []"),
    ):
        manifest = cohort / "probes-001-000" / "manifest.json"
        whole = manifest.read_text()
        write_sealed(manifest, {**json.loads(whole), **change})
        assert any(message in one.what for one in verify(there)), message
        manifest.write_text(whole)
    assert verify(there) == []
    shutil.copytree(cohort / "probes-001-000", cohort / "probes-001-001")
    assert [one.what for one in verify(there)] == ["has the tables ['structure'], which probes-001-000 has too"]
    shutil.move(cohort / "probes-001-001", cohort / "probes-007-000")
    manifest = cohort / "probes-007-000" / "manifest.json"
    write_sealed(manifest, {**json.loads(manifest.read_text()), "round": 7})
    assert [one.what for one in verify(there)] == ["is of round-007, which is not committed"]
