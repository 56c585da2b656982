"""Write the output files of a command to a folder: all of them, or none."""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from tickets.errors import DiskError, InputError
from tickets.opening import kind_of
from tickets.store.layout import Layout

_COHORT = re.compile(r"cohort-\d+")


def write_files(folder: Path, files: Mapping[str, bytes], *, follow: bool = True) -> None:
    """Write files to a folder, which is made if it is missing. Other files in it stay.

    All are written under temporary names first, and then renamed in their order. If the disk refuses, all files that
    were there before are there as they were.

    Parameters
    ----------
    folder
        The folder.
    files
        {path in the folder: content}. The last one is replaced last.
    follow
        Whether the folder itself may be a link: True for one that the user named. Folders in it may not.

    Raises
    ------
    InputError
        If a file, a link or a folder is in the way, or if the folder belongs to a saved run's rounds.
    DiskError
        If the disk is full, or the folder is not writable.
    """
    staged = folder / f"{Layout.TEMPORARY}files-{uuid.uuid4().hex}"
    place, made, replaced = folder, False, 0
    try:
        _refuse_saved(folder)
        _refuse_in_the_way(folder, files, follow)
        made = not folder.exists()
        staged.mkdir(parents=True)
        for name, data in files.items():
            place = folder / name
            _write(staged / name, data)
        for name in files:
            place = folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            os.replace(staged / name, place)
            replaced += 1
    except OSError as error:
        raise DiskError(_refused(place, folder, error, replaced)) from error
    finally:
        shutil.rmtree(staged, ignore_errors=True)
        if made and not replaced:
            with suppress(OSError):
                folder.rmdir()


def _refuse_saved(folder: Path) -> None:
    """Refuse a folder among those of a run, which only contain what was trained, and a run's folder itself."""
    real = Path(os.path.realpath(folder))
    for place in (real, *real.parents):
        of_run = _COHORT.fullmatch(place.name) and (place.parent / Layout.RUN).exists()
        if of_run or (place / Layout.MANIFEST).exists() or (place == real and (place / Layout.RUN).exists()):
            raise InputError(
                f"--out = {str(folder)!r}: lies in a saved run ({place}), which only contains what was trained; name "
                "another folder"
            )


def _refuse_in_the_way(folder: Path, files: Mapping[str, bytes], follow: bool) -> None:
    """Refuse whatever is not a folder in the place of a folder, or a folder in the place of a file."""
    if (os.path.lexists(folder) and not folder.is_dir()) or (folder.is_symlink() and not follow):
        raise InputError(_in_the_way(folder, folder))
    for place in sorted({folder / parent for name in files for parent in Path(name).parents} - {folder}):
        if os.path.lexists(place) and (place.is_symlink() or not place.is_dir()):
            raise InputError(_in_the_way(folder, place))
    for name in files:
        if (folder / name).is_dir() and not (folder / name).is_symlink():
            raise InputError(_in_the_way(folder, folder / name))


def _in_the_way(folder: Path, place: Path) -> str:
    mode = os.lstat(place).st_mode
    what = "a file" if stat.S_ISREG(mode) else kind_of(mode)
    return f"--out = {str(folder)!r}: {place}, {what}, is in the way; remove it, or name another folder"


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())  # a full disk of a network may only be known here


def _refused(place: Path, folder: Path, error: OSError, replaced: int) -> str:
    before = f"the files before it in {folder} are the new ones" if replaced else f"nothing in {folder} was changed"
    if error.errno in (errno.ENOENT, errno.EEXIST, errno.ENOTDIR, errno.EISDIR):
        return f"{place}: was moved or removed while it was written; {before}; run the same command again"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        remedy = "free some space"
    elif error.errno == errno.ENAMETOOLONG:
        remedy = "choose a shorter path"
    else:
        remedy = "check the folder's permissions and its disk"
    return f"{place}: cannot be written ({error.strerror}); {before}; {remedy}, or name another folder (--out)"
