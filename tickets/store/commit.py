"""The commit protocol: a folder or file is written completely or not at all, even if the power fails.

A folder is written under a temporary name beside its target, each file is synced to the disk, the manifest last, and
the folder is renamed. A reader that ignores temporary names sees either nothing or everything. A committed folder is
never changed again.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from tickets.errors import LeaseLostError
from tickets.store.durable import Chunks, bytes_of, make_folder, sync_folder, write_new
from tickets.store.layout import SCHEMA_VERSION, Layout
from tickets.store.refused import explained
from tickets.store.sealed import sealed_json
from tickets.store.temporary import Permit, temporary

Content = bytes | Callable[[], bytes]
"""The bytes of a file, or a function that returns them, so that only one large file is in memory at a time."""


def commit(
    target: Path, files: Mapping[str, Content], manifest: Mapping[str, Any], permit: Permit | None = None
) -> None:
    """Write a folder with a manifest of its files, completely or not at all.

    The folder around it must be there: a commit into a campaign that was removed must not make a stub of it. Only
    `initial/`, the first folder of a cohort, brings the cohort's folder with it. The manifest is `{"sha256": ...,
    "schema": 1, **manifest, "files": {name: {"bytes", "sha256"}}}`, whose first key is the SHA-256 of the rest (see
    `tickets.store.sealed`). After any error the temporary folder is removed; but what another process was faster with
    is set aside, as `set-aside-<name>-<8 hexadecimal digits>`.

    Parameters
    ----------
    target
        The folder.
    files
        {name: content}.
    manifest
        Further fields of the manifest, as JSON values.
    permit
        Asked immediately before the rename; None where no other process writes to the folder.

    Raises
    ------
    FileExistsError
        If `target` exists.
    LeaseLostError
        If there is no permit.
    DiskError
        If the system refuses: the disk is full or not writable, the folder around it is gone, ...
    """
    if permit is None:
        _refuse_if_there(target)
    beside = temporary(target)
    written: dict[str, dict[str, int | str]] = {}
    wanted = 0
    try:
        if target.name == Layout.INITIAL:
            make_folder(target.parent, parents=False)
        os.mkdir(beside)
        for name, content in files.items():
            data = content if isinstance(content, bytes) else content()
            wanted += len(data)
            written[name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            write_new(beside / name, data)
        data = sealed_json({"schema": SCHEMA_VERSION, **manifest, "files": written})
        write_new(beside / Layout.MANIFEST, data)
        sync_folder(beside)
        # A rename would silently replace an empty folder, so check again.
        _refuse_if_there(target)
        if permit is not None:
            permit()
        _rename(beside, target)
        sync_folder(target.parent)
    except BaseException as error:
        if permit is not None:
            _set_aside_if_lost(error, beside, target, permit)
        shutil.rmtree(beside, ignore_errors=True)
        if known := explained(error, target, wanted):
            raise known from error
        raise


def replace_file(path: Path, data: Chunks, permit: Permit | None = None) -> None:
    """Replace one file (run.json, campaign.toml) atomically. Missing parents are created.

    Parameters
    ----------
    path
        The file.
    data
        Its new content; a large one in several chunks.
    permit
        Asked immediately before the file is replaced; None where no other process writes it.

    Raises
    ------
    LeaseLostError
        If there is no permit.
    DiskError
        If the system refuses: the disk is full or not writable, ...
    """
    beside = temporary(path)
    try:
        make_folder(path.parent)
        write_new(beside, data)
        if permit is not None:
            permit()
        os.replace(beside, path)
        sync_folder(path.parent)
    except BaseException as error:
        with suppress(OSError):  # the first error is the one to raise
            beside.unlink()
        if permit is not None and isinstance(error, FileNotFoundError):
            permit()  # who has taken over has removed the beside file
        if known := explained(error, path, bytes_of(data)):
            raise known from error
        raise


def _set_aside_if_lost(error: BaseException, beside: Path, target: Path, permit: Permit) -> None:
    """Set the temporary folder aside, and raise LeaseLostError, if another process has taken over what it was for."""
    lost = error
    if isinstance(error, OSError) and error.errno in (errno.ENOENT, errno.EEXIST, errno.ENOTEMPTY):
        try:
            permit()  # whoever has taken over may have swept the temporary folder, or committed the target
        except LeaseLostError as found:
            lost = found
    if not isinstance(lost, LeaseLostError):
        return
    with suppress(OSError):
        os.rename(beside, target.with_name(f"{Layout.SET_ASIDE}{target.name}-{uuid.uuid4().hex[:8]}"))
    raise lost from error


def _refuse_if_there(target: Path) -> None:
    if os.path.lexists(target):
        raise _there(target)


def _there(target: Path) -> FileExistsError:
    error = FileExistsError(f"{target} exists already, and committed folders are never changed")
    error.errno = errno.EEXIST  # as a second argument, it would stand in the message
    return error


def _rename(beside: Path, target: Path) -> None:
    try:
        os.rename(beside, target)
    except OSError as error:
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY):  # another process has committed it since
            raise _there(target) from error
        raise
