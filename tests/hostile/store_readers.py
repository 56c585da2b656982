"""The readers of the files of a saved campaign, as plain functions that a fuzzer can call, and a valid file of each.

Each reader takes the path of a file with any content. It puts the content in the place of one file of a small saved
run, where that has a manifest with the right size and SHA-256, and reads it as the toolkit does: by the very functions
that `load`, `verify`, `status` and resuming use. It returns or raises InputError.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import safetensors.numpy

import tickets
from tickets.store import log, reading, stored_networks, ticket_values
from tickets.store.asked import asked_runs
from tickets.store.begun import begun_problems, read_begun
from tickets.store.checkpoint import DamagedCheckpointError, read_checkpoint, write_checkpoint
from tickets.store.cohort_problems import cohort_problems
from tickets.store.ends import read_end_states
from tickets.store.gathering import Tables, parts_of
from tickets.store.history import history
from tickets.store.holder import encode, holder_of, lease_file
from tickets.store.index import Index, _head
from tickets.store.known_rounds import Known, KnownRounds, signature_of
from tickets.store.known_rounds import _head as known_rounds_head
from tickets.store.measured import unmeasured
from tickets.store.parquet import read_parquet
from tickets.store.reading import Committed
from tickets.store.run_status import failure
from tickets.store.sealed import sealed_json, toml_problem
from tickets.store.survey import survey

GOLDEN = Path(__file__).resolve().parent.parent / "golden" / "schema-1"
ROUND, PROBES = "cohort-000/round-001", "cohort-000/probes-001-000"


@functools.cache
def _copy(reader: str, campaign: str) -> Path:
    """A copy of a small saved run, for one reader of this process."""
    folder = Path(tempfile.mkdtemp(prefix="tickets-readers-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    (run,) = (path.parent for path in (GOLDEN / campaign / "saved").glob("*/run.json"))
    shutil.copyfile(run.parent / "campaign.toml", folder / "campaign.toml")
    copy = Path(shutil.copytree(run, folder / run.name))
    if "parquet" in reader:  # one round is enough
        shutil.rmtree(copy / "cohort-001")
        shutil.rmtree(copy / "cohort-000" / "round-000")
    if campaign == "units":  # with the probe's table measured afterwards
        probes = copy / PROBES
        probes.mkdir()
        shutil.copyfile(copy / ROUND / "units.parquet", probes / "norms.parquet")
        manifest = json.loads((copy / ROUND / "manifest.json").read_bytes())
        manifest |= {"kind": "probes", "probes": {"norms": {"name": "norms", "options": {}}}, "files": {}}
        (probes / "manifest.json").write_bytes(_listing(manifest, "norms.parquet", probes / "norms.parquet"))
    return copy


def _listing(manifest: Mapping[str, object], name: str, path: Path) -> bytes:
    """A manifest, as of earlier versions, in which a file has the size and the hash that it has."""
    data = path.read_bytes()
    files = {**manifest["files"], name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}}  # type: ignore[dict-item]
    return json.dumps({**manifest, "files": files}).encode()


@functools.cache
def _manifest(folder: Path) -> Mapping[str, object]:
    return json.loads((folder / "manifest.json").read_bytes())  # type: ignore[no-any-return]


def _placed(path: Path, campaign: str, place: str) -> Path:
    """A run's folder in which a file is replaced by another, and is as its manifest says."""
    run = _copy(f"{campaign}/{place}", campaign)
    target = run / place
    shutil.copyfile(path, target)
    folder = target.parent
    if folder.parent.name.startswith("cohort-") and target.name != "manifest.json":
        listing = _listing(_manifest(folder), target.name, target)
        (folder / "manifest.json").write_bytes(listing)
    return run


def run_json(path: Path) -> None:
    """run.json."""
    run = _placed(path, "units", "run.json")
    saved = tickets.load(run)
    for read in (saved.file, saved.config, saved.registered, saved.roles, saved.notes, saved.coverage):
        read()
    assert len(saved.configs) == 1


def manifest_of(place: str, path: Path) -> None:
    """The manifest of a committed folder."""
    run = _placed(path, "units", f"{place}/manifest.json")
    reading.read_manifest(run / place)
    survey(run)
    tickets.store.tables_of(run / "cohort-000", 1, 0)
    list(unmeasured(_asked(run), run))


@functools.cache
def _asked(run: Path) -> tickets.config.Run:
    return next(iter(asked_runs(run.parent).values()))


