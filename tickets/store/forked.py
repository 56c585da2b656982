"""Apply a function to many items in several processes, which are copies of this one and so need no start."""

from __future__ import annotations

import gc
import os
import pickle
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

FEWEST = 500  # items; fewer are not worth a process


def in_processes(function: Callable[[Item], Result], items: Sequence[Item], processes: int) -> list[Result]:
    """The results of a function for each item, in their order.

    This process takes one share of the items. Where a process cannot be started, or fails, its share is done here, so
    that errors are those of `function`.

    Parameters
    ----------
    function
        The function. It must not change what others see, and may not use threads, locks or a GPU.
    items
        Its arguments.
    processes
        The most processes, this one included. More than one is for processes without other threads, such as a
        command's: a lock that another thread holds is never released in a copy. Other systems than Linux use one.
    """
    count = min(processes, len(items) // FEWEST) if sys.platform == "linux" else 1
    if count < 2:
        return list(map(function, items))
    shares = [items[first::count] for first in range(count)]
    collected = gc.isenabled()
    gc.disable()  # going through all that is there, again and again, would also copy it into each process
    children = [_start(function, share) for share in shares[1:]]
    given: list[list[Result] | None] = []
    try:
        given.append(list(map(function, shares[0])))
    finally:
        given += [_end(child) for child in children]
        if collected:
            gc.enable()
    done = [list(map(function, share)) if found is None else found for share, found in zip(shares, given, strict=True)]
    return [done[place % count][place // count] for place in range(len(items))]


def _start(function: Callable[[Item], Result], items: Sequence[Item]) -> tuple[int, int] | None:
    """Start a copy of this process that writes its results to a pipe: (its id, the pipe); None if that fails."""
    try:
        from_child, to_parent = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of Python 3.12: BLAS has threads, idle ones
            child = os.fork()
    except OSError:
        return None
    if child:
        os.close(to_parent)
        return child, from_child
    code = 1
    try:
        os.close(from_child)
        results = pickle.dumps(list(map(function, items)))
        with os.fdopen(to_parent, "wb") as pipe:
            pipe.write(results)
        code = 0
    finally:
        os._exit(code)  # without what else this process would do at its end


def _end(started: tuple[int, int] | None) -> list[Result] | None:
    """Wait for a process; its results, or None if it failed."""
    if started is None:
        return None
    child, pipe = started
    with os.fdopen(pipe, "rb") as file:
        results = file.read()
    _, status = os.waitpid(child, 0)
    return None if status else pickle.loads(results)  # of a copy of this process, and from no file
