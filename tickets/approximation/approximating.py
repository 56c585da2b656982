"""`tickets.approximate`: a subset of a random network that approximates a saved one."""

from __future__ import annotations

import re
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tickets.approximation.blocks import record_digest
from tickets.approximation.construction import Settings, groups_of
from tickets.approximation.listener import Listener
from tickets.approximation.measuring import bounds_of, forward, outputs_of, sizes_of, weights_of
from tickets.approximation.network import fill, skeleton
from tickets.approximation.saved import (
    RECORD,
    Approximation,
    claim,
    is_measured,
    read_approximation,
    read_network,
    record_of,
    write_network,
    write_result,
)
from tickets.approximation.saved_target import SavedTarget, Which, read_target
from tickets.approximation.search import Search, seconds_each, subsets_to_find
from tickets.errors import InputError
from tickets.importing import current_folder, importable
from tickets.machine import cores
from tickets.plurals import counted
from tickets.process_state import one_campaign_at_a_time, standard_state
from tickets.stack.memory import free_bytes
from tickets.store import Layout, take
from tickets.store.durable import make_folder
from tickets.store.refused import explained
from tickets.store.temporary import sweep

_TRIED = 50  # test examples, to see how long a forward pass takes


def approximate(
    folder: str | Path,
    candidates: int,
    tolerance: float,
    values: str = "uniform",
    *,
    replicate: int = 0,
    round: int = 0,
    arm: str = "ticket",
    draw: int = 0,
    construction: str = "weight",
    choose: str = "nearest",
    seed: int = 0,
    out: str | Path | None = None,
    data: str | Path | None = None,
    trust_code: bool | Collection[str] = False,
    listener: Listener | None = None,
) -> Approximation:
    """Find a subset of a random network that approximates a saved network, as the command `tickets approximate` does.

    Nothing is trained. Each weight of the saved network becomes the sum of a subset of random candidates; the result is
    a network of random values and a mask, twice as deep and wider, whose accuracy its plain forward pass gives. What is
    found is committed as the search goes on, and the same call goes on with it. See
    `tickets.approximation.construction` for the constructions and their sources.

    Parameters
    ----------
    folder
        A campaign's folder with one run, or a run's folder.
    candidates
        The number of random candidates for each weight and sign of its input, 1 to 62. Up to 24 the search is exact.
    tolerance
        The largest error of a weight that is wanted, > 0.
    values
        The distribution of the candidates: "uniform", "normal", "signed_constant" or "constant".
    replicate, round, arm, draw
        Which network of the run. Its values after training must be stored.
    construction
        "weight", or "row" for the leaner one of the public code.
    choose
        "nearest": the subset whose sum is nearest; "fewest": of the subsets within the tolerance, one with the fewest
        candidates.
    seed
        Of the random network.
    out
        The folder to write; by default approximations/... in the campaign's folder.
    data
        The data folder; by default the campaign's, else $TICKETS_DATA.
    trust_code
        See `tickets.probe`.
    listener
        Is told of the progress.

    Returns
    -------
    Approximation

    Raises
    ------
    InputError
        If the input is wrong, or the network is no chain of Linear and ReLU layers.
    DiskError
        If the system refuses to write.
    """
    settings = Settings(candidates, tolerance, values, construction, choose, seed)
    with one_campaign_at_a_time(), importable(*current_folder()), standard_state():
        target = read_target(Path(folder), Which(replicate, round, arm, draw), data, trust_code)
        for layer in target.layers:
            groups_of(layer, settings)
        _check_memory(target, settings)
        place = default_folder(target, settings) if out is None else Path(out)
        _check_folder(place)
        return _approximated(target, settings, place, listener or Listener())


def default_folder(target: SavedTarget, settings: Settings) -> Path:
    """The folder of an approximation in its campaign's folder."""
    which = target.which
    parts = [
        f"{target.run}-{which.arm}", f"draw{which.draw}" if which.draw else "",
        f"replicate{which.replicate}-round{which.round}", f"{settings.values}-{settings.candidates}",
        f"{settings.tolerance:g}", settings.construction, settings.choose, f"seed{settings.seed}",
    ]  # fmt: skip
    left_out = ("", "weight", "nearest", "seed0")
    name = "-".join(part for part in parts if part not in left_out)
    return target.campaign / Layout.APPROXIMATIONS / re.sub(r"[^\w.-]", "_", name)


