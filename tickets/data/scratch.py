"""A temporary folder for downloads, which does not stay when the command is killed.

SIGTERM and SIGHUP remove it. SIGKILL cannot be caught: what it leaves is removed by the next download. A folder that is
in use is locked, and the system releases the locks of a process that ends.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

_PREFIX = ".tmp-fetch-"
_ABANDONED = 86_400  # seconds, far more than a download may take
_TRIES = 20


@contextmanager
def scratch_folder(place: Path) -> Iterator[Path]:
    """A new temporary folder in `place`, removed at the end of the block, or when SIGTERM or SIGHUP ends the process.

    Parameters
    ----------
    place
        An existing folder.

    Raises
    ------
    OSError
        If the folder cannot be made.
    """
    with _ended_cleanly():
        folder, lock = _made(place)
        try:
            yield folder
        finally:
            os.close(lock)  # first: with no descriptor left, nothing could be removed
            shutil.rmtree(folder, ignore_errors=True)


def remove_left_over(place: Path) -> None:
    """Remove the temporary folders in `place` that no process uses any more.

    On a file system without locks these are the folders that nothing was written to for a day.

    Parameters
    ----------
    place
        An existing folder.
    """
    for folder in sorted(place.glob(f"{_PREFIX}*")):
        try:
            lock = _opened(folder)
        except OSError:  # not a folder, or not ours
            continue
        try:
            if _is_free(folder, lock):
                shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(lock)


def _made(place: Path) -> tuple[Path, int]:
    """A new folder, and the descriptor that keeps it locked."""
    for _ in range(_TRIES):
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
        # Until it is locked, another process may take it for one that was left over, and remove it.
        try:
            lock = _opened(folder)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.stat(folder).st_ino == os.fstat(lock).st_ino:
                return folder, lock
        except (BlockingIOError, FileNotFoundError):
            pass
        except OSError:  # a file system without locks
            return folder, lock
        os.close(lock)
    raise OSError(f"other processes removed {_TRIES} temporary folders in it")


def _opened(folder: Path) -> int:
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)


def _is_free(folder: Path, lock: int) -> bool:
    """Whether no process uses the folder. If so, it is locked now."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        written = [os.fstat(lock).st_mtime, *(path.lstat().st_mtime for path in folder.glob("*"))]
        return time.time() - max(written) > _ABANDONED
    return True


class _Ended(BaseException):
    """A signal that ends the process."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextmanager
def _ended_cleanly() -> Iterator[None]:
    """Raise an exception in the block when SIGTERM or SIGHUP would end the process, and let it end after the block.

    Signals that are ignored or handled already stay so, and outside the main thread nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught = [each for each in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(each) is signal.SIG_DFL]

    def end(number: int, _frame: FrameType | None) -> None:
        for each in caught:  # a second signal does not interrupt the cleaning
            signal.signal(each, lambda *_: None)
        raise _Ended(number)

    ended = None
    try:
        for each in caught:
            signal.signal(each, end)
        yield
    except _Ended as error:
        ended = error.number
    finally:
        for each in caught:
            signal.signal(each, signal.SIG_DFL)
    if ended is not None:
        os.kill(os.getpid(), ended)
