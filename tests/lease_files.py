"""Lease files of other processes, and a clock that a test moves."""

from __future__ import annotations

import json

from tickets.store import Watch
from tickets.store.holder import SIZE, encode


class Clock:
    """A clock that stands still until the test moves it."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def write_lease(folder, generation=1, beat=0, **changes):
    """The lease file of another process, which is on another machine unless the changes say otherwise."""
    folder.mkdir(exist_ok=True)
    content = json.loads(encode("f" * 32, 100.0, beat)) | {"host": "node-7", "process": 4321} | changes
    path = folder / f".lease-{generation:06d}"
    path.write_bytes(json.dumps(content).encode().ljust(SIZE))
    return path


def expire(folder, seconds=100.0):
    """The mark of a lease that was watched until it had expired."""
    clock = Clock()
    watch = Watch(clock)
    for _ in range(12):
        state, holder = watch.look(folder)
        clock.now += seconds / 10
    assert state == "expired"
    return holder.mark
