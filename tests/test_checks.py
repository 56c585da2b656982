"""What is refused before anything is written: every problem at once, on stderr, with status 2."""

from __future__ import annotations

import errno
import json
import os
import socket
import struct

import pytest
import tomli_w
import torch
from resealed import write_sealed

import tickets
from tickets.store import taken

IDX = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


@pytest.fixture
def refused(command, tmp_path):
    """refused(file, *options) gives the lines of stderr, after checking that nothing was written."""

    def check(file, *options, out=tmp_path / "out"):
        there = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path.name != ".lock"}
        before = out.exists()
        said = command("run", file, "--out", out, *options)
        assert (said.code, said.out) == (2, "")
        assert "Traceback" not in said.err
        assert out.exists() == before
        now = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path.name != ".lock"}
        assert {path for path in now if "__pycache__" not in str(path)} == {
            path for path in there if "__pycache__" not in str(path)
        }
        assert all(now[path] == content for path, content in there.items())
        lines = said.err.splitlines()
        assert all(line.startswith("error: ") for line in lines)
        return lines

    return check


def test_every_wrong_key_is_said_at_once(refused, campaign_file, tmp_path):
    file = campaign_file(
        tmp_path,
        arms=["ticket", "reinti"],
        model={"name": "mlpp"},
        data="digit",
        train={"steps": "many", "stpes": 5},
        prune={"rate": 1.5},
    )
    lines = refused(file, "--device", "gpu")
    wanted = [
        ("--device = 'gpu'", "must be cpu or cuda"),
        ('train.steps = "many"', "must be a whole number, not a string"),
        ("train.stpes", "did you mean 'steps'?"),
        ("prune.rate = 1.5", "must be between 0 and 1"),
        ("arms[1] = 'reinti'", "did you mean 'reinit'?"),
        ("model.name = 'mlpp'", "did you mean 'mlp'?"),
        ("data = 'digit'", "did you mean 'digits'?"),
    ]
    for key, sentence in wanted:
        assert [line for line in lines if key in line and sentence in line], (key, lines)
    assert len(lines) == len(wanted)


def test_what_does_not_fit_the_data_is_said_for_every_run_at_once(refused, campaign_file, module, tmp_path):
    nets = module(
        "narrow", "import torch\ndef net(): return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 3))\n"
    )
    file = campaign_file(tmp_path, sweep={"model": [f"{nets}:net", "mlp"], "train.batch_size": [50, 9000]})
    lines = refused(file)
    assert len(lines) == 2
    assert any("maps inputs of shape (2, 1, 8, 8) to (2, 3); must be (2, 10)" in line for line in lines)
    assert any("train.batch_size = 9000: must be at most" in line for line in lines)


def test_options_and_functions_that_are_not_there(refused, campaign_file, tmp_path):
    (line,) = refused(campaign_file(tmp_path, model={"name": "no_such_module_here:net"}))
    assert "cannot import 'no_such_module_here'" in line
    (line,) = refused(campaign_file(tmp_path, prune={"score": "tickets.scores:magnitud"}))
    assert "no function 'magnitud'; did you mean 'magnitude'" in line
    (line,) = refused(campaign_file(tmp_path, prune={"exclude": ["9.*"]}))
    assert "9.*" in line


def test_a_strategy_that_the_model_cannot_be_computed_by_is_refused_before_anything_is_written(
    refused, campaign_file, tmp_path
):
    model = {"name": "conv2"}
    (line,) = refused(campaign_file(tmp_path, model=model, compute={"strategy": "layered"}))
    assert "compute.strategy = 'layered'" in line


def test_files_that_are_no_campaign(refused, campaign_file, tmp_path):
    campaign_file(tmp_path)
    (line,) = refused(tmp_path / "tyni.toml")
    assert "tyni.toml: no such file; did you mean 'tiny.toml'?" in line
    (line,) = refused(tmp_path)
    assert "is a folder; give a campaign file" in line
    (tmp_path / "broken.toml").write_text("name = [")
    (line,) = refused(tmp_path / "broken.toml")
    assert "is not TOML" in line


