"""The files of a report: all are written or none, and nothing leads out of their folder."""

import errno
import os

import pytest

from tickets.command_line.files import write_files
from tickets.errors import DiskError, InputError

NEW = {"figures/a/one.svg": b"new figure", "tables/a/one.csv": b"new table", "index.html": b"new page"}


def there(folder):
    """{path: content} of every file; nothing else may be left."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def report(tmp_path):
    """An old report, with a file of the user's own."""
    (tmp_path / "report" / "figures" / "a").mkdir(parents=True)
    for name, data in {"figures/a/one.svg": b"old", "index.html": b"old", "notes.txt": b"mine"}.items():
        (tmp_path / "report" / name).write_bytes(data)
    return tmp_path / "report"


def test_files_are_replaced_and_others_stay(report):
    write_files(report, NEW)
    assert there(report) == {**NEW, "notes.txt": b"mine"}
    assert not list(report.glob(".tmp-*"))


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        (errno.ENOSPC, "free some space, or name another folder"),
        (errno.EACCES, "check the folder's permissions"),
        (errno.EIO, "check the folder's permissions and its disk"),
        (errno.ENAMETOOLONG, "choose a shorter path"),
        (errno.ENOENT, "was moved or removed while it was written"),
    ],
    ids=errno.errorcode.get,
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_disk_that_refuses_leaves_the_old_report(report, monkeypatch, code, remedy, place):
    def refuses(descriptor, done=[]):  # noqa: B006
        done.append(descriptor)
        if len(done) > place:
            raise OSError(code, os.strerror(code))

    before = there(report)
    monkeypatch.setattr(os, "fsync", refuses)
    with pytest.raises(DiskError, match=remedy) as caught:
        write_files(report, NEW)
    assert str(report / list(NEW)[place]) in str(caught.value)
    assert f"nothing in {report} was changed" in str(caught.value)
    assert there(report) == before
    assert not list(report.glob(".tmp-*"))
    with pytest.raises(DiskError):
        write_files(report.parent / "fresh", NEW)
    assert not (report.parent / "fresh").exists()


def test_an_interrupt_leaves_the_old_report(report, monkeypatch):
    def interrupted(descriptor):
        raise KeyboardInterrupt

    before = there(report)
    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_files(report, NEW)
    assert there(report) == before


def test_a_name_that_is_too_long_is_said(tmp_path):
    with pytest.raises(DiskError, match="choose a shorter path"):
        write_files(tmp_path / ("x" * 300), NEW)


@pytest.mark.parametrize(
    ("what", "make"),
    [
        ("a file", lambda path: path.write_bytes(b"")),
        ("a FIFO", os.mkfifo),
        ("a link", lambda path: path.symlink_to("/nowhere")),
    ],
)
@pytest.mark.parametrize("name", ["", "figures"])
def test_what_is_in_the_way_is_said(tmp_path, what, make, name):
    place = tmp_path / "out" / name if name else tmp_path / "out"
    place.parent.mkdir(exist_ok=True)
    make(place)
    with pytest.raises(InputError, match=f"{place}, {what}, is in the way; remove it, or name another folder"):
        write_files(tmp_path / "out", NEW)


def test_a_folder_in_the_place_of_the_page_is_said(report):
    (report / "tables" / "a" / "one.csv").mkdir(parents=True)
    with pytest.raises(InputError, match=r"one\.csv, a folder, is in the way"):
        write_files(report, NEW)
    assert (report / "index.html").read_bytes() == b"old"


def test_no_link_in_somebody_elses_folder_leads_out_of_it(tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "report").symlink_to(tmp_path / "home")
    with pytest.raises(InputError, match="report, a link, is in the way"):
        write_files(tmp_path / "saved" / "report", NEW, follow=False)
    assert there(tmp_path / "home") == {}
    write_files(tmp_path / "saved" / "report", NEW)  # the user named it
    assert there(tmp_path / "home") == NEW
    (tmp_path / "home" / "index.html").unlink()
    (tmp_path / "precious").write_bytes(b"precious")
    (tmp_path / "home" / "index.html").symlink_to(tmp_path / "precious")
    write_files(tmp_path / "home", NEW)  # replaces the link, not what it points to
    assert (tmp_path / "precious").read_bytes() == b"precious"


@pytest.mark.parametrize("place", ["", "cohort-000", "cohort-000/round-001", "cohort-000/new/folder"])
def test_a_run_only_contains_what_was_trained(tmp_path, place):
    (tmp_path / "run" / "cohort-000" / "round-001").mkdir(parents=True)
    (tmp_path / "run" / "run.json").write_text("{}")
    (tmp_path / "run" / "cohort-000" / "round-001" / "manifest.json").write_text("{}")
    with pytest.raises(InputError, match=r"lies in a saved run .*; name another folder"):
        write_files(tmp_path / "run" / place, NEW)
    write_files(tmp_path / "run" / "report", NEW)
    assert there(tmp_path / "run" / "report") == NEW
