"""What is kept of compiled kernels, and when it is forgotten."""

from __future__ import annotations

import os
from unittest.mock import Mock

from tickets.stack.kernels import compiled


def test_where_nothing_can_be_kept_it_compiles_in_each_process(monkeypatch) -> None:
    asked = []

    def njit(**options):
        asked.append(options.pop("cache", False))
        if asked[-1]:
            raise RuntimeError("cannot cache function: no locator available")
        return lambda function: function

    monkeypatch.setattr(compiled, "njit", njit)
    assert compiled.compiled(len) is len
    assert asked == [True, False]


def test_what_was_kept_is_forgotten_when_any_of_the_kernels_changed(tmp_path) -> None:
    changed = {"source.py": 50, "before.nbi": 40, "after.nbi": 60, "before.1.nbc": 40}
    for name, at in changed.items():
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (at, at))
    for kept in (None, str(tmp_path)):
        assert len(list(tmp_path.iterdir())) == len(changed)
        kernel = Mock(stats=Mock(cache_path=kept))
        compiled.forget_what_is_stale(kernel, tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == set(changed) - {"before.nbi"}


def test_two_processes_may_forget_at_once(tmp_path) -> None:
    (tmp_path / "source.py").touch()
    (tmp_path / "gone.nbi").symlink_to(tmp_path / "nowhere")  # in the list, and no longer there when it is looked at
    compiled.forget_what_is_stale(Mock(stats=Mock(cache_path=str(tmp_path))), tmp_path)
