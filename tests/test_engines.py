"""Engines of the user's own: they give the bits of the default one, and what they do wrong is reported."""

from __future__ import annotations

import json
import multiprocessing
import pickle
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from dataclasses import replace

import pytest

import tickets
from tickets.campaign import run_campaign
from tickets.engines import one_after_another
from tickets.errors import InputError
from tickets.store import read_events, run_folders, status, verify
from tickets.work import train

pytestmark = pytest.mark.usefixtures("preloaded")

SMALL = {"replicates": 2, "cohort_size": 1, "rounds": 1, "arms": ["ticket", "reinit"], "rewind": {"step": 5}}
ONE = {"replicates": 1, "rounds": 0, "arms": ["ticket"]}  # a piece of work a run


def ignore(event):
    """A listener that pickles."""


def executor(works, listener):
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        futures = {pool.submit(train, work, ignore): work for work in works}
        for future in as_completed(futures):
            yield futures[future], future.result()


def threads(works, listener):
    with ThreadPoolExecutor(2) as pool:
        yield from zip(works, pool.map(lambda work: train(work, listener), works), strict=True)


def spawned(works, listener):
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        yield from zip(works, pool.starmap(train, [(work, ignore) for work in works]), strict=True)


@pytest.fixture(scope="module")
def small(campaign_file, tmp_path_factory, contents):
    """A campaign file of two pieces of work, and the contents of its folder as the default engine trains it."""
    folder = tmp_path_factory.mktemp("small")
    file = campaign_file(folder, **SMALL)
    tickets.run(file, out=folder / "out")
    return file, contents(folder / "out")


@pytest.mark.parametrize("engine", [executor, threads, spawned])
def test_an_engine_of_a_few_lines_gives_the_bits_of_the_default_one(engine, small, contents, tmp_path):
    file, wanted = small
    tickets.run(file, out=tmp_path / "out", engine=engine)
    assert contents(tmp_path / "out") == wanted
    assert verify(tmp_path / "out") == []


NETS = """
import torch
from pathlib import Path
def net(input_shape, classes, hidden):
    width = int(Path(hidden).read_text())
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, width), torch.nn.ReLU(),
                               torch.nn.Linear(width, classes))
"""
FRESH = "import pickle, sys; from tickets.work import train; print(train(pickle.load(open(sys.argv[1], 'rb')), print))"


def test_a_fresh_process_that_has_only_the_package_and_the_folder_trains_a_pickled_work(
    campaign_file, contents, tmp_path, monkeypatch
):
    # The model's module lies beside the campaign file, and its option is a path relative to the folder of the start.
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "nets_of_a_fresh_process.py").write_text(NETS)
    (folder / "width.txt").write_text("6")
    model = {"name": "nets_of_a_fresh_process:net", "hidden": "width.txt"}
    file = campaign_file(folder, rounds=0, replicates=1, model=model)
    monkeypatch.chdir(folder)
    said = []

    def elsewhere(works, listener):
        for work in works:
            (tmp_path / "work.pickle").write_bytes(pickle.dumps(work))
            # Isolated: neither PYTHONPATH nor the current folder is searched for modules.
            command = [sys.executable, "-I", "-c", FRESH, str(tmp_path / "work.pickle")]
            done = subprocess.run(command, capture_output=True, text=True, cwd="/", env={}, check=True)
            said.extend(done.stdout.splitlines())
            yield work, None

    tickets.run(file, out="out", engine=elsewhere)
    tickets.run(file, out="usual")
    assert contents(folder / "out") == contents(folder / "usual")
    assert said[-1] == "None"
    assert sum(int(line.removeprefix("Steps(count=")[:-1]) for line in said if line.startswith("Steps(")) == 4 * 20
    assert sum(line.startswith("RoundDone(") for line in said) == 1


def empty(works, listener):
    yield from ()


def forgets(works, listener):
    yield works[0], train(works[0], listener)


def raises(works, listener):
    yield works[0], train(works[0], listener)
    raise OSError("the queue is closed")


