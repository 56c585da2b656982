"""Whether an error, or the end of a process, means that memory ran out.

Errors are told by their type, or where PyTorch raises a plain RuntimeError, by their text. The kernel's killer leaves
no error; the kernel counts its victims.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

import torch

from tickets.users_code import with_causes

_TEXTS = (
    "out of memory",  # "CUDA out of memory", "CUDA error: out of memory"
    "DefaultCPUAllocator: can't allocate memory",
    "DefaultCPUAllocator: not enough memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "std::bad_alloc",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error was raised because memory ran out, that of the CPU or of another device.

    Parameters
    ----------
    error
        The error. Those that caused it count, too: a step that runs out of memory while a CUDA graph is recorded
        raises another error as the recording ends.

    Returns
    -------
    bool
    """
    return any(_of_memory(one) for one in with_causes(error))


def _of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, RuntimeError) and any(text in str(error) for text in _TEXTS)


def oom_kills(proc: Path = Path("/proc")) -> int | None:
    """How many processes the kernel has killed because memory ran out.

    Parameters
    ----------
    proc
        Where the proc file system is mounted.

    Returns
    -------
    int or None
        Of the control group of this process where it has a count of its own, otherwise of the whole machine; None if
        there is neither.
    """
    return next((count for file in _counters(proc) if (count := _count(file)) is not None), None)


def _counters(proc: Path) -> Iterator[Path]:
    """The files that may have the count, the most exact one first."""
    for controllers, group in _groups(proc):
        for kind, root, folder, options in _mounts(proc):
            # In a container, the path of a group begins above what is mounted, with the root of the mount.
            inside = group.removeprefix("" if root == "/" else root).lstrip("/")
            if kind == "cgroup" and "memory" in controllers and "memory" in options:
                yield Path(folder) / inside / "memory.oom_control"
            elif kind == "cgroup2" and not controllers:
                yield Path(folder) / inside / "memory.events"
    yield proc / "vmstat"


def _groups(proc: Path) -> Iterator[tuple[list[str], str]]:
    """The control groups of this process: (the controllers, none for version 2; the path)."""
    for line in _lines(proc / "self" / "cgroup"):
        _, controllers, path = line.split(":", 2)
        yield [name for name in controllers.split(",") if name], path


def _mounts(proc: Path) -> Iterator[tuple[str, str, str, list[str]]]:
    """The mounted file systems: (kind, the part of it that is mounted, folder, options)."""
    for line in _lines(proc / "self" / "mountinfo"):
        place, _, what = line.partition(" - ")
        if what.startswith("cgroup"):
            _, _, _, root, folder, *_ = place.split(" ")
            kind, _, options = what.split(" ", 2)
            yield kind, root, folder, options.split(",")


def _count(file: Path) -> int | None:
    """The line "oom_kill N" of a file."""
    counts = [int(line.split()[1]) for line in _lines(file) if line.startswith("oom_kill ")]
    return counts[0] if counts else None


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(errors="replace").splitlines()
    except OSError:
        return []
