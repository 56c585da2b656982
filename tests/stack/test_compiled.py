"""The cache of compiled kernels: complete files, named by all they depend on; after any error, compile again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tickets.errors import InputError
from tickets.stack.kernels import cache, compiled

HEAD = 17 + 32  # bytes before the content: the form and the SHA-256


def double(x):
    return x + x


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(cache.config, "CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "tickets"


def call() -> Any:
    """The kernel as another process would have it, called once; its statistics."""
    kernel: Any = compiled.compiled(double)
    assert kernel(np.float32(1.5)) == 3
    return kernel.stats


def hits() -> int:
    return sum(call().cache_hits.values())


def the_file(folder: Path) -> Path:
    (file,) = folder.iterdir()
    return file


def test_what_is_compiled_is_kept_and_found_again(folder: Path) -> None:
    assert call().cache_path == str(folder)
    file = the_file(folder)
    assert file.name.startswith("test_compiled.double-")
    content = file.read_bytes()
    assert hits() == 1
    assert file.read_bytes() == content


def empty(file: Path) -> None:
    file.write_bytes(b"")


def cut(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def cut_to_its_head(file: Path) -> None:
    os.truncate(file, HEAD - 1)


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-100] ^= 1
    file.write_bytes(content)


def of_another_form(file: Path) -> None:
    file.write_bytes(b"x" + file.read_bytes()[1:])


def not_what_was_written(file: Path) -> None:
    file.unlink()
    cache.write_whole(file, b"whole, and no kernel")


DAMAGES = [empty, cut, cut_to_its_head, flip, of_another_form, not_what_was_written]


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_cannot_be_read_is_compiled_and_kept_anew(folder: Path, damage: Any) -> None:
    call()
    damage(the_file(folder))
    assert hits() == 0
    assert hits() == 1


@pytest.mark.parametrize("mode", [0o664, 0o646])
def test_what_others_may_write_to_is_not_read_but_replaced(folder: Path, mode: int) -> None:
    call()
    the_file(folder).chmod(mode)
    assert hits() == 0
    assert hits() == 1


def test_what_is_kept_is_read_whatever_the_umask(folder: Path) -> None:
    before = os.umask(0)
    try:
        call()
    finally:
        os.umask(before)
    assert hits() == 1


def test_what_another_user_owns_is_not_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    call()
    owner = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: owner + 1)
    assert hits() == 0
    monkeypatch.setattr(os, "getuid", lambda: owner)
    assert hits() == 1
    monkeypatch.delattr(os, "getuid")  # where files have no such owner
    assert hits() == 1


def a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()
    (file / "in it").touch()


def a_fifo(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def a_link_to_nowhere(file: Path) -> None:
    file.unlink()
    file.symlink_to(file.with_name("nowhere") / "at all")


@pytest.mark.parametrize("obstacle", [a_folder, a_fifo, a_link_to_nowhere])
def test_something_else_in_the_place_of_a_file_is_no_failure(folder: Path, obstacle: Any) -> None:
    call()
    obstacle(the_file(folder))
    assert hits() == 0
    assert [file.name for file in folder.iterdir() if file.name.startswith(".tmp-")] == []


@pytest.mark.parametrize("function", ["fsync", "replace", "mkdir"])
def test_no_place_to_keep_it_is_no_failure(folder: Path, function: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*arguments: Any, **options: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, function, refused)
    assert hits() == 0
    monkeypatch.undo()
    assert not folder.exists() or list(folder.iterdir()) == []


def test_a_file_that_may_not_be_read_is_no_failure(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    call()

    def refused(*arguments: Any, **options: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refused)
    assert hits() == 0


def test_the_next_folder_is_taken_where_the_first_does_not_take_it(tmp_path, monkeypatch) -> None:
    (tmp_path / "a file").touch()
    monkeypatch.setattr(cache, "places", lambda: iter([tmp_path / "a file", tmp_path / "second"]))
    assert hits() == 0
    assert len(list((tmp_path / "second").iterdir())) == 1
    assert hits() == 1


def test_the_folders_are_those_of_numba(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(cache.config, "CACHE_DIR", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    beside = Path(cache.__file__).parent / "__pycache__"
    assert list(cache.places()) == [beside, tmp_path / "tickets" / "kernels"]

    def homeless() -> None:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", homeless)
    assert list(cache.places()) == [beside]


def test_the_name_is_of_the_sources_the_versions_and_the_processor(folder, tmp_path, monkeypatch) -> None:
    names = []
    for change in (None, "sources", "numba", "processor", "settings"):
        with monkeypatch.context() as changed:
            if change == "sources":
                (tmp_path / "source.py").write_text("a kernel, changed")
                changed.setattr(cache, "SOURCES", tmp_path)
            elif change == "numba":
                changed.setattr(cache, "_versions", lambda: ("another",))
            elif change == "settings":
                changed.setattr(cache.config, "SLP_VECTORIZE", "another")
            elif change == "processor":
                from numba.core.codegen import JITCPUCodegen

                changed.setattr(JITCPUCodegen, "magic_tuple", lambda self: ("another",))
            call()
            names.append({file.name for file in folder.iterdir()} - {name for each in names for name in each})
    assert [len(each) for each in names] == [1, 1, 1, 1, 1]


def test_any_source_that_changes_changes_the_digest(tmp_path) -> None:
    digests = []
    for name, content in (("a.py", "1"), ("a.py", "2"), ("b.py", "2"), ("a.txt", "3")):
        (tmp_path / name).write_text(content)
        digests.append(cache.sources_digest.__wrapped__(tmp_path))
    assert len(set(digests)) == 3
    assert digests[2] == digests[3]  # of no source


def test_processes_may_keep_it_at_once(tmp_path) -> None:
    script = f"""
import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})
import numpy as np
from test_compiled import call
call()
"""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    started = [subprocess.Popen([sys.executable, "-c", script], env=environment) for _ in range(3)]
    assert [process.wait(120) for process in started] == [0, 0, 0]
    assert len(list((tmp_path / "tickets").iterdir())) == 1


def test_without_a_compiler_there_are_no_kernels(monkeypatch) -> None:
    monkeypatch.setattr(cache.config, "DISABLE_JIT", 1)
    with pytest.raises(InputError, match="NUMBA_DISABLE_JIT is set"):
        compiled.compiled(double)
