from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tickets.errors import InputError
from tickets.store import verify, write_round
from tickets.store.arrays import decode, decode_shapes, encode
from tickets.store.tables import encode_table


@pytest.fixture(scope="module")
def template(example, tmp_path_factory):
    """A run that rewinds, with a part added later; the tests damage copies of it."""
    folder = tmp_path_factory.mktemp("verify") / "campaign" / example.run_id
    run = example.config(rewind={"step": 7}, store={"trained": "all"})
    example.write(folder, run)
    more = example.config(arms=["ticket", {"name": "random_mask", "draws": 2}], rewind={"step": 7})
    write_round(folder / "cohort-000", example.record(more, [0, 1], 1, 1, [("random_mask", 1)]))
    return folder.parent


@pytest.fixture
def campaign(template, tmp_path):
    return shutil.copytree(template, tmp_path / "campaign")


@pytest.fixture
def cohort(campaign, example):
    return campaign / example.run_id / "cohort-000"


def told(folder):
    """The problems as (path below the cohort's folder, text)."""
    return [(problem.path.split("cohort-000/")[-1], problem.what) for problem in verify(folder)]


def rehash(folder, **changes):
    """Make the manifest fit the files again, so that only their contents can betray them."""
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest.update(changes)
    for name in manifest["files"]:
        data = (folder / name).read_bytes()
        manifest["files"][name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def change_arrays(folder, name, change):
    data = (folder / name).read_bytes()
    arrays = decode(data)
    change(arrays)
    (folder / name).write_bytes(encode(arrays, decode_shapes(data)))
    rehash(folder)


def change_table(folder, name, change):
    table = change(pq.read_table(folder / name))
    (folder / name).write_bytes(encode_table(table.to_pandas(), table.schema))
    rehash(folder)


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
    # In a manifest, a bit of a SHA-256: there is nothing else to hold against it.
    data[-20 if name.endswith("manifest.json") else len(data) // 2] ^= 1
    (cohort / name).write_bytes(data)
    found = told(campaign)
    assert len(found) == 1
    path, what = found[0]
    assert "SHA-256" in what
    assert "but the manifest says" in what
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
    (cohort / "rewind" / "manifest.json").write_text(json.dumps(manifest))
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
    assert [(problem.path, problem.what[:17]) for problem in verify(campaign)] == [(str(path), "damaged, not JSON")]


def test_a_wrong_count_of_survivors_is_found(campaign, cohort):
    manifest = json.loads((cohort / "round-002" / "manifest.json").read_text())
    manifest["surviving"]["1"]["3.weight"] -= 1
    rehash(cohort / "round-002", surviving=manifest["surviving"])
    assert told(campaign) == [
        (
            "round-002/masks.safetensors",
            "replicate 1: {'1.weight': 6, '3.weight': 6} survive, but the manifest says {'1.weight': 6, '3.weight': 5}",
        )
    ]


def test_a_wrong_density_is_found(campaign, cohort):
    rehash(cohort / "round-002", density={"0": 0.6, "1": 0.61})
    text = "replicate 1: density 0.6, but the manifest says 0.61"
    assert told(campaign)[0] == ("round-002/masks.safetensors", text)


@pytest.mark.parametrize("name", ["initial", "rewind"])
def test_values_of_other_replicates_are_found(campaign, cohort, name):
    def change(arrays):
        for key in [key for key in arrays if key.startswith("1/")]:
            del arrays[key]

    change_arrays(cohort / name, "values.safetensors", change)
    assert told(campaign)[0] == (f"{name}/values.safetensors", "replicates [0], not [0, 1]")


def set_bit(key, index):
    def change(arrays):
        arrays[key][index // 8] ^= np.uint8(1 << (index % 8))

    return change


def first_of(mask, value):
    return int(np.flatnonzero(mask.ravel() == value)[0])


def test_masks_that_are_not_nested_are_found(campaign, cohort, example):
    mask = example.mask(0, 2)["1.weight"]
    pruned_before = first_of(example.mask(0, 1)["1.weight"], False)
    for index in (pruned_before, first_of(mask, True)):  # as many as before, so the counts are right
        change_arrays(cohort / "round-002", "masks.safetensors", set_bit("0/ticket/1.weight", index))
    found = dict.fromkeys(told(campaign))
    assert (
        "round-002/masks.safetensors",
        "replicate 0: 1 weights of 1.weight that were pruned before are back",
    ) in found
    follows = "replicate 0: the mask of 1.weight is not that of the round before's next_masks.safetensors"
    assert ("round-002/masks.safetensors", follows) in found
    moved = "replicate 0: the ticket's 1.weight is not the rewound value at the places of its mask"
    assert ("round-002/weights.safetensors", moved) in found


def test_a_random_mask_with_another_count_is_found(campaign, cohort, example):
    mask = example.arm(example.config(), 1, 1, "random_mask", 0).mask["3.weight"]
    change_arrays(cohort / "round-001", "masks.safetensors", set_bit("1/random_mask/3.weight", first_of(mask, True)))
    network = "replicate 1, arm 'random_mask', draw 0"
    survive = "{'1.weight': 9, '3.weight': 6} survive, but the round's mask has other counts"
    lengths = f"{network}: 3.weight is (7,), but must be (6,)"
    assert told(campaign) == [
        ("round-001/masks.safetensors", f"{network}: {survive}"),
        ("round-001/weights.safetensors", lengths),
        ("round-001/trained.safetensors", lengths),
    ]


def test_bits_past_the_end_of_a_mask_are_found(campaign, cohort):
    change_arrays(cohort / "round-001", "masks.safetensors", set_bit("1/ticket/1.weight", 13))
    assert any("bits set past its 12 entries" in what for _, what in told(campaign))


def test_a_ticket_at_other_values_than_the_rewound_ones_is_found(campaign, cohort):
    def change(arrays):
        arrays["1/ticket/1.weight"].view(np.uint32)[2] ^= 1  # the last bit of one weight
        arrays["0/ticket/3.bias"].view(np.uint32)[0] ^= 1

    for number in (0, 2):  # round 0 starts from the initial values, later ones from the rewound
        change_arrays(cohort / f"round-00{number}", "weights.safetensors", change)
    text = "replicate {}: the ticket's {} is not the rewound value at the places of its mask"
    assert told(campaign) == [
        (f"round-00{number}/weights.safetensors", text.format(*which))
        for number in (0, 2)
        for which in ((0, "3.bias"), (1, "1.weight"))
    ]


@pytest.mark.parametrize("name", ["weights.safetensors", "trained.safetensors"])
def test_values_of_another_number_missing_ones_and_strangers_are_found(campaign, cohort, name):
    def change(arrays):
        arrays["0/constant/1.weight"] = arrays["0/constant/1.weight"][:-1]
        del arrays["1/random_mask/3.bias"]
        arrays["1/shuffle/1.weight"] = np.zeros(6, np.float32)

    change_arrays(cohort / "round-002", name, change)
    found = {what for path, what in told(campaign) if path == f"round-002/{name}"}
    assert {
        "replicate 0, arm 'constant', draw 0: 1.weight is (5,), but must be (6,)",
        "replicate 1, arm 'random_mask', draw 0: 3.bias is missing, but must be (2,)",
        "holds replicate 1, arm 'shuffle', draw 0, which does not belong here",
    } <= found


def test_a_network_that_is_missing_is_found(campaign, cohort):
    def change(arrays):
        for key in [key for key in arrays if key.startswith("1/reinit.draw1/")]:
            del arrays[key]

    change_arrays(cohort / "round-000", "weights.safetensors", change)
    assert told(campaign) == [("round-000/weights.safetensors", "lacks replicate 1, arm 'reinit', draw 1")]


def test_next_masks_that_the_next_round_did_not_start_from_are_found(campaign, cohort, example):
    index = first_of(example.mask(0, 1)["1.weight"], True)
    change_arrays(cohort / "round-000", "next_masks.safetensors", set_bit("0/ticket/1.weight", index))
    text = "replicate 0: the mask of 1.weight is not that of the round before's next_masks.safetensors"
    assert told(campaign) == [("round-001/masks.safetensors", text)]


def replaced(name, value):
    def change(table):
        index = table.column_names.index(name)
        return table.set_column(
            index, table.schema.field(index), pa.array([value] * len(table), table.schema.types[index])
        )

    return change


@pytest.mark.parametrize("name", ["rounds.parquet", "curves.parquet"])
@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda table: pa.concat_tables([table, table.slice(0, 1)]), "rows repeat"),
        (replaced("run", "another"), "has rows that are not of run digits-mlp-example, round 1"),
        (replaced("round", 2), "has rows that are not of run digits-mlp-example, round 1"),
        (replaced("density", 0.5), "has rows of another density than the manifest's"),
        (
            replaced("replicate", 7),
            "holds replicate 7, arm 'constant', draw 0 and 4 more, which does not belong here",
        ),
    ],
)
def test_wrong_rows_are_found(campaign, cohort, name, change, what):
    change_table(cohort / "round-001", name, change)
    assert (f"round-001/{name}", what) in told(campaign)


