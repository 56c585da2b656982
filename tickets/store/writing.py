"""Write a cohort: its initial values, its values at the rewind step, and each round."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tickets.density import density
from tickets.store.arrays import Array, arm_key, encode, pack, squeeze
from tickets.store.commit import Content, commit, replace_file
from tickets.store.ends import encode_states
from tickets.store.layout import SCHEMA_VERSION, Layout, keeps_counts, round_folder
from tickets.store.manifests import identity_of
from tickets.store.own_models import wrong_network
from tickets.store.reading import read_round_masks
from tickets.store.records import ArmRecord, Masks, RoundRecord, Values, same_counts
from tickets.store.sealed import sealed_json
from tickets.store.tables import CURVES, ROUNDS, encode_probe_table, encode_table
from tickets.store.temporary import Permit


def write_run(
    run: Path,
    run_id: str,
    config: Mapping[str, Any],
    data: Mapping[str, Any],
    fingerprint: Mapping[str, Any],
    execution: Mapping[str, Any],
    *,
    permit: Permit | None = None,
    **more: Any,
) -> None:
    """Write or replace a run's run.json.

    Parameters
    ----------
    run
        The run's folder.
    run_id
        The run's id.
    config
        The complete configuration, as JSON values.
    data
        "sha256", "input_shape" and "classes" of the data set.
    fingerprint
        The versions of packages, and the hardware.
    execution
        How the run's networks are computed.
    permit
        See `commit`.
    **more
        Further fields, as JSON values.
    """
    content = {
        "schema": SCHEMA_VERSION,
        "run": run_id,
        "config": config,
        "data": data,
        "fingerprint": fingerprint,
        "execution": execution,
        **more,
    }
    replace_file(run / Layout.RUN, sealed_json(content), permit)


def write_initial(cohort: Path, values: Mapping[int, Values], permit: Permit | None = None) -> Path:
    """Commit a cohort's `initial/`, which defines the cohort's replicates, and return the folder.

    Parameters
    ----------
    cohort
        The cohort's folder.
    values
        {replicate: {name: values}}, for every parameter and buffer before training and pruning.
    permit
        See `commit`.
    """
    return _write_values(cohort / Layout.INITIAL, values, {}, permit)


def write_rewind(
    cohort: Path, values: Mapping[int, Values], optimizer: Mapping[int, Values], permit: Permit | None = None
) -> Path:
    """Commit a cohort's `rewind/`, the values and the optimizer state at the rewind step, and return the folder.

    Parameters
    ----------
    cohort
        The cohort's folder.
    values
        {replicate: {name: values}}, for every parameter and buffer.
    optimizer
        {replicate: {"<parameter>/<state>": array}}.
    permit
        See `commit`.
    """
    return _write_values(cohort / Layout.REWIND, values, optimizer, permit)


def write_round(cohort: Path, record: RoundRecord, permit: Permit | None = None) -> Path:
    """Commit a round, or a part that is added to it later, and return the folder.

    Parameters
    ----------
    cohort
        The cohort's folder.
    record
        The contents.
    permit
        See `commit`.

    Raises
    ------
    ValueError
        If a replicate lacks an arm; if the mask of an arm differs from the round's, or its own mask has another number
        of weights; if a network of another model has more weights; or if a table has the wrong columns.
    """
    target = round_folder(cohort, record.number, record.part)
    masks = _round_masks(cohort, record)
    _check(record, masks)
    files: dict[str, Content] = {
        Layout.MASKS: lambda: _encode_masks(record, masks),
        Layout.WEIGHTS: lambda: _encode_weights(record, [(arm, arm.initial) for arm in record.arms]),
    }
    kept = [(arm, arm.trained) for arm in record.arms if arm.trained is not None]
    if kept:
        files[Layout.TRAINED] = lambda: _encode_weights(record, kept)
    if record.next_masks is not None:
        next_masks = record.next_masks
        files[Layout.NEXT_MASKS] = lambda: encode(_ticket_masks(next_masks), _shapes(_first(next_masks.values())))
    if record.shrunk is not None:
        shrunk = record.shrunk
        files[Layout.SHRUNK] = lambda: encode(_ticket_masks(shrunk), _shapes(_first(shrunk.values())))
    if any(record.optimizer.values()):
        files[Layout.OPTIMIZER] = lambda: encode_states(record.optimizer, masks)
    files[Layout.CURVES] = lambda: encode_table(record.curves, CURVES)
    files[Layout.ROUNDS] = lambda: encode_table(record.rounds, ROUNDS)
    for name, table in record.tables.items():
        files[name + Layout.TABLE] = functools.partial(encode_probe_table, table)
    rows = {Layout.CURVES: len(record.curves), Layout.ROUNDS: len(record.rounds)}
    commit(target, files, {**identity_of(target), **_manifest(record, masks), "rows": rows, **record.extra}, permit)
    return target


def _write_values(
    target: Path, values: Mapping[int, Values], optimizer: Mapping[int, Values], permit: Permit | None
) -> Path:
    if not values:
        raise ValueError(f"{target}: no replicates")
    files: dict[str, Content] = {Layout.VALUES: lambda: encode(_keyed(values), _shapes(_first(values.values())))}
    if optimizer:
        files[Layout.OPTIMIZER] = lambda: encode(_keyed(optimizer), {})
    commit(target, files, {**identity_of(target), "kind": target.name, "replicates": sorted(values)}, permit)
    return target


def _round_masks(cohort: Path, record: RoundRecord) -> Mapping[int, Masks]:
    """The round's masks by replicate. They are the ticket's, which is trained in part 0."""
    if record.part > 0:
        return read_round_masks(round_folder(cohort, record.number))
    return {arm.replicate: arm.mask for arm in record.arms if arm.arm == Layout.TICKET}


def _check(record: RoundRecord, masks: Mapping[int, Masks]) -> None:
    where = f"round {record.number}, part {record.part}"
    if (Layout.TICKET in {arm.arm for arm in record.arms}) != (record.part == 0):
        raise ValueError(f"{where}: 'ticket' belongs to part 0, and to no other")
    trained = [(arm.replicate, arm.arm, arm.draw) for arm in record.arms]
    wanted = {(replicate, *pair) for replicate in record.replicates for pair in _pairs(record)}
    if len(trained) != len(set(trained)) or set(trained) != wanted:
        raise ValueError(f"{where}: every replicate must have every arm and draw, once")
    if set(masks) != set(record.replicates):
        raise ValueError(f"{where}: masks of replicates {sorted(masks)} for replicates {sorted(record.replicates)}")
    if record.next_masks is not None and set(record.next_masks) != set(record.replicates):
        raise ValueError(f"{where}: next masks of replicates {sorted(record.next_masks)}, not {record.replicates}")
    needs = any(record.pruned.get(arm.arm) == "zero_if_shrunk" for arm in record.arms)
    if needs != (record.shrunk is not None) or (record.shrunk and set(record.shrunk) != set(record.replicates)):
        raise ValueError(f"{where}: which weights had shrunk belongs to arms with pruned = 'zero_if_shrunk'")
    for arm in record.arms:
        mask = masks[arm.replicate]
        if arm.arm in record.models:
            if wrong := wrong_network(arm.mask, mask):
                raise ValueError(f"{where}: arm {arm.arm!r}, replicate {arm.replicate}, {wrong}")
            continue
        if record.has_own_mask(arm.arm):
            by_tensor = keeps_counts(record.name(arm.arm))
            same = _shapes(arm.mask) == _shapes(mask) and same_counts(_counts(arm.mask), _counts(mask), by_tensor)
        else:
            same = arm.mask.keys() == mask.keys() and all(np.array_equal(arm.mask[name], mask[name]) for name in mask)
        if not same:
            raise ValueError(f"{where}: the mask of arm {arm.arm!r}, replicate {arm.replicate}, is not of this round")


def _manifest(record: RoundRecord, masks: Mapping[int, Masks]) -> dict[str, Any]:
    own: dict[str, Any] = {
        "kind": "round",
        "round": record.number,
        "part": record.part,
        "replicates": sorted(record.replicates),
        "arms": [record.of_arm(arm, draw) for arm, draw in _pairs(record)],
        "density": {replicate: density(mask) for replicate, mask in sorted(masks.items())},
        "surviving": {replicate: _counts(mask) for replicate, mask in sorted(masks.items())},
        "diverged": int(record.rounds["diverged"].sum()),
    }
    if record.tables:
        own["probes"] = {
            name: {**record.probes.get(name, {"name": name}), "rows": len(table)}
            for name, table in record.tables.items()
        }
    clash = sorted(own.keys() & record.extra.keys())
    if clash:
        raise ValueError(f"the manifest has keys {clash} of its own")
    return own


def _encode_masks(record: RoundRecord, masks: Mapping[int, Masks]) -> bytes:
    own = {
        f"{arm.replicate}/{_key(record, arm)}/{name}": pack(mask)
        for arm in record.arms
        if record.has_own_mask(arm.arm)
        for name, mask in arm.mask.items()
    }
    of_round = _ticket_masks(masks) if record.part == 0 else {}
    return encode({**of_round, **own}, _shapes(_first(masks.values())))


def _encode_weights(record: RoundRecord, networks: Sequence[tuple[ArmRecord, Values]]) -> bytes:
    arrays = {
        f"{arm.replicate}/{_key(record, arm)}/{name}": squeeze(array, mask[name]) if name in mask else array
        for arm, values in networks
        for mask in ({} if arm.arm in record.models else arm.mask,)
        for name, array in values.items()
    }
    of_model = (values for arm, values in networks if arm.arm not in record.models)
    return encode(arrays, _shapes(next(of_model, networks[0][1])))


def _key(record: RoundRecord, arm: ArmRecord) -> str:
    return arm_key(arm.arm, arm.draw, arm.arm in record.repeated)


def _pairs(record: RoundRecord) -> list[tuple[str, int]]:
    return list(dict.fromkeys((arm.arm, arm.draw) for arm in record.arms))


def _ticket_masks(masks: Mapping[int, Masks]) -> dict[str, Array]:
    return {
        f"{replicate}/{Layout.TICKET}/{name}": pack(mask)
        for replicate, by_name in masks.items()
        for name, mask in by_name.items()
    }


def _keyed(arrays: Mapping[int, Values]) -> dict[str, Array]:
    return {f"{replicate}/{name}": array for replicate, named in arrays.items() for name, array in named.items()}


def _counts(masks: Masks) -> dict[str, int]:
    return {name: int(np.count_nonzero(mask)) for name, mask in masks.items()}


def _shapes(arrays: Mapping[str, Array]) -> dict[str, tuple[int, ...]]:
    return {name: array.shape for name, array in arrays.items()}


def _first(mappings: Iterable[Mapping[str, Any]]) -> Mapping[str, Any]:
    return next(iter(mappings))
