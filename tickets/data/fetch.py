"""Download the files of a data set. A file gets its final name only after its checksums are verified."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tickets.catalogue import DATA
from tickets.data.archive import unpack_members
from tickets.data.contents import PIECE, Format, read
from tickets.data.downloads import DOWNLOADS, Download, Downloads
from tickets.data.scratch import remove_left_over, scratch_folder
from tickets.data.transfer import LIMITS, Limits, transfer
from tickets.errors import DiskError, InputError, nearest
from tickets.opening import open_regular


def fetch(
    name: str,
    folder: Path | str,
    base_url: str | None = None,
    progress: bool = False,
    downloads: Mapping[str, Downloads] = DOWNLOADS,
    limits: Limits = LIMITS,
) -> list[Path]:
    """Download data set `name` into `<folder>/<name>/`.

    Existing files with the right checksums are kept. Every file is downloaded to a temporary folder, verified, and then
    renamed, so that a failure leaves no file that looks complete. The temporary folder is removed when SIGTERM, SIGHUP
    or Ctrl-C ends the process; what SIGKILL leaves is removed by the next call.

    Parameters
    ----------
    name
        The data set.
    folder
        The data folder.
    base_url
        The address of a mirror, instead of the known addresses.
    progress
        Whether to draw a progress bar on stderr.
    downloads
        The downloads of each data set.
    limits
        How long a download may take. Each has a known size, and no more bytes are read.

    Returns
    -------
    list
        The paths of the files, in a fixed order.

    Raises
    ------
    InputError
        If the name is unknown, no address can be reached, or content does not match its size or checksum.
    DiskError
        If the folder is not writable, or the disk is full.
    """
    known = _known(name, downloads)
    if base_url is not None and not base_url.startswith(("http://", "https://")):
        raise InputError(f"base_url = {base_url!r}: must begin with http:// or https://")
    addresses = known.addresses if base_url is None else (base_url,)
    place = Path(folder) / name
    with _told(place):
        place.mkdir(parents=True, exist_ok=True)
        remove_left_over(place)
    wanted = [download for download in known.downloads if not _complete(place, download)]
    for download in wanted:
        with _told(place / download.file), scratch_folder(place) as scratch:
            file = _downloaded(download, addresses, scratch, progress, limits)
            _install(file, download, place, scratch)
    return [path for download in known.downloads for path in _outputs(place, download)]


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Raise InputError or DiskError, with the path and the remedy, for an OSError in the block."""
    try:
        yield
    except OSError as error:
        why = error.strerror or error
        if isinstance(error, NotADirectoryError | FileExistsError | IsADirectoryError):
            raise InputError(
                f"{path}: cannot be written ({why}); give another folder with --data, or remove what is in the way"
            ) from error
        raise DiskError(
            f"{path}: cannot be written ({why}); give another folder with --data, or fix its permissions or free some "
            "space, and run the command again"
        ) from error


def _known(name: str, downloads: Mapping[str, Downloads]) -> Downloads:
    """The entry of a data set. Raises InputError for an unknown name."""
    if name in downloads:
        return downloads[name]
    if name in DATA and name not in DOWNLOADS:
        raise InputError(f"data {name!r} needs no fetch: it is computed, without files")
    raise InputError(f"data {name!r}: cannot be fetched{nearest(name, downloads)} (allowed: {', '.join(downloads)})")


def _outputs(place: Path, download: Download) -> list[Path]:
    """The files that a finished download consists of."""
    if download.members is None:
        return [place / download.file]
    return [place / member for member in download.members]


def _complete(place: Path, download: Download) -> bool:
    """Whether the files of a download exist and are correct."""
    if download.members is not None:
        return all(_has_size(place / member, size) for member, size in download.members.items())
    path = place / download.file
    try:
        if _md5(path, download.size) == download.md5:
            return True
    except (FileNotFoundError, InputError):
        pass  # of another size, or not even a regular file
    # A file that was compressed again differs from the published one in its bytes, but not in its content.
    return download.contents is not None and _contents_problem(path, download) is None


def _has_size(path: Path, size: int) -> bool:
    """Whether a path is a regular file of this size."""
    try:
        found = os.stat(path)
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and found.st_size == size


def _md5(path: Path, size: int) -> str:
    """The MD5 of a file of at most `size` bytes."""
    total = hashlib.md5(usedforsecurity=False)
    with open_regular(path, follow=True, at_most=size) as file:
        while piece := file.read(PIECE):
            total.update(piece)
    return total.hexdigest()


def _contents_problem(path: Path, download: Download) -> str | None:
    """How the uncompressed content differs from the published one, or None; None also if that is unknown."""
    wanted = download.contents
    if wanted is None:
        return None
    try:
        found = hashlib.sha256(read(path, Format(wanted.size, wanted.size), gzipped=True)).hexdigest()
    except InputError as error:
        return str(error)
    if found == wanted.sha256:
        return None
    return f"{download.file}: its contents have SHA-256 {found}; must be {wanted.sha256}"


def _downloaded(download: Download, addresses: tuple[str, ...], scratch: Path, progress: bool, limits: Limits) -> Path:
    """Download a file into `scratch` from the first address that has it with the published checksums."""
    problems: list[str] = []
    for number, address in enumerate(addresses):
        url = f"{address.rstrip('/')}/{download.file}"
        file = scratch / f"from-{number}-{download.file}"
        try:
            with _bar(download, progress) as update:
                transfer(url, file, download.size, limits, update)
        except DiskError:
            raise
        except InputError as error:
            problems.extend(error.problems)
            continue
        problem = _published_problem(file, download)
        if problem is None:
            return file
        problems.append(f"{url}: {problem}")
        file.unlink()
    raise InputError(problems)


def _published_problem(file: Path, download: Download) -> str | None:
    """How a file differs from the published one, or None."""
    found = _md5(file, download.size)
    if found != download.md5:
        return (
            f"the downloaded file is not the published one, whose MD5 is {download.md5} (it has {found}); "
            "run the command again, or name a mirror with --base-url"
        )
    return _contents_problem(file, download)


def _install(file: Path, download: Download, place: Path, scratch: Path) -> None:
    """Put the verified file, or the wanted members of the verified archive, in their place."""
    if download.members is None:
        staged = {download.file: file}
    else:
        staged = unpack_members(file, download.file, download.members, scratch)
    for name, path in staged.items():
        target = place / name
        target.parent.mkdir(exist_ok=True)
        with path.open("rb") as written:
            os.fsync(written.fileno())  # or a power cut could leave the final name and no content
        os.replace(path, target)


@contextmanager
def _bar(download: Download, progress: bool) -> Iterator[Callable[[int], None]]:
    """A progress bar on stderr, as the function that moves it on by a number of bytes."""
    if not progress:
        yield lambda _count: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as drawn:
        task = drawn.add_task(download.file, total=download.size)
        yield lambda count: drawn.advance(task, count)