def log_file(path: Path) -> None:
    """log.jsonl."""
    run = _placed(path, "units", "log.jsonl")
    for line in log.read_lines(run / "log.jsonl"):
        assert line.event is None or isinstance(line.event, dict)
    failure(log.read_events(run / "log.jsonl"))
    history(run)


def arrays(place: str, path: Path) -> None:
    """A safetensors file of a round, or of initial or rewound values."""
    run = _placed(path, "rewind", place)
    cohort = run / "cohort-000"
    of_round = cohort / "round-001"
    for read in _ARRAYS[Path(place).name]:
        with contextlib.suppress(tickets.InputError):
            read(run, of_round if "round" in place else (run / place).parent)
    if hashlib.sha256(path.read_bytes()).digest()[0] < 8:  # slow: one in 32
        list(cohort_problems(cohort, run.name, {}))


def _networks(run: Path, folder: Path) -> None:
    stored_networks.read_networks(folder.parent, 1)


def _masks(run: Path, folder: Path) -> None:
    reading.read_round_masks(folder)
    ticket_values.mask_of(Committed(), folder, "ticket", 0, 0)
    ticket_values.mask_of(Committed(), folder, "random_mask", 1, 0)


def _next_masks(run: Path, folder: Path) -> None:
    reading.read_next_masks(folder)


def _weights(run: Path, folder: Path) -> None:
    ticket_values.values_of(Committed(), folder, "weights.safetensors", "ticket", 0, 0, {}, {})


def _trained(run: Path, folder: Path) -> None:
    ticket_values.read_trained(Committed(), folder, 1)


def _values(run: Path, folder: Path) -> None:
    reading.read_values(folder)


def _one(run: Path, folder: Path) -> None:
    reading.read_initial(folder.parent, 0)


def _optimizer(run: Path, folder: Path) -> None:
    reading.read_optimizer(folder)


_ARRAYS: Mapping[str, tuple[Callable[[Path, Path], None], ...]] = {
    "masks.safetensors": (_masks, _networks),
    "next_masks.safetensors": (_next_masks,),
    "weights.safetensors": (_weights, _networks),
    "trained.safetensors": (_trained,),
    "values.safetensors": (_values, _one),
    "optimizer.safetensors": (_optimizer,),
}


def end_states(path: Path) -> None:
    """optimizer.safetensors of a round of a run that is fine-tuned."""
    run = _placed(path, "rewind", f"{ROUND}/optimizer.safetensors")
    read_end_states(run / ROUND)


def table(place: str, path: Path) -> None:
    """A Parquet file of a round."""
    run = _placed(path, "units", place)
    found = Tables(Committed(), {run.name: parts_of(run)}, None, ["ticket"], str(run))
    if Path(place).stem in ("curves", "rounds"):
        found.of(Path(place).name)
    else:
        found.probe(Path(place).stem)


def any_table(path: Path) -> None:
    """A Parquet file of any columns, of which all are decoded."""
    with reading.trusting_form(path):
        read_parquet(path.read_bytes(), lambda columns: None)


def saved_campaign(path: Path) -> None:
    """campaign.toml of a campaign's folder."""
    run = _copy("campaign.toml", "units")
    shutil.copyfile(path, run.parent / "campaign.toml")
    toml_problem(run.parent / "campaign.toml")
    asked_runs(run.parent)


def runs_json(path: Path) -> None:
    """runs.json of a campaign's folder."""
    folder = _copy("runs.json", "units").parent
    shutil.copyfile(path, folder / "runs.json")
    for finding in begun_problems(folder):
        assert finding.path.startswith(f"{folder}/")
    read_begun(folder)


def checkpoint(path: Path) -> None:
    """checkpoint.safetensors, with the right hash of whatever it has."""
    cohort = _copy("checkpoint", "units") / "cohort-000"
    data = path.read_bytes()[:-32]
    (cohort / "checkpoint.safetensors").write_bytes(data + hashlib.sha256(data).digest())
    with contextlib.suppress(DamagedCheckpointError):  # its own error, for which the caller begins the round anew
        read_checkpoint(cohort)


def index(path: Path) -> None:
    """The index of a campaign's folder, with the right hash."""
    folder = _copy("index", "units").parent
    body = path.read_bytes().partition(b"\n")[2]
    (folder / tickets.store.Layout.INDEX).write_bytes(_head(body) + body)
    Index(folder, None, dict)