def test_settings_are_checked_like_the_file(refused, campaign_file, tmp_path):
    lines = refused(campaign_file(tmp_path), "--set", "train.steps=-1", "--set", "nonsense")
    assert len(lines) == 2
    assert "train.steps = -1: must be at least 1" in "".join(lines)
    assert "must have the form key=value" in "".join(lines)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_cuda_where_there_is_none(refused, campaign_file, tmp_path):
    (line,) = refused(campaign_file(tmp_path), "--device", "cuda")
    assert "finds no CUDA device here; use cpu" in line


# Data.


def mnist_files(folder, cut=0):
    images, labels = bytes(20 * 784), bytes(index % 10 for index in range(20))
    contents = [
        struct.pack(">4I", 0x803, 20, 28, 28) + images[: len(images) - cut],
        struct.pack(">2I", 0x801, 20) + labels,
    ] * 2
    (folder / "mnist").mkdir(parents=True, exist_ok=True)
    for name, content in zip(IDX, contents, strict=True):
        (folder / "mnist" / name).write_bytes(content)
    return folder


MNIST = {"data": {"name": "mnist", "validation": 5}, "train": {"batch_size": 5, "steps": 2}, "rounds": 0}


def test_a_data_set_that_is_missing_or_cut_short(refused, campaign_file, tmp_path, monkeypatch):
    monkeypatch.delenv("TICKETS_DATA", raising=False)
    file = campaign_file(tmp_path, **MNIST)
    (line,) = refused(file)
    assert "no data folder is given" in line
    assert "`tickets fetch mnist --data FOLDER`" in line
    (line,) = refused(file, "--data", tmp_path / "nowhere")
    assert f"`tickets fetch mnist --data {tmp_path / 'nowhere'}`" in line
    lines = refused(file, "--data", mnist_files(tmp_path / "data", cut=100))
    assert len(lines) == 2  # both image files
    assert all("it is too short" in line and "tickets fetch mnist" in line for line in lines)


def test_where_the_data_folder_comes_from(command, campaign_file, tmp_path, monkeypatch):
    data = mnist_files(tmp_path / "data")
    monkeypatch.delenv("TICKETS_DATA", raising=False)
    assert command("run", campaign_file(tmp_path, **MNIST), "--out", tmp_path / "a", "--data", data).code == 0
    in_file = campaign_file(tmp_path, **MNIST, data_folder=str(data))
    assert command("run", in_file, "--out", tmp_path / "b").code == 0
    assert command("run", in_file, "--out", tmp_path / "c", "--data", tmp_path / "nowhere").code == 2
    monkeypatch.setenv("TICKETS_DATA", str(data))
    assert command("run", campaign_file(tmp_path, **MNIST), "--out", tmp_path / "d").code == 0


def test_a_data_set_whose_contents_changed(refused, campaign_file, tmp_path):
    file, data = campaign_file(tmp_path, **MNIST), mnist_files(tmp_path / "data")
    tickets.run(file, out=tmp_path / "out", data=data)
    (data / "mnist" / IDX[1]).write_bytes(struct.pack(">2I", 0x801, 20) + bytes(20))
    # A change to the file that would be written if the data were right.
    (line,) = refused(campaign_file(tmp_path, **MNIST | {"replicates": 3}), "--data", data)
    assert "was trained on 'mnist' with SHA-256" in line
    assert "put the same data back, or use another folder (--out)" in line


# The folder.


@pytest.fixture
def done(campaign_file, tmp_path):
    """The folder of a campaign that was run."""
    tickets.run(campaign_file(tmp_path, rounds=0, replicates=1), out=tmp_path / "out")
    return tmp_path / "out"


def test_another_campaigns_folder(refused, campaign_file, done, tmp_path):
    (line,) = refused(campaign_file(tmp_path, name="other"))
    assert "holds the campaign 'tiny', not 'other'" in line


