"""Changed bits of a small saved run are found, in every file; so is what is lost, exchanged or linked."""

from __future__ import annotations

import json
import os
import random
import shutil

import pytest

import tickets
from tickets.errors import InputError
from tickets.store import run_folders, verify
from tickets.store.begun import campaign_problem, read_begun
from tickets.store.history import history
from tickets.store.log import read_lines
from tickets.store.manifests import read_manifest, read_run
from tickets.store.reading import file_problem
from tickets.store.sealed import sealed_toml, toml_problem

HEAD = 110  # bytes in which a file says that it has a hash, and the hash


def flips(data, every=1, whole=0):
    """The content with one bit changed: each bit of the first `whole` bytes, then one of every `every`-th byte."""
    places = [(place, bit) for place in range(min(whole, len(data))) for bit in range(8)]
    places += [(place, place % 8) for place in range(whole, len(data), every)]
    for place, bit in places:
        yield place, data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]


def refused(read, folder):
    try:
        read(folder)
    except InputError:
        return True
    return False


def test_changed_bits_of_run_json(saved_run):
    path = saved_run / "run.json"
    for place, changed in flips(path.read_bytes(), 5, HEAD):
        path.write_bytes(changed)
        assert refused(read_run, saved_run), place


@pytest.mark.parametrize("folder", ["initial", "round-001"])
def test_changed_bits_of_a_manifest(saved_run, folder):
    path = saved_run / "cohort-000" / folder / "manifest.json"
    for place, changed in flips(path.read_bytes(), 5, HEAD):
        path.write_bytes(changed)
        assert refused(read_manifest, path.parent), place


@pytest.mark.parametrize("name", ["masks.safetensors", "weights.safetensors", "curves.parquet", "rounds.parquet"])
def test_changed_bits_of_a_file_in_a_round(saved_run, name):
    folder = saved_run / "cohort-000" / "round-001"
    manifest, data = read_manifest(folder), (folder / name).read_bytes()
    for place, changed in flips(data, 5):
        (folder / name).write_bytes(changed)
        assert file_problem(folder, name, manifest), place


def test_changed_bits_of_campaign_toml(tmp_path):
    path = tmp_path / "campaign.toml"
    data = sealed_toml('name = "mnist"\nreplicates = 3\n')
    path.write_bytes(data)
    assert toml_problem(path) is None
    for place, changed in flips(data, 1, HEAD):
        path.write_bytes(changed)
        assert toml_problem(path), place


def is_found(path):
    """Whether what `verify` asks of a file finds a change in it."""
    if path.name == "run.json":
        return refused(read_run, path.parent)
    if path.name == "manifest.json":
        return refused(read_manifest, path.parent)
    if path.name == "runs.json":
        return refused(read_begun, path.parent)
    if path.name == "campaign.toml":
        return campaign_problem(path.parent) is not None
    if path.name == "log.jsonl":
        return any(line.problem for line in read_lines(path)) or bool(history(path.parent).unlogged)
    return file_problem(path.parent, path.name, read_manifest(path.parent)) is not None


@pytest.mark.torture
def test_every_bit_of_every_file_of_a_campaign(campaign_file, tmp_path):
    tickets.run(campaign_file(tmp_path, rounds=1, replicates=1, train={"steps": 10}), out=tmp_path / "out")
    found = 0
    for path in sorted(path for path in (tmp_path / "out").rglob("*") if path.is_file()):
        data = path.read_bytes()
        assert not is_found(path)
        for place, changed in flips(data, whole=len(data)):
            path.write_bytes(changed)
            assert is_found(path), (path, place)
            found += 1
        path.write_bytes(data)
    print(f"{found:,} changed bits, all found")


@pytest.mark.torture
def test_1000_changed_bits_of_a_large_run_by_verify(campaign_file, tmp_path):
    large = {"model": {"name": "mlp", "widths": [300, 100]}, "rounds": 4, "replicates": 3, "store": {"trained": "all"}}
    tickets.run(campaign_file(tmp_path, **large), out=tmp_path / "out")
    assert verify(tmp_path / "out") == []
    rng = random.Random(0)
    paths = sorted(path for path in (tmp_path / "out").rglob("*") if path.is_file())
    for _ in range(1000):
        path = rng.choices(paths, [path.stat().st_size for path in paths])[0]
        data = bytearray(path.read_bytes())
        place, bit = rng.randrange(len(data)), rng.randrange(8)
        data[place] ^= 1 << bit
        path.write_bytes(data)
        assert [one.path for one in verify(tmp_path / "out")] == [str(path)], (path, place)
        data[place] ^= 1 << bit
        path.write_bytes(data)


