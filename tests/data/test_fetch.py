from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from served_files import Server, serving

from tickets.catalogue import DATA
from tickets.data import cifar10, idx
from tickets.data.downloads import DOWNLOADS, Contents, Download, Downloads
from tickets.data.fetch import fetch
from tickets.errors import DiskError, InputError


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving() as served:
        yield served


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def download_of(
    file: str, data: bytes, contents: bytes | None = None, members: dict[str, int] | None = None
) -> Download:
    """The published file `file`: its bytes, and what they are unpacked."""
    known = None if contents is None else Contents(len(contents), hashlib.sha256(contents).hexdigest())
    return Download(file, md5(data), len(data), known, members)


def tar_of(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


CONTENTS = b"some images"
FILE = gzip.compress(CONTENTS)
ONE = {"mnist": Downloads(("http://127.0.0.1:9/",), (download_of("a.gz", FILE, CONTENTS),))}


def test_files_are_fetched_checked_and_read(server: Server, tmp_path: Path, idx_contents: dict[str, bytes]) -> None:
    """All the way: what fetch leaves is what the reader takes."""
    server.files = {f"{file}.gz": gzip.compress(data) for file, data in idx_contents.items()}
    downloads = tuple(
        download_of(f"{file}.gz", server.files[f"{file}.gz"], data) for file, data in idx_contents.items()
    )
    paths = fetch("mnist", tmp_path / "new" / "data", downloads={"mnist": Downloads((server.url + "/",), downloads)})
    assert paths == [tmp_path / "new" / "data" / "mnist" / f"{file}.gz" for file in idx.FILES]
    assert files_below(tmp_path) == sorted(f"new/data/mnist/{file}.gz" for file in idx.FILES)
    assert idx.mnist(tmp_path / "new" / "data").train_labels.tolist() == [3, 0, 9, 1, 1]


def test_an_archive_is_unpacked_and_only_what_is_wanted(server: Server, tmp_path: Path) -> None:
    batches = {f"cifar-10-batches-bin/{file}": bytes([i]) + bytes(3072) for i, file in enumerate(cifar10.FILES)}
    archive = tar_of({"../evil": b"x", "/tmp/evil": b"x", "cifar-10-batches-bin/readme.html": b"x"} | batches)
    server.files = {"c.tar.gz": archive}
    download = download_of("c.tar.gz", archive, members={name: len(data) for name, data in batches.items()})
    sources = {"cifar10": Downloads((), (download,))}
    paths = fetch("cifar10", tmp_path, base_url=server.url, downloads=sources)
    assert [str(path.relative_to(tmp_path)) for path in paths] == [f"cifar10/{name}" for name in batches]
    assert files_below(tmp_path) == sorted(f"cifar10/{name}" for name in batches)
    assert cifar10.cifar10(tmp_path).train_labels.tolist() == [0, 1, 2, 3, 4]

    fetch("cifar10", tmp_path, base_url=server.url, downloads=sources)
    assert server.asked == ["c.tar.gz"]  # what is complete is not fetched again
    paths[2].write_bytes(b"short")
    fetch("cifar10", tmp_path, base_url=server.url, downloads=sources)
    assert paths[2].stat().st_size == 3073


def link(name: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(entry)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("archive", "message"),
    [
        (tar_of({"other.bin": b"1234"}), "c.tar.gz: the archive has no 'd/a.bin'"),
        (tar_of({"d/a.bin": b"123"}), "c.tar.gz: 'd/a.bin' is 3 bytes; must be a file of 4 bytes"),
        (link("d/a.bin"), "c.tar.gz: 'd/a.bin' is not a regular file; must be a file of 4 bytes"),
        (b"no archive at all", r"c.tar.gz: its gzip data is damaged \(incorrect header check\)"),
        (gzip.compress(b"no archive at all"), r"c.tar.gz: cannot be unpacked \(it is no tar archive\)"),
        (gzip.compress(bytes(range(1, 256)) * 9), r"c.tar.gz: cannot be unpacked \(it is no tar archive"),
        (tar_of({"d/a.bin": b"1234"}) + b"x", "c.tar.gz: its gzip data ends after .* bytes, and other data follow"),
        (tar_of({"d/a.bin": b"1234"})[:60], "c.tar.gz: its gzip data ends too early, after 60 bytes"),
    ],
    ids=["other member", "too short", "link", "no gzip", "no archive", "no header", "followed", "cut off"],
)
def test_an_archive_that_is_not_as_expected(server: Server, tmp_path: Path, archive: bytes, message: str) -> None:
    server.files = {"c.tar.gz": archive}
    sources = {"cifar10": Downloads((server.url,), (download_of("c.tar.gz", archive, members={"d/a.bin": 4}),))}
    with pytest.raises(InputError, match=message):
        fetch("cifar10", tmp_path, downloads=sources)
    assert files_below(tmp_path) == []


def test_a_right_file_is_left_alone(server: Server, tmp_path: Path) -> None:
    server.files = {"a.gz": FILE}
    (path,) = fetch("mnist", tmp_path, base_url=server.url, downloads=ONE)
    again = gzip.compress(CONTENTS, compresslevel=1, mtime=1)
    path.write_bytes(again)  # compressed again: other bytes, the same contents
    assert fetch("mnist", tmp_path, base_url=server.url, downloads=ONE) == [path]
    assert path.read_bytes() == again
    assert server.asked == ["a.gz"]


@pytest.mark.parametrize("damaged", [FILE[:-4], b"", gzip.compress(b"other")], ids=["cut off", "empty", "other"])
def test_a_damaged_file_is_replaced(server: Server, tmp_path: Path, damaged: bytes) -> None:
    server.files = {"a.gz": FILE}
    path = tmp_path / "mnist" / "a.gz"
    path.parent.mkdir()
    path.write_bytes(damaged)
    fetch("mnist", tmp_path, base_url=server.url, downloads=ONE)
    assert path.read_bytes() == FILE


def test_files_are_as_readable_as_the_umask_says(server: Server, tmp_path: Path) -> None:
    server.files = {"a.gz": FILE}
    before = os.umask(0o027)
    try:
        (path,) = fetch("mnist", tmp_path, base_url=server.url, downloads=ONE)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o640


def test_another_file_than_the_published_one_leaves_nothing(server: Server, tmp_path: Path) -> None:
    server.files = {"a.gz": FILE[:-1] + b"x"}
    with pytest.raises(
        InputError, match=f"{server.url}/a.gz: the downloaded file is not the published one, whose MD5 is {md5(FILE)}"
    ):
        fetch("mnist", tmp_path, base_url=server.url, downloads=ONE)
    assert files_below(tmp_path) == []


def test_other_contents_leave_nothing(server: Server, tmp_path: Path) -> None:
    other = gzip.compress(b"other")
    server.files = {"a.gz": other}
    source = Downloads((server.url, server.url + "/"), (download_of("a.gz", other, CONTENTS),))
    with pytest.raises(InputError, match=r"a.gz: its contents have SHA-256 d9298a10.*; must be "):
        fetch("mnist", tmp_path, downloads={"mnist": source})
    assert files_below(tmp_path) == []
    assert server.asked == ["a.gz", "a.gz"]  # at both addresses


def test_a_download_that_breaks_off_keeps_what_was_there(server: Server, tmp_path: Path) -> None:
    server.files, server.cut = {"a.gz": FILE}, {"a.gz"}
    path = tmp_path / "mnist" / "a.gz"
    path.parent.mkdir()
    path.write_bytes(b"older")
    with pytest.raises(InputError, match=r"a.gz: the download failed .*; check the network and run the command again"):
        fetch("mnist", tmp_path, base_url=server.url, downloads=ONE)
    assert files_below(tmp_path) == ["mnist/a.gz"]
    assert path.read_bytes() == b"older"


def test_a_file_that_the_address_does_not_have(server: Server, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a.gz: the download failed .*404"):
        fetch("mnist", tmp_path, base_url=server.url, downloads=ONE)


def test_no_answer_at_all(tmp_path: Path, server: Server) -> None:
    with pytest.raises(InputError, match=r"http://127.0.0.1:9/a.gz: the download failed"):
        fetch("mnist", tmp_path, downloads=ONE)
    assert files_below(tmp_path) == []


def test_the_addresses_are_tried_in_turn(server: Server, tmp_path: Path) -> None:
    server.files = {"first/a.gz": b"bad", "third/a.gz": FILE}
    addresses = tuple(f"{server.url}/{name}/" for name in ("first", "second", "third", "fourth"))
    (path,) = fetch("mnist", tmp_path, downloads={"mnist": Downloads(addresses, ONE["mnist"].downloads)})
    assert path.read_bytes() == FILE
    assert server.asked == ["first/a.gz", "second/a.gz", "third/a.gz"]


def test_every_address_that_failed_is_told(server: Server, tmp_path: Path) -> None:
    source = Downloads((f"{server.url}/x", f"{server.url}/y"), ONE["mnist"].downloads)
    with pytest.raises(InputError) as caught:
        fetch("mnist", tmp_path, downloads={"mnist": source})
    assert len(caught.value.problems) == 2


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(
        InputError,
        match=r"file/mnist: cannot be written \(Not a directory\); give another folder with --data",
    ):
        fetch("mnist", tmp_path / "file", downloads=ONE)


def test_a_full_disk_is_no_wrong_input(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    server.files = {"a.gz": FILE}
    monkeypatch.setattr("tickets.data.fetch.os.fsync", full)
    message = (
        r"mnist/a\.gz: cannot be written \(No space left on device\); .* free some space, "
        r"and run the command again"
    )
    with pytest.raises(DiskError, match=message):
        fetch("mnist", tmp_path, base_url=server.url, downloads=ONE)
    assert files_below(tmp_path) == []


def test_names_that_cannot_be_fetched(tmp_path: Path) -> None:
    for name in ("mnist1d", "digits"):
        with pytest.raises(InputError, match=f"data '{name}' needs no fetch: it is computed"):
            fetch(name, tmp_path)
    with pytest.raises(
        InputError, match=r"data 'minst': cannot be fetched; did you mean 'mnist'\? \(allowed: mnist, fash"
    ):
        fetch("minst", tmp_path)
    with pytest.raises(InputError, match="base_url = 'ftp://x': must begin with http:// or https://"):
        fetch("mnist", tmp_path, base_url="ftp://x")
    assert list(tmp_path.iterdir()) == []


def test_it_is_quiet_unless_asked(server: Server, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    server.files = {"a.gz": FILE}
    fetch("mnist", tmp_path / "quiet", base_url=server.url, downloads=ONE)
    assert capfd.readouterr() == ("", "")
    fetch("mnist", tmp_path / "told", base_url=server.url, progress=True, downloads=ONE)
    out, err = capfd.readouterr()
    assert out == ""
    assert "a.gz" in err


def test_the_table_names_what_the_readers_want() -> None:
    assert set(DOWNLOADS) == {"mnist", "fashion_mnist", "cifar10"} <= set(DATA)
    for name in ("mnist", "fashion_mnist"):
        assert [download.file for download in DOWNLOADS[name].downloads] == [f"{file}.gz" for file in idx.FILES]
    (archive,) = DOWNLOADS["cifar10"].downloads
    assert archive.members == {f"cifar-10-batches-bin/{file}": 10_000 * 3073 for file in cifar10.FILES}
    sums = [download.md5 for source in DOWNLOADS.values() for download in source.downloads]
    assert all(len(each) == 32 for each in sums)
    assert len(set(sums)) == 9
    assert all(a.startswith("http") and a.endswith("/") for source in DOWNLOADS.values() for a in source.addresses)
