"""What a campaign writes before it trains: campaign.toml, each run's run.json, and the source files that changed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tickets.config import Campaign, to_toml, without_submit
from tickets.continuing import read_if_saved
from tickets.errors import InputError, ReplacedError
from tickets.fitting import Fitted
from tickets.listener import Listener, Note
from tickets.network import Continued
from tickets.opening import read_regular
from tickets.planning import Plan
from tickets.store import (
    Layout,
    Permit,
    append_event,
    at_work,
    record_begun,
    register,
    replace_file,
    rounds_committed,
    write_run,
)
from tickets.store.begun import LISTED
from tickets.store.sealed import sealed_toml
from tickets.transfer import transfer_record


def record_campaign(
    folder: Path,
    campaign: Campaign,
    asked: Collection[str],
    permit: Permit,
    tell: Callable[[str], None] = lambda text: None,
    submitting: bool = False,
) -> None:
    """Write campaign.toml, unless it has the same content already.

    Its table [submit] matters to `tickets submit` alone: another one neither keeps processes from training side by
    side, nor is it written by them.

    Parameters
    ----------
    folder
        The campaign's folder, which is locked.
    campaign
        The campaign as resolved.
    asked
        The ids of its runs.
    permit
        The `check` of the lock's lease.
    tell
        Called with a line before this process waits to see whether another one is at work.
    submitting
        Whether another [submit] is written.

    Raises
    ------
    InputError
        If another process trains the campaign with another content.
    """
    path, text = folder / Layout.CAMPAIGN, to_toml(campaign)
    content = sealed_toml(text)
    try:
        there = read_regular(path)
    except FileNotFoundError:
        there = None
    alike = there is not None and _is_but_for_submit(there, text)
    if there == content or (alike and not submitting):
        return
    # Files of earlier versions, and those that were damaged, may have the same content in another form.
    if there is not None and not alike and (other := at_work(folder, tell)) is not None:
        raise InputError(
            f"another `tickets run` ({other.holder}) is at work in {folder}, with another content of the campaign "
            f"({Layout.CAMPAIGN} there); wait until it ends, or write to another folder (--out)"
        )
    record_begun(folder, asked, permit, content)
    replace_file(path, content, permit)


def check_unreplaced(folder: Path, text: str) -> None:
    """Check that campaign.toml still is that of a campaign that began to be trained, but for its table [submit].

    Parameters
    ----------
    folder
        The campaign's folder, which is locked.
    text
        What `to_toml` gives for the campaign as resolved.

    Raises
    ------
    ReplacedError
        If another process has given the campaign another content.
    """
    try:
        there = read_regular(folder / Layout.CAMPAIGN)
    except FileNotFoundError:
        there = b""
    if there != sealed_toml(text) and not _is_but_for_submit(there, text):
        raise ReplacedError(
            f"{folder / Layout.CAMPAIGN}: another `tickets run` has given the campaign another content; start this "
            "process again, with the file that is meant, or write to another folder (--out)"
        )


def _is_but_for_submit(there: bytes, text: str) -> bool:
    """Whether a campaign.toml is what a text would be written as, whatever their tables [submit] are."""
    body = there.decode("utf-8", "replace").partition("\n")[2]
    return sealed_toml(body) == there and without_submit(body) == without_submit(text)


def record_changes(folder: Path, network: Continued, listener: Listener) -> None:
    """Report and log which source files of a run have changed since they were last used.

    Parameters
    ----------
    folder
        The run's folder.
    network
        The run's network, with the changes.
    listener
        Receives a note for each change.
    """
    for change in network.changed:
        listener(Note(f"{folder.name}: {change}"))
        append_event(folder / Layout.LOG, {"event": "source", **asdict(change)})


def record_run(
    folder: Path,
    fitted: Fitted,
    plan: Plan,
    fingerprint: Mapping[str, Any],
    network: Continued,
    listener: Listener,
    permit: Permit,
) -> Mapping[str, Any]:
    """Write a run's run.json, if what it says has changed.

    Parameters
    ----------
    folder
        The run's folder.
    fitted
        The run.
    plan
        How it is computed.
    fingerprint
        The machine and packages of this process. A run that has begun keeps the fingerprint that it began with.
    network
        The network that it began with.
    listener
        Receives a note for each strategy that was passed over.
    permit
        The `check` of the lease of the campaign's folder, which is locked.

    Returns
    -------
    dict
        The fingerprint that run.json holds.
    """
    examples, saved = fitted.source.examples, read_if_saved(folder)
    content: dict[str, Any] = {
        "config": fitted.run.model_dump(mode="json"),
        LISTED: True,
        "data": {
            "sha256": fitted.source.sha256,
            "input_shape": list(examples.input_shape),
            "classes": examples.classes,
        },
        "fingerprint": saved["fingerprint"] if saved else fingerprint,
        "execution": plan.record(),
        "began_with": network.record,
        **({} if fitted.scale.accuracy == "accuracy" else {"accuracy": fitted.scale.accuracy}),
        **transfer_record(fitted, saved),
        "coverage": fitted.coverage.as_json(),
        **({} if fitted.small_dense is None else {"small_dense": _small_dense(fitted, plan)}),
        "like_ticket": list(fitted.trial.like_ticket),
        "starts": {**(saved or {}).get("starts", {}), **fitted.trial.recorded_starts()},
        "registered": register(
            (saved or {}).get("registered", ()),
            fitted.run.verdict.model_dump(mode="json"),
            rounds_committed(folder),
            [claim.model_dump(mode="json") for claim in fitted.run.claim],
        ),
    }
    # Fields of a later version, and those that another writer of this file added, stay.
    there = {key: value for key, value in (saved or {}).items() if key not in ("schema", "run")}
    if {**there, **content} != there:
        for strategy in (plan.compared or {}).get("passed_over", ()):
            listener(Note(f"{folder.name}: passed over, since a plain PyTorch loop differs: {strategy}"))
        write_run(folder, folder.name, permit=permit, **{**there, **content})
        for record in content["registered"][len(there.get("registered", ())) :]:
            if "claim" in record:
                append_event(folder / Layout.LOG, {"event": "registered", **record})
    found: Mapping[str, Any] = content["fingerprint"]
    return found


def _small_dense(fitted: Fitted, plan: Plan) -> dict[str, Any]:
    """The narrower networks of the arm `small_dense`, and how they are trained."""
    assert fitted.small_dense is not None
    by = f"{plan.strategy}, as the dense networks of round 0: the same layers with fewer units, all weights left"
    return {"trained_by": by, **fitted.small_dense.as_json()}