@pytest.fixture(scope="module")
def two_runs(campaign_file, tmp_path_factory):
    """A campaign of two runs with two cohorts each, of the same shapes."""
    folder = tmp_path_factory.mktemp("two")
    small = {"arms": ["ticket", "random_mask"], "compute": {"strategy": "layered"}, "train": {"steps": 10}}
    file = campaign_file(
        folder, rounds=2, replicates=2, cohort_size=1, rewind={"step": 5}, sweep={"seed": [0, 1]}, **small
    )
    tickets.run(file, out=folder / "out")
    return file, folder / "out"


@pytest.fixture
def copied(two_runs, tmp_path):
    file, folder = two_runs
    return file, shutil.copytree(folder, tmp_path / "out")


def swap(one, other):
    between = one.with_name("between")
    one.rename(between)
    other.rename(one)
    between.rename(other)


SWAPS = {
    "rounds of a cohort": ("0/cohort-000/round-001", "0/cohort-000/round-002"),
    "rounds of two cohorts": ("0/cohort-000/round-001", "0/cohort-001/round-001"),
    "rounds of two runs": ("0/cohort-000/round-001", "1/cohort-000/round-001"),
    "initial values of two cohorts": ("0/cohort-000/initial", "0/cohort-001/initial"),
    "initial values of two runs": ("0/cohort-000/initial", "1/cohort-000/initial"),
    "rewound values of two runs": ("0/cohort-000/rewind", "1/cohort-000/rewind"),
    "cohorts of a run": ("0/cohort-000", "0/cohort-001"),
    "cohorts of two runs": ("0/cohort-000", "1/cohort-000"),
}


@pytest.mark.parametrize("name", SWAPS)
def test_what_is_exchanged_is_found_by_verify_and_refused_by_run(copied, name):
    file, folder = copied
    runs = run_folders(folder)

    def at(path):
        index, _, inside = path.partition("/")
        return runs[int(index)] / inside

    swap(*map(at, SWAPS[name]))
    assert verify(folder)
    with pytest.raises(InputError, match=r"is of run|is the manifest of"):
        tickets.run(file, out=folder, settings=["rounds=3"])
    if not name.startswith(("initial", "rewound")):
        with pytest.raises(InputError, match=r"is of run|is the manifest of"):
            _ = tickets.load(folder).rounds
    assert len(list(folder.glob("*/cohort-*/round-003"))) == 0


LOST = {
    "the last round": lambda run: shutil.rmtree(run / "cohort-000" / "round-002"),
    "a cohort": lambda run: shutil.rmtree(run / "cohort-001"),
    "initial values": lambda run: shutil.rmtree(run / "cohort-000" / "initial"),
    "rewound values": lambda run: shutil.rmtree(run / "cohort-000" / "rewind"),
    "the log": lambda run: (run / "log.jsonl").unlink(),
    "a round that became a file": lambda run: (
        shutil.rmtree(run / "cohort-000" / "round-002"),
        (run / "cohort-000" / "round-002").touch(),
    ),
    "a round that became a link": lambda run: (
        (run / "cohort-000" / "round-002").rename(run.parent / "elsewhere"),
        (run / "cohort-000" / "round-002").symlink_to(run.parent / "elsewhere"),
    ),
    "a file that became a link": lambda run: (
        (run / "cohort-000" / "round-002" / "masks.safetensors").rename(run.parent / "elsewhere"),
        (run / "cohort-000" / "round-002" / "masks.safetensors").symlink_to(run.parent / "elsewhere"),
    ),
    "a FIFO": lambda run: (
        (run / "cohort-000" / "round-002" / "masks.safetensors").unlink(),
        os.mkfifo(run / "cohort-000" / "round-002" / "masks.safetensors"),
    ),
    "a file too many": lambda run: (run / "cohort-000" / "mine.txt").touch(),
}


@pytest.mark.parametrize("name", LOST)
def test_what_is_lost_or_of_another_kind_is_found(copied, name):
    _, folder = copied
    LOST[name](run_folders(folder)[0])
    assert verify(folder)


def test_without_initial_values_no_other_replicates_are_made_up(copied):
    file, folder = copied
    shutil.rmtree(run_folders(folder)[0] / "cohort-000" / "initial")
    with pytest.raises(InputError, match="initial: missing, though rounds that began with it are there"):
        tickets.run(file, out=folder)


