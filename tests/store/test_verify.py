"""Files, folders and manifests of a saved run that verify finds damaged, missing or out of place."""

from __future__ import annotations

import dataclasses
import json
import shutil

import pytest
from damaged_runs import rehash, told

from tickets.errors import InputError
from tickets.store import verify, write_round
from tickets.store.sealed import sealed_json


def test_a_whole_campaign_has_no_problems(campaign, example):
    assert verify(campaign) == []
    assert verify(str(campaign / example.run_id)) == []


def test_half_written_folders_are_not_looked_at(campaign, cohort):
    (cohort / ".tmp-round-003-0123").mkdir()
    (campaign / ".tmp-campaign.toml-0123").write_text("")
    assert verify(campaign) == []


FILES = [
    *(f"{folder}/{name}" for folder in ("initial", "rewind") for name in ("values.safetensors", "manifest.json")),
    "rewind/optimizer.safetensors",
    *(
        f"round-001/{name}"
        for name in (
            "masks.safetensors",
            "weights.safetensors",
            "trained.safetensors",
            "next_masks.safetensors",
            "curves.parquet",
            "rounds.parquet",
            "manifest.json",
        )
    ),
    "round-001.1/weights.safetensors",
]


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_bit_is_found(campaign, cohort, name):
    data = bytearray((cohort / name).read_bytes())
    data[-20 if name.endswith("manifest.json") else len(data) // 2] ^= 1
    (cohort / name).write_bytes(data)
    found = told(campaign)
    assert len(found) == 1
    path, what = found[0]
    assert "SHA-256" in what
    assert "but the manifest says" in what or "does not have the SHA-256 that it begins with" in what
    assert path == name or (name.endswith("manifest.json") and path.startswith(name.split("/")[0]))


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_found(campaign, cohort, name):
    (cohort / name).unlink()
    folder, file = name.split("/")
    wanted = (folder, "no manifest.json, so this folder") if file == "manifest.json" else (name, "missing")
    assert [(path, what[: len(wanted[1])]) for path, what in told(campaign)] == [wanted]


def test_a_file_too_many_a_shorter_one_and_one_that_is_not_listed_are_found(campaign, cohort):
    (cohort / "round-001" / "notes.txt").write_text("mine")
    (cohort / "initial" / "deep").mkdir()
    data = (cohort / "round-002" / "rounds.parquet").read_bytes()
    (cohort / "round-002" / "rounds.parquet").write_bytes(data[:-1])
    manifest = json.loads((cohort / "rewind" / "manifest.json").read_text())
    del manifest["files"]["values.safetensors"]
    del manifest["sha256"]
    (cohort / "rewind" / "manifest.json").write_bytes(sealed_json(manifest))
    assert told(campaign) == [
        ("initial/deep", "not in the manifest"),
        ("rewind/values.safetensors", "not in the manifest"),
        ("round-001/notes.txt", "not in the manifest"),
        ("round-002/rounds.parquet", f"{len(data) - 1:,} bytes, but the manifest says {len(data):,}"),
    ]


@pytest.mark.parametrize("name", ["initial", "rewind", "round-000", "round-001"])
def test_a_missing_folder_is_found(campaign, cohort, name):
    shutil.rmtree(cohort / name)
    assert (name, "missing") in told(campaign)


def test_a_damaged_run_file_is_found(campaign, example):
    path = campaign / example.run_id / "run.json"
    path.write_text(path.read_text()[:-3])
    assert [(problem.path, problem.what[:26]) for problem in verify(campaign)] == [
        (str(path), "damaged or changed by hand")
    ]


def test_manifests_of_another_place_are_found(campaign, cohort):
    shutil.rmtree(cohort / "round-002")
    shutil.copytree(cohort / "round-001", cohort / "round-002")
    assert ("round-002/manifest.json", "is the manifest of round 1, part 0") in told(campaign)
    rehash(cohort / "rewind", kind="initial")
    assert ("rewind/manifest.json", "is the manifest of initial") in told(campaign)
    rehash(cohort / "round-000", replicates=[0, 1, 2])
    found = dict(told(campaign))
    assert found["round-000/manifest.json"] == "damaged, density: is not of the replicates [0, 1, 2]"
    three = {"0": 1.0, "1": 1.0, "2": 1.0}
    counts = {replicate: {"1.weight": 12, "3.weight": 8} for replicate in three}
    rehash(cohort / "round-000", replicates=[0, 1, 2], density=three, surviving=counts)
    assert ("round-000/manifest.json", "replicates [0, 1, 2], but the cohort's are [0, 1]") in told(campaign)


def test_an_arm_that_is_in_two_parts_and_a_replicate_that_is_in_two_cohorts_are_found(campaign, cohort, example):
    run = example.config(arms=["ticket", {"name": "random_mask", "draws": 2}], rewind={"step": 7})
    write_round(cohort, example.record(run, [0, 1], 1, 2, [("random_mask", 1)]))
    example.write_cohort(cohort.parent, run, [1, 2], index=1, rounds=0)
    found = told(campaign)
    assert ("round-001.2/manifest.json", "2 networks were trained in another part of the round too") in found
    assert any(what == "replicate 1 is in cohort-000 too" for _, what in found)


def test_a_manifest_that_says_little_is_a_problem_and_no_crash(campaign, cohort):
    manifest = json.loads((cohort / "round-001" / "manifest.json").read_text())
    del manifest["density"], manifest["sha256"]
    (cohort / "round-001" / "manifest.json").write_bytes(sealed_json(manifest))
    rehash(cohort / "round-002", arms=["ticket"], density={})
    found = dict(told(campaign))
    assert found["round-001/manifest.json"] == "damaged, density: Field required"
    assert found["round-002/manifest.json"] == "damaged, arms.0: Input should be an object"


def test_problems_are_plain_data(campaign, cohort):
    (cohort / "round-001" / "masks.safetensors").unlink()
    assert json.loads(json.dumps([dataclasses.asdict(problem) for problem in verify(campaign)])) == [
        {"path": str(cohort / "round-001" / "masks.safetensors"), "what": "missing"}
    ]


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no saved run in it"):
        verify(tmp_path)
    with pytest.raises(InputError, match="nothing: cannot read this folder"):
        verify(tmp_path / "nothing")
