"""A disk that forgets: what a power cut may leave of the calls that were made, by the letter of POSIX.

Only what was synced stays for sure: the content of a file by fsync of the file, a name in a folder by fsync of the
folder. Of everything else any part may be there.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Tree = dict[str, Any]  # {name: bytes of a file, or tree of a folder}
ALL_SUBSETS_OF = 4  # pending changes; of more, a selection


@dataclass
class _File:
    synced: bytes = b""
    pending: list[tuple[int, bytes]] = field(default_factory=list)  # offset, data

    def current(self) -> bytes:
        return _written(self.synced, self.pending)


@dataclass
class _Folder:
    synced: dict[str, Any] = field(default_factory=dict)
    pending: list[tuple[str, str, Any]] = field(default_factory=list)  # removed name or "", added name or "", what

    def current(self) -> dict[str, Any]:
        return _changed(self.synced, self.pending)


class SimulatedDisk:
    """A hook of `stepped` that makes every call and keeps what is durable and what is pending.

    Parameters
    ----------
    root
        The folder that is simulated; it is empty and durable.
    cut
        Called after each step with its name.
    forgets
        Calls that are made and not taken into account, as (name of the function, name of the file or ""): a store
        that leaves them out.
    """

    def __init__(
        self, root: Path, cut: Callable[[str], None], forgets: Callable[[str, str], bool] | None = None
    ) -> None:
        self.root, self.cut = root, cut
        self.forgets = forgets or (lambda name, path: False)
        self._top = _Folder()
        self._opened: dict[int, tuple[Any, str, int]] = {}  # descriptor: file or folder, path, position

    def __call__(self, name: str, arguments: tuple[Any, ...], call: Callable[[], Any]) -> Any:
        result = call()
        getattr(self, f"_{name}")(result, *arguments)
        self.cut(name)
        return result

    def trees(self) -> Iterator[Tree]:
        """Everything that a power cut may leave now, without temporary names; each once."""
        seen = set()
        for tree in _folder_trees(self._top):
            if (key := _frozen(tree)) not in seen:
                seen.add(key)
                yield tree

    def _node(self, path: Any) -> tuple[_Folder, str, Any]:
        """(the folder around it, its name, the file or folder or None)."""
        *above, name = Path(path).relative_to(self.root).parts
        folder = self._top
        for part in above:
            folder = folder.current()[part]
        return folder, name, folder.current().get(name)

    def _open(self, descriptor: int, path: Any, flags: int, mode: int = 0) -> None:
        if Path(path) == self.root:
            self._opened[descriptor] = self._top, "", 0
            return
        folder, name, found = self._node(path)
        if found is None:
            found = _File()
            folder.pending.append(("", name, found))
        size = len(found.current()) if flags & os.O_APPEND else 0
        self._opened[descriptor] = found, str(path), size

    def _close(self, result: None, descriptor: int) -> None:
        del self._opened[descriptor]

    def _write(self, count: int, descriptor: int, data: Any) -> None:
        file, path, position = self._opened[descriptor]
        file.pending.append((position, bytes(data[:count])))
        self._opened[descriptor] = file, path, position + count

    def _pwrite(self, count: int, descriptor: int, data: Any, offset: int) -> None:
        self._opened[descriptor][0].pending.append((offset, bytes(data[:count])))

    def _ftruncate(self, result: None, descriptor: int, size: int) -> None:
        file = self._opened[descriptor][0]  # only the lock is truncated, whose content decides nothing
        file.synced, file.pending = file.current()[:size], []

    def _fsync(self, result: None, descriptor: int) -> None:
        node, path, _ = self._opened[descriptor]
        if not self.forgets("fsync", path):
            node.synced, node.pending = node.current(), []

    def _mkdir(self, result: None, path: Any, mode: int = 0) -> None:
        folder, name, _ = self._node(path)
        folder.pending.append(("", name, _Folder()))

    def _rename(self, result: None, source: Any, target: Any) -> None:
        folder, old, node = self._moved(source, target)
        folder.pending.append((old, Path(target).name, node))

    _replace = _rename

    def _link(self, result: None, source: Any, target: Any) -> None:
        folder, _, node = self._node(source)
        folder.pending.append(("", Path(target).name, node))

    def _moved(self, source: Any, target: Any) -> tuple[_Folder, str, Any]:
        assert Path(source).parent == Path(target).parent
        # The call has been made, but the model still has the old name.
        return self._node(source)

    def _unlink(self, result: None, path: Any) -> None:
        folder, name, _ = self._node(path)
        folder.pending.append((name, "", None))


def make(tree: Tree, folder: Path) -> Path:
    """Write what a power cut left to a folder of this machine."""
    folder.mkdir(parents=True)
    for name, what in tree.items():
        if isinstance(what, bytes):
            (folder / name).write_bytes(what)
        else:
            make(what, folder / name)
    return folder


def files_of(tree: Tree) -> dict[str, bytes]:
    """The files of a tree by path, but the logs and the lock."""
    found = {}
    for name, what in tree.items():
        if isinstance(what, dict):
            found.update({f"{name}/{path}": data for path, data in files_of(what).items()})
        elif name != "log.jsonl":
            found[name] = what
    return found


def _written(data: bytes, writes: Sequence[tuple[int, bytes]]) -> bytes:
    for offset, part in writes:
        data = data[:offset].ljust(offset, b"\0") + part + data[offset + len(part) :]
    return data


def _changed(entries: dict[str, Any], changes: Sequence[tuple[str, str, Any]]) -> dict[str, Any]:
    entries = dict(entries)
    for old, new, node in changes:
        if old:
            entries.pop(old, None)
        if new:
            entries[new] = node
    return entries


def _subsets(pending: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
    """Subsets of what is pending, in order: all, or of many the prefixes, single ones and those without one."""
    count = len(pending)
    if count <= ALL_SUBSETS_OF:
        for size in range(count + 1):
            yield from itertools.combinations(pending, size)
        return
    for index in range(count):
        yield tuple(pending[:index])
        yield (pending[index],)
        yield (*pending[:index], *pending[index + 1 :])
    yield tuple(pending)


def _folder_trees(folder: _Folder) -> Iterator[Tree]:
    for changes in _subsets(folder.pending):
        entries = {name: node for name, node in _changed(folder.synced, changes).items() if not name.startswith(".")}
        options = [
            list(_folder_trees(node) if isinstance(node, _Folder) else _bytes(node)) for node in entries.values()
        ]
        for chosen in itertools.product(*options):
            yield dict(zip(entries, chosen, strict=True))


def _bytes(file: _File) -> Iterator[bytes]:
    """What may be in a file: any of the pending writes, the last of them torn, or zeros of its length."""
    found = {_written(file.synced, writes) for writes in _subsets(file.pending)}
    if file.pending:
        offset, data = file.pending[-1]
        for torn in (data[: len(data) // 2], bytes(len(data))):
            found.add(_written(file.synced, [*file.pending[:-1], (offset, torn)]))
    yield from sorted(found)


def _frozen(tree: Tree) -> Any:
    return tuple(sorted((name, what if isinstance(what, bytes) else _frozen(what)) for name, what in tree.items()))