def test_a_damaged_round_is_not_built_on_and_is_trained_again_on_request(copied, contents):
    file, folder = copied
    wanted = contents(folder)
    run = run_folders(folder)[0]
    path = run / "cohort-000" / "round-001" / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(InputError, match="no round is trained on top of damaged ones"):
        tickets.run(file, out=folder, settings=["rounds=3"])
    assert not list(folder.glob("*/cohort-*/round-003"))
    notes = []
    tickets.run(file, out=folder, repair=True, listener=notes.append)
    assert any("it is trained again" in str(note) for note in notes)
    assert verify(folder) == []
    (aside,) = folder.glob("*/cohort-000/set-aside-round-001-*")
    shutil.rmtree(aside)
    assert contents(folder) == wanted


@pytest.mark.parametrize("name", ["initial", "rewind", "round-000", "round-002"])
def test_whatever_is_damaged_is_trained_again_to_the_same_bits(copied, contents, name):
    file, folder = copied
    wanted = contents(folder)
    (run_folders(folder)[0] / "cohort-001" / name / "manifest.json").unlink()
    tickets.run(file, out=folder, repair=True)
    assert verify(folder) == []
    for aside in folder.glob("*/cohort-*/set-aside-*"):
        shutil.rmtree(aside)
    assert contents(folder) == wanted


def test_lost_run_json_and_changed_lines_of_the_log_are_repaired(copied):
    file, folder = copied
    run = run_folders(folder)[0]
    (run / "run.json").write_bytes((run / "run.json").read_bytes().replace(b'"steps"', b'"stepz"'))
    lines = (run / "log.jsonl").read_bytes()
    (run / "log.jsonl").write_bytes(lines.replace(b"started", b"startet", 1))
    assert len(verify(folder)) == 2
    tickets.run(file, out=folder, repair=True)
    assert verify(folder) == []


def test_a_run_without_its_run_json_is_not_built_on_and_what_else_is_damaged_of_it_is_repaired(copied, contents):
    file, folder = copied
    wanted, run = contents(folder), run_folders(folder)[0]
    path = run / "cohort-000" / "round-001" / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    (run / "run.json").unlink()
    with pytest.raises(InputError, match=r"run\.json: missing, though rounds are there; .*--repair"):
        tickets.run(file, out=folder, settings=["rounds=3"])
    notes = []
    tickets.run(file, out=folder, repair=True, listener=notes.append)
    assert any("run.json: is not there; it is written anew" in str(note) for note in notes)
    assert verify(folder) == []
    (aside,) = folder.glob("*/cohort-000/set-aside-round-001-*")
    shutil.rmtree(aside)
    (run / "run.json").write_bytes(run_json := b"")  # says that the rule of the verdict was seen after three rounds
    assert contents(folder) == {**wanted, f"{run.name}/run.json": run_json}


@pytest.mark.parametrize("campaign", [True, False])
def test_where_run_json_alone_is_damaged_no_round_is_taken_for_damaged(campaign_file, tmp_path, campaign):
    """Whose tickets start from the trained values of the round before, which run.json says."""
    small = {"arms": ["ticket"], "replicates": 1, "compute": {"strategy": "layered"}, "train": {"steps": 10}}
    file, folder = campaign_file(tmp_path, rewind={"kind": "learning_rate"}, **small), tmp_path / "out"
    (run,) = (folder / name for name in tickets.run(file, out=folder).runs)
    (run / "run.json").write_bytes(b"{}")
    wanted = {run / "run.json"}
    if not campaign:
        (folder / "campaign.toml").unlink()
        wanted.add(folder / "campaign.toml")
    assert {problem.path for problem in verify(folder)} == {*map(str, wanted)}
    tickets.run(file, out=folder, repair=True)
    assert verify(folder) == []
    assert len(list(folder.rglob("set-aside-*"))) == 1


def test_manifests_without_hashes_of_earlier_versions_are_read_but_not_half_of_one(saved_run):
    path = saved_run / "cohort-000" / "round-001" / "manifest.json"
    manifest = json.loads(path.read_bytes())
    del manifest["sha256"], manifest["run"], manifest["cohort"], manifest["rows"]
    path.write_text(json.dumps(manifest))
    assert read_manifest(path.parent)["round"] == 1
    path.write_text(json.dumps({"round": 1, **manifest}))
    with pytest.raises(InputError, match="does not have the SHA-256"):
        read_manifest(path.parent)