def foreign(works, listener):
    yield works[0], train(works[0], listener)
    yield "works[1]", None


def another(works, listener):
    yield works[0], train(works[0], listener)
    yield replace(works[1], run_id="mine"), None


def twice(works, listener):
    yield works[0], train(works[0], listener)
    yield works[0], None


def numbers(works, listener):
    yield works[0], train(works[0], listener)
    yield works[1], 0


def silent(works, listener):
    yield works[0], train(works[0], listener)
    yield works[1], " "


def lies(works, listener):
    yield works[0], train(works[0], listener)
    yield works[1], None


def gives_up(works, listener):
    yield works[0], train(works[0], listener)
    yield works[1], "node 7 went down"


def nothing(works, listener):
    train(works[0], listener)


HERE = f"engine {__name__}:"


@pytest.mark.parametrize(("engine", "why"), [
    (forgets, f"{HERE}forgets: ended and did not report this work"),
    (raises, f"{HERE}raises: raised before it reported this work: OSError: the queue is closed (at "),
    (foreign, f"{HERE}foreign: yielded ('works[1]', None); must be (work, why it failed or None)"),
    (another, f"{HERE}another: yielded mine/cohort-001, which is none of the works that it was given"),
    (twice, f"{HERE}twice: yielded RUN/cohort-000 twice; each work must be yielded once"),
    (numbers, f"{HERE}numbers: yielded 0 as why RUN/cohort-001 failed; must be (work, why it failed or None)"),
    (silent, f"{HERE}silent: yielded an empty text as why RUN/cohort-001 failed; must be (work,"),
    (lies, f"{HERE}lies: reported this work as trained, but cohort 1, round 0 is not committed"),
    (gives_up, "node 7 went down"),
    (nothing, f"{HERE}nothing: raised before it reported this work: TypeError: 'NoneType' object is not iterable"),
])  # fmt: skip
def test_what_an_engine_does_wrong_is_reported_logged_and_mended_by_the_default_one(
    engine, why, campaign_file, tmp_path
):
    file, out = campaign_file(tmp_path, **SMALL | {"rounds": 0, "arms": ["ticket"], "rewind": {}}), tmp_path / "out"
    with pytest.raises(RuntimeError) as raised:
        tickets.run(file, out=out, engine=engine)
    (run,) = run_folders(out)
    text = why.replace("RUN", run.name)
    assert str(raised.value).startswith(f"{run.name} failed: {text}")
    (found,) = status(out)
    assert found.state == "failed"
    assert str(found.why).startswith(text)
    events = [event for event in read_events(run / "log.jsonl") if event["event"] == "failed"]
    assert [event["cohort"] for event in events] == ([0, 1] if engine is nothing else [1])
    assert all(event["why"].startswith(text) for event in events)
    assert ("traceback" in events[-1]) == (engine in (raises, nothing))
    tickets.run(file, out=out)
    assert [one.state for one in status(out)] == ["done"]


def test_an_engine_is_closed_after_an_error(campaign_file, tmp_path):
    ended = []

    def engine(works, listener):
        try:
            yield works[0], "no good"
            yield works[0], "no good"
        finally:
            ended.append(True)

    with pytest.raises(RuntimeError, match="no good"):
        tickets.run(campaign_file(tmp_path, rounds=0), out=tmp_path / "out", engine=engine)
    assert ended == [True]


def test_wrong_input_that_an_engine_meets_stops_the_campaign(campaign_file, tmp_path):
    def engine(works, listener):
        raise InputError("no space left in the cluster")

    with pytest.raises(InputError, match="no space left in the cluster"):
        tickets.run(campaign_file(tmp_path, rounds=0), out=tmp_path / "out", engine=engine)


def test_an_engine_that_has_nothing_to_train_is_not_called(small):
    file, _ = small
    saved = tickets.run(file, out=file.parent / "out", engine=None)
    assert len(tickets.run(file, out=file.parent / "out", engine=raises).rounds) == len(saved.rounds)