def test_another_schema_version(refused, campaign_file, done, tmp_path):
    (file,) = done.glob("*/run.json")
    write_sealed(file, {**json.loads(file.read_bytes()), "schema": 99})
    (line,) = refused(campaign_file(tmp_path))
    assert "schema 99, but this version of tickets reads schema 1; use the version that wrote it" in line


def test_a_folder_with_something_else_in_it(refused, campaign_file, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").touch()
    (line,) = refused(campaign_file(tmp_path))
    assert "is not empty (thesis.tex ...) and holds no campaign" in line


def test_an_empty_folder_and_hidden_files_are_no_obstacle(command, campaign_file, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".DS_Store").touch()
    assert command("run", campaign_file(tmp_path, rounds=0), "--out", tmp_path / "out").code == 0


def test_a_folder_that_is_a_file_or_below_one_or_has_no_possible_name(refused, campaign_file, tmp_path):
    file = campaign_file(tmp_path)
    (tmp_path / "results").touch()
    for out in (tmp_path / "results", tmp_path / "results" / "deep" / "out"):
        (line,) = refused(file, out=out)
        assert f"{tmp_path / 'results'}: is a file; give a folder" in line
    said = refused(file, out=tmp_path / "results" / ("x" * 300))
    assert "give" in said[0]


def test_a_folder_that_may_not_be_written_to(command, campaign_file, tmp_path, monkeypatch):
    def mkdir(*_, **__):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    file = campaign_file(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("os.mkdir", mkdir)
        said = command("run", file, "--out", tmp_path / "out")
    assert said.code == 1
    (line,) = said.err.splitlines()
    assert line.startswith("error: permission denied in ")
    assert "(--out)" in line


def test_a_folder_where_another_process_trains_another_content(command, campaign_file, done, tmp_path):
    with taken(next(done.glob("*/cohort-000"))):
        said = command("run", campaign_file(tmp_path, rounds=3), "--out", done)
    assert said.code == 2
    who = f"process {os.getpid()} on {socket.gethostname()}"
    assert f"another `tickets run` ({who}) is at work in {done}, with another content of the campaign" in said.err


def test_arms_that_were_trained_with_another_value_are_said_for_every_run(refused, campaign_file, tmp_path):
    changes = {"rounds": 0, "replicates": 1, "sweep": {"train.learning_rate": [0.1, 0.01]}}
    before = [{"name": "constant", "value": 0.5}]
    tickets.run(campaign_file(tmp_path, arms=["ticket", *before], **changes), out=tmp_path / "out")
    after = [{"name": "constant", "value": 0.7}]
    (line,) = refused(campaign_file(tmp_path, arms=["ticket", *after], **changes))
    assert "arm 'constant' was trained here with value = 0.5; the campaign now says 0.7" in line


def test_a_committed_round_that_went_missing(refused, campaign_file, tmp_path):
    tickets.run(campaign_file(tmp_path), out=tmp_path / "out")
    (gone,) = (tmp_path / "out").glob("*/cohort-000/round-001")
    gone.rename(tmp_path / "elsewhere")
    (line,) = refused(campaign_file(tmp_path))
    assert "round-001: missing, though later rounds or parts are there" in line


def test_devices_by_number(monkeypatch):
    from tickets.errors import InputError
    from tickets.machine import find_device

    assert find_device("cpu") == torch.device("cpu")
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert find_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(InputError, match="there are 2 CUDA devices"):
        find_device("cuda:2")
    with pytest.raises(InputError, match="must be cpu, cuda or cuda:0"):
        find_device("cuda:one")


def test_a_table_that_no_toml_writer_would_refuse_is_still_checked(refused, tmp_path):
    file = tmp_path / "tiny.toml"
    file.write_text(tomli_w.dumps({"seed": -1}))
    lines = refused(file)
    assert any("seed = -1" in line for line in lines)
    assert any("name: missing" in line for line in lines)
