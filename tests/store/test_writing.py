"""The folders and files of a run: what is written, in which order, and read back."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import hashlib
import json
import os
import sys

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from tickets.errors import DiskError
from tickets.store import (
    load,
    missing,
    read_next_masks,
    read_optimizer,
    read_values,
    wanted_arms,
    write_initial,
    write_round,
)
from tickets.store.arrays import decode, decode_shapes
from tickets.store.reading import read_round_masks

COLUMNS = ["run", "replicate", "round", "density", "arm", "draw"]


def test_the_folders_and_files_of_a_run(saved_run):
    files = {str(path.relative_to(saved_run)) for path in saved_run.rglob("*") if path.is_file()}
    in_round = [
        "curves.parquet",
        "manifest.json",
        "masks.safetensors",
        "next_masks.safetensors",
        "rounds.parquet",
    ]
    in_round += ["trained.safetensors", "weights.safetensors"]
    assert files == {
        "run.json",
        "log.jsonl",
        "cohort-000/initial/manifest.json",
        "cohort-000/initial/values.safetensors",
        *(f"cohort-000/round-{number:03d}/{name}" for number in range(3) for name in in_round),
    }


def test_masks_by_hand(saved_run, example):
    data = (saved_run / "cohort-000" / "round-002" / "masks.safetensors").read_bytes()
    assert decode_shapes(data) == {"1.weight": (4, 3), "3.weight": (2, 4)}
    assert list(decode_shapes(data)) == ["1.weight", "3.weight"]
    arrays = decode(data)
    assert set(arrays) == {
        f"{replicate}/{mask}/{name}"
        for replicate in (0, 1)
        for mask in ("ticket", "random_mask")
        for name in ("1.weight", "3.weight")
    }
    bits = "".join(f"{byte:08b}"[::-1] for byte in arrays["1/ticket/1.weight"].tobytes())
    assert bits == "".join(str(int(kept)) for kept in example.mask(1, 2)["1.weight"].ravel()) + "0000"
    assert bits.count("1") == 6


def test_weights_are_the_surviving_values_in_order_and_other_tensors_whole(saved_run, example):
    arrays = decode((saved_run / "cohort-000" / "round-002" / "weights.safetensors").read_bytes())
    arms = ["ticket", "reinit.draw0", "reinit.draw1", "constant", "random_mask"]
    assert set(arrays) == {f"{r}/{a}/{n}" for r in (0, 1) for a in arms for n in example.theta0(0)}
    theta0, mask = example.theta0(1), example.mask(1, 2)
    assert arrays["1/ticket/1.weight"].shape == (6,)
    flat = zip(theta0["1.weight"].ravel().tolist(), mask["1.weight"].ravel(), strict=True)
    assert arrays["1/ticket/1.weight"].tolist() == [value for value, kept in flat if kept]
    assert arrays["1/ticket/1.bias"].tobytes() == theta0["1.bias"].tobytes()
    trained = decode((saved_run / "cohort-000" / "round-002" / "trained.safetensors").read_bytes())
    assert {key.split("/")[1] for key in trained} == {"ticket"}
    np.testing.assert_array_equal(trained["1/ticket/1.weight"], 2 * arrays["1/ticket/1.weight"])


def test_the_manifest_of_a_round(saved_run):
    manifest = json.loads((saved_run / "cohort-000" / "round-002" / "manifest.json").read_text())
    files, own = manifest.pop("files"), manifest.pop("sha256")
    data = (saved_run / "cohort-000" / "round-002" / "manifest.json").read_bytes()
    assert data.startswith(b'{\n "sha256": "' + own.encode())
    assert own == hashlib.sha256(data.partition(own.encode())[2]).hexdigest()
    assert sorted(files) == sorted(
        [
            "masks.safetensors",
            "weights.safetensors",
            "trained.safetensors",
            "next_masks.safetensors",
            "curves.parquet",
            "rounds.parquet",
        ]
    )
    assert manifest == {
        "schema": 1,
        "run": "digits-mlp-example",
        "cohort": 0,
        "rows": {"curves.parquet": 20, "rounds.parquet": 10},
        "kind": "round",
        "round": 2,
        "part": 0,
        "replicates": [0, 1],
        "arms": [
            {"arm": "ticket", "draw": 0},
            {"arm": "reinit", "draw": 0},
            {"arm": "reinit", "draw": 1},
            {"arm": "constant", "draw": 0},
            {"arm": "random_mask", "draw": 0},
        ],
        "density": {"0": 0.6, "1": 0.6},
        "surviving": {"0": {"1.weight": 6, "3.weight": 6}, "1": {"1.weight": 6, "3.weight": 6}},
        "diverged": 1,
        "arm_options": {
            "ticket": {"start": None, "value": None},
            "reinit": {"start": None, "value": None},
            "constant": {"start": None, "value": 0.5},
            "random_mask": {"start": None, "value": None},
        },
    }


def test_tables_have_the_columns_of_the_contract_in_its_order_and_fixed_types(saved_run):
    folder = saved_run / "cohort-000" / "round-002"
    rounds, curves = pq.read_table(folder / "rounds.parquet"), pq.read_table(folder / "curves.parquet")
    assert rounds.column_names == [
        *COLUMNS,
        "early_stop_step",
        "early_stop_test_accuracy",
        "early_stop_validation_loss",
        "final_test_accuracy",
        "final_test_loss",
        "final_train_loss",
        "diverged",
        "seconds",
    ]
    assert curves.column_names == [
        *COLUMNS,
        "step",
        "train_loss",
        "train_accuracy",
        "validation_loss",
        "validation_accuracy",
        "test_loss",
        "test_accuracy",
    ]
    types = {field.name: str(field.type) for table in (rounds, curves) for field in table.schema}
    assert types.pop("run") == types.pop("arm") == "string"
    assert types.pop("diverged") == "bool"
    assert {name for name, kind in types.items() if kind == "int64"} == {"replicate", "round", "draw", "step"}
    assert {kind for name, kind in types.items() if name not in ("replicate", "round", "draw", "step")} == {"double"}
    # A training that diverged is a row with NaN, neither a null nor left out.
    step = rounds["early_stop_step"].to_numpy()
    assert np.isnan(step).tolist() == rounds["diverged"].to_pylist()
    assert sum(rounds["diverged"].to_pylist()) == 1
    assert rounds["early_stop_step"].null_count == 0


def test_equal_runs_have_equal_bytes(tmp_path, example):
    one, other = (example.write(tmp_path / name) for name in ("one", "other"))
    for path in one.rglob("*"):
        assert (
            path.is_dir()
            or path.name == "log.jsonl"
            or path.read_bytes() == (other / path.relative_to(one)).read_bytes()
        )


def test_what_is_read_back_is_what_was_written(tmp_path, example):
    run = example.config(rewind={"step": 7})
    cohort = example.write_cohort(tmp_path, run, [3, 12], rounds=2)
    for name, values in (("initial", example.theta0), ("rewind", example.rewound)):
        back = read_values(cohort / name)
        assert list(back) == [3, 12]
        for replicate, arrays in back.items():
            assert list(arrays) == ["1.weight", "1.bias", "3.weight", "3.bias"]  # the model's order
            assert all(array.tobytes() == values(replicate)[n].tobytes() for n, array in arrays.items())
    optimizer = read_optimizer(cohort / "rewind")
    assert optimizer[12]["1.weight/exp_avg"].tolist() == np.full((4, 3), 12.0).tolist()
    assert optimizer[3]["1.weight/step"].shape == ()
    assert optimizer[3]["1.weight/step"] == 7
    assert read_optimizer(cohort / "initial") == {}
    for read, number in ((read_round_masks, 1), (read_next_masks, 2)):
        masks = read(cohort / "round-001")
        assert list(masks) == [3, 12]
        for replicate in masks:
            for name, mask in example.mask(replicate, number).items():
                np.testing.assert_array_equal(masks[replicate][name], mask)


def test_trained_values_are_written_only_if_some_are_kept(tmp_path, example):
    for kept, arms in (
        ("none", None),
        ("all", {"ticket", "reinit.draw0", "reinit.draw1", "constant", "random_mask"}),
    ):
        cohort = example.write_cohort(tmp_path / kept, example.config(store={"trained": kept}), [0], rounds=1)
        path = cohort / "round-000" / "trained.safetensors"
        assert path.exists() == (arms is not None)
        if arms:
            assert {key.split("/")[1] for key in decode(path.read_bytes())} == arms


def test_a_tensor_without_survivors_comes_back(tmp_path, example):
    run = example.config(arms=["ticket"])
    write_initial(tmp_path / "cohort-000", {0: example.theta0(0)})
    record = example.record(run, [0], 0, 0, [("ticket", 0)])
    arm = record.arms[0]
    mask = {**arm.mask, "1.weight": np.zeros((4, 3), np.bool_)}
    initial = {**arm.initial, "1.weight": np.zeros((4, 3), np.float32)}
    whole = dataclasses.replace(arm, mask=mask, initial=initial, trained=None)
    write_round(tmp_path / "cohort-000", dataclasses.replace(record, arms=[whole]))
    folder = tmp_path / "cohort-000" / "round-000"
    assert decode((folder / "weights.safetensors").read_bytes())["0/ticket/1.weight"].shape == (0,)
    assert json.loads((folder / "manifest.json").read_text())["density"] == {"0": 8 / 20}


def test_a_part_added_later_holds_its_arms_alone(saved_run, example):
    cohort = saved_run / "cohort-000"
    pairs = [("reinit", 2), ("random_mask", 1), ("random_mask_reinit", 0)]
    run = example.config(
        arms=[
            "ticket",
            {"name": "reinit", "draws": 3},
            {"name": "random_mask", "draws": 2},
            "random_mask_reinit",
        ]
    )
    write_round(cohort, example.record(run, [0, 1], 1, 1, pairs))
    folder = cohort / "round-001.1"
    masks = decode((folder / "masks.safetensors").read_bytes())
    assert {key.split("/")[1] for key in masks} == {"random_mask.draw1", "random_mask_reinit"}
    assert decode_shapes((folder / "masks.safetensors").read_bytes()) == {
        "1.weight": (4, 3),
        "3.weight": (2, 4),
    }
    weights = decode((folder / "weights.safetensors").read_bytes())
    assert {key.split("/")[1] for key in weights} == {
        "reinit.draw2",
        "random_mask.draw1",
        "random_mask_reinit",
    }
    assert not (folder / "next_masks.safetensors").exists()
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["density"] == {"0": 0.8, "1": 0.8}
    assert manifest["part"] == 1
    # A part with no random mask has a masks file with none in it.
    write_round(cohort, example.record(run, [0, 1], 0, 1, [("reinit", 2)]))
    assert decode((cohort / "round-000.1" / "masks.safetensors").read_bytes()) == {}


def test_tables_of_whole_numbers_and_no_rows_are_good(tmp_path, example):
    run = example.config(arms=["ticket"])
    write_initial(tmp_path / "cohort-000", {0: example.theta0(0)})
    record = example.record(run, [0], 0, 0, [("ticket", 0)])
    rounds = record.rounds.assign(early_stop_step=np.int64(100), seconds=2)
    curves = pd.DataFrame(columns=record.curves.columns[::-1])
    write_round(tmp_path / "cohort-000", dataclasses.replace(record, rounds=rounds, curves=curves))
    folder = tmp_path / "cohort-000" / "round-000"
    assert pq.read_table(folder / "curves.parquet").num_rows == 0
    assert pq.read_table(folder / "rounds.parquet")["early_stop_step"].to_pylist() == [100.0]


def test_a_crash_at_any_step_of_a_round_leaves_readers_nothing_or_all_of_it(tmp_path, example, failing, monkeypatch):
    run = example.config()
    folder = example.write(tmp_path / "run", example.config(rounds=0))
    cohort = folder / "cohort-000"
    record = example.record(run, [0, 1], 1, 0, wanted_arms(run))
    commit_module = sys.modules["tickets.store.commit"]
    crashes = 0
    with monkeypatch.context() as patch:
        patch.setattr(commit_module.shutil, "rmtree", lambda *args, **options: None)  # killed: nothing is cleaned up
        for target, name in ((os, "open"), (os, "fsync"), (os, "rename")):
            for n in range(1, 20):
                if (cohort / "round-001").exists():
                    break
                with (
                    failing(target, name, n, OSError(errno.EIO, "gone")) as calls,
                    contextlib.suppress(DiskError),
                ):
                    write_round(cohort, record)
                crashes += calls[0] >= n
                whole = (cohort / "round-001").exists()
                saved = load(folder)
                assert set(saved.rounds["round"]) == set(saved.curves["round"]) == ({0, 1} if whole else {0})
                if whole:
                    assert saved.ticket(1, 1).density == 0.8
                    assert not missing(example.config(rounds=1), folder)
                    (cohort / "round-001").rename(tmp_path / f"{name}-{n}")
                    if calls[0] < n:
                        break
    # 7 files, the folder and its parent are opened and synced, and there is one rename.
    assert crashes == 9 + 9 + 1
    assert len([entry for entry in cohort.iterdir() if entry.name.startswith(".tmp-")]) == 8 + 8 + 1