def _approximated(target: SavedTarget, settings: Settings, folder: Path, listener: Listener) -> Approximation:
    record = record_of(target, settings)
    of = record_digest(record)
    try:
        make_folder(folder)
    except OSError as error:
        raise explained(error, folder) or error from error
    lease = take(folder)
    try:
        sweep(folder, lease.check)
        claim(folder, record, lease.check)
        if is_measured(folder):
            listener.say(f"{folder}: is there already")
            read_network(folder, record)
            return read_approximation(folder)
        search = Search(folder, of, target.layers, settings)
        network = skeleton(target.layers, settings)
        listener.say(_foreword(target, settings, search, network))
        listener.begin(subsets_to_find(target.layers, settings), search.missing)
        search.run(cores(), lease.check, listener.advance)
        began, found = time.perf_counter(), search.found()
        for index, layer in enumerate(target.layers):
            fill(network, layer, index, found[index], settings)
        listener.say("measuring outputs on the test examples")
        result: dict[str, Any] = {
            **record["settings"],
            **{key: value for key, value in record["target"].items() if key != "sha256"},
            **weights_of(target.layers, found, settings),
            **sizes_of(target.layers, network),
            **outputs_of(target, network),
            **bounds_of(target, found, network, settings),
            "search_seconds": search.seconds,
            "seconds": search.seconds + time.perf_counter() - began,
        }
        if not (folder / "network" / Layout.MANIFEST).exists():
            write_network(folder, of, network, lease.check)
        write_result(folder, of, result, lease.check)
        return Approximation(folder, record, result)
    finally:
        lease.release()


def _foreword(target: SavedTarget, settings: Settings, search: Search, network: nn.Sequential) -> str:
    """What is searched, and how long it will take here: from a trial of the search and of a forward pass."""
    threads = cores()
    searching = seconds_each(settings) * search.missing / threads if search.missing else 0.0
    forward(network, target.inputs[:1])  # the first pass is slower
    began = time.perf_counter()
    forward(network, target.inputs[:_TRIED])
    measuring = (time.perf_counter() - began) * len(target.inputs) / min(_TRIED, len(target.inputs))
    widths = "-".join(map(str, [target.layers[0].weight.shape[1], *(len(layer.weight) for layer in target.layers)]))
    total = subsets_to_find(target.layers, settings)
    there = f", {total - search.missing:,} of them there already" if search.missing < total else ""
    both = " and sign of its input" if any(layer.signed for layer in target.layers) else ""
    return (
        f"{target.run}, {target.which.arm}, replicate {target.which.replicate}, round {target.which.round}: {widths}; "
        f"{counted(total, 'subset')} of {settings.candidates} {settings.values} candidates, one for each weight{both}"
        f"{there}; about {_seconds(searching)} of search in {counted(threads, 'thread')}, "
        f"{_seconds(measuring)} of measuring, {_bytes_needed(target, settings) / 2**30:.2g} GiB"
    )


def _seconds(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _bytes_needed(target: SavedTarget, settings: Settings) -> int:
    """The memory for the random network, once more in float64 for its widest layer, and for the subsets."""
    weights: list[int] = []
    subsets = 0
    for layer in target.layers:
        outputs, inputs = layer.weight.shape
        groups = len(groups_of(layer, settings))
        units = outputs * settings.candidates * 2 if settings.construction == "row" else groups * settings.candidates
        weights.append(units * (inputs if settings.construction == "row" else outputs))
        subsets += outputs * groups
    return 4 * sum(weights) + 8 * max(weights) + 40 * subsets + 2**29


def _check_memory(target: SavedTarget, settings: Settings) -> None:
    needed, free = _bytes_needed(target, settings), free_bytes(torch.device("cpu"))
    if needed > free:
        raise InputError(
            f"candidates = {settings.candidates}: the random network takes {needed / 2**30:.1f} GiB, and "
            f"{free / 2**30:.1f} GiB are free; take fewer candidates, or a smaller network"
        )


def _check_folder(folder: Path) -> None:
    """Refuse a folder that something else is in, before anything is written."""
    for place in (folder.absolute(), *folder.absolute().parents):
        if (place / Layout.RUN).exists() or (place / Layout.MANIFEST).exists():
            raise InputError(
                f"--out = {str(folder)!r}: lies in a saved run ({place}), which only contains what was trained; name "
                "another folder"
            )
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--out = {str(folder)!r}: is not a folder; name another one")
    if folder.is_dir() and not (folder / RECORD).exists():
        others = [path.name for path in folder.iterdir() if not path.name.startswith((Layout.LEASE, Layout.TEMPORARY))]
        if others:
            raise InputError(
                f"--out = {str(folder)!r}: has other files in it, such as {min(others)}; name a new folder"
            )