def known_rounds(path: Path) -> None:
    """The rounds of many runs, with the right hash."""
    folder = _copy("known rounds", "units").parent
    body = path.read_bytes().partition(b"\n")[2]
    (folder / tickets.store.Layout.KNOWN_ROUNDS).write_bytes(known_rounds_head(body) + body)
    found = KnownRounds(folder)
    for run in tickets.store.run_folders(folder):
        found.find(run)
    if found._table is not None:
        found.rows(["units"])


def lease(path: Path) -> None:
    """A lease file."""
    folder = _copy("lease", "units").parent
    shutil.copyfile(path, lease_file(folder, 7))
    str(holder_of(folder))


READERS: Mapping[str, Callable[[Path], None]] = {
    "run.json": run_json,
    "manifest of initial/": functools.partial(manifest_of, "cohort-000/initial"),
    "manifest of a round": functools.partial(manifest_of, ROUND),
    "manifest of probes": functools.partial(manifest_of, PROBES),
    "log.jsonl": log_file,
    "masks.safetensors": functools.partial(arrays, f"{ROUND}/masks.safetensors"),
    "next_masks.safetensors": functools.partial(arrays, f"{ROUND}/next_masks.safetensors"),
    "weights.safetensors": functools.partial(arrays, f"{ROUND}/weights.safetensors"),
    "trained.safetensors": functools.partial(arrays, f"{ROUND}/trained.safetensors"),
    "values.safetensors": functools.partial(arrays, "cohort-000/initial/values.safetensors"),
    "optimizer.safetensors": functools.partial(arrays, "cohort-000/rewind/optimizer.safetensors"),
    "optimizer.safetensors of a round": end_states,
    "curves.parquet": functools.partial(table, f"{ROUND}/curves.parquet"),
    "rounds.parquet": functools.partial(table, f"{ROUND}/rounds.parquet"),
    "a probe's table": functools.partial(table, f"{PROBES}/norms.parquet"),
    "any Parquet": any_table,
    "campaign.toml of a folder": saved_campaign,
    "runs.json": runs_json,
    "checkpoint.safetensors": checkpoint,
    "index of runs": index,
    "rounds of many runs": known_rounds,
    "lease": lease,
}


@functools.cache
def valid(reader: str) -> bytes:
    """A valid file of a reader."""
    units, rewind = (next((GOLDEN / name / "saved").glob("*/run.json")).parent for name in ("units", "rewind"))
    if reader in ("run.json", "log.jsonl"):
        return (units / reader).read_bytes()
    if reader == "campaign.toml of a folder":
        return (units.parent / "campaign.toml").read_bytes()
    if reader.startswith("manifest"):
        place = {"initial/": "cohort-000/initial", "round": ROUND, "probes": PROBES}[reader.split()[-1]]
        return (_copy("valid", "units") / place / "manifest.json").read_bytes()
    if reader == "runs.json":
        return sealed_json({"schema": 1, "campaigns": ["a" * 64], "runs": [units.name, "../units"]})
    if reader == "lease":
        return encode("somebody", 300.0, 1)
    if reader == "rounds of many runs":
        run = _copy("valid rounds", "units")
        saved = tickets.load(run)
        known = Known(saved.runs[0], ("ticket",), signature_of(run))
        KnownRounds(run.parent).write({run.name: known}, saved.rounds)
        return (run.parent / tickets.store.Layout.KNOWN_ROUNDS).read_bytes()
    if reader == "index of runs":
        body = {
            "campaign": "",
            "asked": None,
            "seconds": 1.0,
            "places": [[]],
            "values": [{}],
            "runs": {"a": ["", 0, 0]},
        }
        return _head(b"") + json.dumps(body).encode()
    if reader == "checkpoint.safetensors":
        cohort = _copy("valid checkpoint", "units") / "cohort-000"
        write_checkpoint(cohort, {"step": 5, "curves": [1.0, None]}, [memoryview(b"abcd"), memoryview(b"")])
        return (cohort / reader).read_bytes()
    if "Parquet" in reader or "table" in reader:
        return (units / ROUND / "units.parquet").read_bytes()
    if reader == "optimizer.safetensors of a round":
        return safetensors.numpy.save({"0/convolution.weight/step": np.array(7.0), "1/x/y": np.zeros(5, np.float32)})
    folder = {"values.safetensors": rewind / "cohort-000/initial"}.get(reader, rewind / ROUND)
    if "optimizer" in reader:
        folder = rewind / "cohort-000/rewind"
    return ((units / ROUND if "parquet" in reader else folder) / reader.split()[0]).read_bytes()