def changing(**changes):
    """An engine that trains the first piece of work with other values in it."""

    def engine(works, listener):
        first, *others = works
        for work, (_, why) in zip(
            works, one_after_another()([replace(first, **changes), *others], listener), strict=True
        ):
            yield work, why

    return engine


def test_what_is_wrong_with_one_run_where_it_is_trained_fails_that_run_alone(campaign_file, command, tmp_path):
    file, out = campaign_file(tmp_path, **ONE, sweep={"seed": [0, 1]}), tmp_path / "out"
    outcome = run_campaign(
        file, out=out, data=None, settings=(), device="cpu", workers=1, listener=ignore,
        engine=changing(data_sha256="0" * 64),
    )  # fmt: skip
    first, other = status(out)
    assert (first.state, other.state) == ("failed", "done")
    assert outcome.failed == {first.run: first.why}
    assert "was trained on 'digits' with SHA-256 000000000000..., but the data" in first.why
    (event,) = [event for event in read_events(out / first.run / "log.jsonl") if event["event"] == "failed"]
    assert event["traceback"].startswith("Traceback")
    assert command("run", file, "--out", out).code == 0


def test_a_saved_file_that_was_damaged_meanwhile_fails_its_run_alone(campaign_file, tmp_path):
    def engine(works, listener):
        manifest = works[0].cohort_folder / "initial" / "manifest.json"
        manifest.parent.mkdir(parents=True)
        manifest.write_text("{")
        yield from one_after_another()(works, listener)

    file, out = campaign_file(tmp_path, **ONE, sweep={"seed": [0, 1]}), tmp_path / "out"
    with pytest.raises(RuntimeError, match=r"failed: .*manifest\.json"):
        tickets.run(file, out=out, engine=engine)
    assert len(list(out.glob("*/cohort-000/round-000"))) == 1


def test_a_device_that_is_not_there_stops_every_run(campaign_file, tmp_path):
    file, out = campaign_file(tmp_path, **ONE, sweep={"seed": [0, 1]}), tmp_path / "out"
    with pytest.raises(InputError, match="--device = 'cuda:99'"):
        tickets.run(file, out=out, engine=changing(device="cuda:99"))
    assert [one.state for one in status(out)] == ["waiting", "waiting"]


def test_each_round_says_where_and_how_it_was_trained(small, tmp_path):
    file, _ = small
    (run,) = run_folders(file.parent / "out")
    began = json.loads((run / "run.json").read_bytes())
    manifests = [json.loads(path.read_bytes()) for path in run.glob("cohort-*/round-*/manifest.json")]
    assert len(manifests) == 4
    for manifest in manifests:
        assert manifest["fingerprint"] == began["fingerprint"]
        execution = dict(manifest["execution"])
        assert execution.pop("free_memory_bytes") > 2**20
        assert execution == {key: began["execution"][key] for key in execution}
        assert set(execution) == {"strategy", "takes_over", "lanes", "networks_at_once", "threads"}


def test_the_machine_is_that_of_the_process_that_trains(campaign_file, watcher, tmp_path, monkeypatch):
    there = {"system": "Elsewhere", "threads": 64}
    monkeypatch.setattr("tickets.work.fingerprint", lambda device, threads: there)
    listener = watcher()
    tickets.run(campaign_file(tmp_path, **SMALL | {"rounds": 0}), out=tmp_path / "out", listener=listener)
    (run,) = run_folders(tmp_path / "out")
    began = json.loads((run / "run.json").read_bytes())["fingerprint"]
    manifests = [json.loads(path.read_bytes()) for path in run.glob("cohort-*/round-*/manifest.json")]
    assert [manifest["fingerprint"] for manifest in manifests] == [there, there]
    started = [event for event in read_events(run / "log.jsonl") if event["event"] == "started"]
    assert [event["fingerprint"] for event in started] == [there, there]
    (said,) = [text for text in listener.said if "began on another machine" in text]
    assert f"system {began['system']}, now Elsewhere" in said
    assert f"threads {began['threads']}, now 64" in said
    assert said.endswith("; rounds that are added may differ in the last bits")