def test_wrong_rows_of_hidden_units_are_found(tmp_path, example):
    campaign = tmp_path / "campaign"
    run = example.config(store={"units": True})
    folder = example.write(campaign / example.run_id, run) / "cohort-000" / "round-001"
    assert verify(campaign) == []
    change_table(folder, "units.parquet", lambda table: pa.concat_tables([table, table.slice(3, 1)]))
    assert told(campaign) == [("round-001/units.parquet", "21 rows, but the manifest says 20")]


def test_rows_that_are_missing_are_found(campaign, cohort):
    folder = cohort / "round-002"
    change_table(folder, "rounds.parquet", lambda table: table.filter(pc.invert(table["diverged"])))
    assert told(campaign) == [
        ("round-002/rounds.parquet", "lacks replicate 1, arm 'constant', draw 0"),
        ("round-002/rounds.parquet", "0 diverged, but the manifest says 1"),
    ]


def test_a_table_with_other_columns_is_found(campaign, cohort):
    path = cohort / "round-001" / "rounds.parquet"
    pq.write_table(pq.read_table(path).drop_columns("seconds"), path)
    rehash(cohort / "round-001")
    ((where, what),) = told(campaign)
    assert where == "round-001"
    assert "columns are" in what
    assert "seconds: double" in what


def test_manifests_of_another_place_are_found(campaign, cohort):
    shutil.rmtree(cohort / "round-002")
    shutil.copytree(cohort / "round-001", cohort / "round-002")
    assert ("round-002/manifest.json", "is the manifest of round 1, part 0") in told(campaign)
    rehash(cohort / "rewind", kind="initial")
    assert ("rewind/manifest.json", "is the manifest of 'initial'") in told(campaign)
    rehash(cohort / "round-000", replicates=[0, 1, 2])
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
    del manifest["density"]
    (cohort / "round-001" / "manifest.json").write_text(json.dumps(manifest))
    rehash(cohort / "round-002", arms=["ticket"], density={})
    found = dict(told(campaign))
    assert "damaged, it lacks density" in found["round-001"]
    assert "the contents do not have the layout of saved runs" in found["round-002"]


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
