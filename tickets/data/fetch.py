"""Download the files of a data set. A file gets its final name only after its checksums are verified."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tickets.catalogue import DATA
from tickets.data.downloads import DOWNLOADS, Download, Downloads
from tickets.data.files import read
from tickets.errors import InputError, nearest


def fetch(
    name: str,
    folder: Path | str,
    base_url: str | None = None,
    progress: bool = False,
    downloads: Mapping[str, Downloads] = DOWNLOADS,
) -> list[Path]:
    """Download data set `name` into `<folder>/<name>/`.

    Existing files with the right checksums are kept. Every file is downloaded to a temporary place, verified, and then
    renamed, so that a failure leaves no file that looks complete.

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

    Returns
    -------
    list
        The paths of the files, in a fixed order.

    Raises
    ------
    InputError
        If the name is unknown, no address can be reached, content does not match its checksum, or the folder is not
        writable.
    """
    known = _known(name, downloads)
    if base_url is not None and not base_url.startswith(("http://", "https://")):
        raise InputError(f"base_url = {base_url!r}: must begin with http:// or https://")
    addresses = known.addresses if base_url is None else (base_url,)
    place = Path(folder) / name
    paths: list[Path] = []
    try:
        place.mkdir(parents=True, exist_ok=True)
        for download in known.downloads:
            if not _complete(place, download):
                with tempfile.TemporaryDirectory(prefix=".tmp-fetch-", dir=place) as scratch:
                    archive = _downloaded(download, addresses, Path(scratch), progress)
                    _install(archive, download, place, Path(scratch))
            paths.extend(_outputs(place, download))
    except OSError as error:
        raise InputError(
            f"{place}: cannot be written ({error.strerror or error}); give another folder with --data, "
            "or fix its permissions or free some space"
        ) from error
    return paths


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
        files = {place / member: size for member, size in download.members.items()}
        return all(path.is_file() and path.stat().st_size == size for path, size in files.items())
    path = place / download.file
    if not path.is_file():
        return False
    # A file that was compressed again differs from the published one in its bytes, but not in its content.
    if hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest() == download.md5:
        return True
    return download.contents_sha256 is not None and not _contents_problem(path, download)


def _contents_problem(path: Path, download: Download) -> str | None:
    """How the uncompressed content differs from its checksum, or None; None also if no checksum is known."""
    if download.contents_sha256 is None:
        return None
    try:
        found = hashlib.sha256(read(path)).hexdigest()
    except InputError as error:
        return f"{download.file}: {error}"
    if found == download.contents_sha256:
        return None
    return f"{download.file}: its contents have SHA-256 {found}; must be {download.contents_sha256}"


def _downloaded(download: Download, addresses: tuple[str, ...], scratch: Path, progress: bool) -> Path:
    """Download a file into `scratch` from the first address that has it with the published checksums."""
    problems: list[str] = []
    for address in addresses:
        url = f"{address.rstrip('/')}/{download.file}"
        try:
            archive = _retrieved(url, download, scratch, progress)
        except InputError as error:
            problems.extend(error.problems)
            continue
        problem = _contents_problem(archive, download)
        if problem is None:
            return archive
        problems.append(f"{url}: {problem}")
        archive.unlink()  # otherwise pooch would reuse it for the next address
    raise InputError(problems)


def _retrieved(url: str, download: Download, scratch: Path, progress: bool) -> Path:
    """Download one file by pooch, which checks the MD5."""
    try:
        import pooch
        import requests
    except ModuleNotFoundError as error:
        raise InputError(
            f"downloading needs the package pooch ({error}); install it with `pip install pooch`"
        ) from error
    try:
        with _quiet(pooch.get_logger()), _bar(download.file, progress) as bar:
            downloader = pooch.HTTPDownloader(progressbar=bar, chunk_size=2**16)
            file = pooch.retrieve(url, f"md5:{download.md5}", download.file, scratch, downloader=downloader)
    except requests.exceptions.RequestException as error:  # before OSError, of which it is one
        raise InputError(
            f"{url}: the download failed ({error}); check the network and run the command again, "
            "or name a mirror with --base-url"
        ) from error
    except ValueError as error:  # raised by pooch for a wrong checksum
        raise InputError(
            f"{url}: the downloaded file is not the published one, whose MD5 is {download.md5} ({error}); "
            "run the command again, or name a mirror with --base-url"
        ) from error
    return Path(file)


def _install(archive: Path, download: Download, place: Path, scratch: Path) -> None:
    """Put the verified file, or the wanted members of the verified archive, in their place."""
    # Copied, not moved: the file of pooch is readable by its owner only, whatever the umask is.
    staged = scratch / "staged"
    if download.members is None:
        shutil.copyfile(archive, staged)
        os.replace(staged, place / download.file)
        return
    try:
        with tarfile.open(archive) as tar:
            for member, size in download.members.items():
                _unpack(tar, download.file, member, size, staged)
                (place / member).parent.mkdir(parents=True, exist_ok=True)
                os.replace(staged, place / member)
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{download.file}: cannot be unpacked ({error})") from error


def _unpack(tar: tarfile.TarFile, archive: str, member: str, size: int, target: Path) -> None:
    """Extract one regular file of the archive to `target`; the paths in the archive are not used."""
    try:
        entry = tar.getmember(member)
    except KeyError as error:
        raise InputError(f"{archive}: the archive has no {member!r}") from error
    contents = tar.extractfile(entry) if entry.isreg() else None
    if contents is None or entry.size != size:
        found = f"{entry.size:,} bytes" if entry.isreg() else "not a regular file"
        raise InputError(f"{archive}: {member!r} is {found}; must be a file of {size:,} bytes")
    with contents, target.open("wb") as file:
        shutil.copyfileobj(contents, file)


@contextmanager
def _quiet(logger: Any) -> Iterator[None]:
    """Suppress the lines that pooch logs about every download."""
    level = logger.level
    logger.setLevel("WARNING")
    try:
        yield
    finally:
        logger.setLevel(level)


@contextmanager
def _bar(file: str, progress: bool) -> Iterator[Any]:
    """A progress bar on stderr with pooch's interface, or False."""
    if not progress:
        yield False
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as drawn:
        yield _Bar(drawn, file)


class _Bar:
    """A progress bar with pooch's interface (total, update, reset, close), drawn by rich."""

    def __init__(self, drawn: Any, file: str) -> None:
        self._drawn = drawn
        self._task = drawn.add_task(file, total=None)
        self.total = 0

    def update(self, count: int) -> None:
        self._drawn.update(self._task, total=self.total or None, advance=count)

    def reset(self) -> None:
        self._drawn.reset(self._task)

    def close(self) -> None:
        """Nothing to do: the bar ends with its context."""
