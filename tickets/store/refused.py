"""What the system refuses to write, as errors that name the file, the reason and the remedy."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from tickets.errors import DiskError

AGAIN = "and run the same command to go on"
_FREE = f"free some {AGAIN}"
_WRITABLE = f"make it writable {AGAIN}, or write to another folder (--out)"
_MOUNT = f"check the disk, its connection and its mount (dmesg says more), {AGAIN}"
_GONE = f"if it was moved or renamed, move it back {AGAIN}; if it was removed, the same command begins anew"

# Reasons that lie in the folder: "no space left in FOLDER to write NAME".
_OF_FOLDERS = {
    errno.ENOSPC: ("no space left", _FREE),
    errno.EDQUOT: ("the disk quota is used up", _FREE),
    errno.EACCES: ("permission denied", _WRITABLE),
    errno.EPERM: ("permission denied", _WRITABLE),
    errno.EROFS: ("the file system is read-only", _WRITABLE),
}
# Other reasons have the text of the system.
_REMEDIES = {
    errno.EIO: _MOUNT,
    errno.ENODEV: _MOUNT,
    errno.ENXIO: _MOUNT,
    errno.ESTALE: _MOUNT,
    errno.ENOTCONN: _MOUNT,
    errno.EHOSTDOWN: _MOUNT,
    errno.EHOSTUNREACH: _MOUNT,
    errno.ETIMEDOUT: _MOUNT,
    errno.EMFILE: f"raise the limit of open files (ulimit -n 4096) {AGAIN}",
    errno.ENFILE: f"the whole system has too many files open: end other programs {AGAIN}",
    errno.EFBIG: f"raise the limit of a file's size (ulimit -f unlimited) {AGAIN}, or write to a file system that "
    "takes larger files (--out)",
    errno.ENAMETOOLONG: "give a folder with a shorter path (--out)",
    errno.ENOTDIR: f"a file stands where a folder belongs: move it away {AGAIN}",
    errno.EISDIR: f"a folder stands where a file belongs: move it away {AGAIN}",
    errno.ELOOP: f"a link stands where a file or folder belongs: move it away {AGAIN}",
    errno.ENOENT: _GONE,
    errno.ENOMEM: f"free some memory {AGAIN}",
    errno.EBUSY: f"another program uses it: end that {AGAIN}",
}
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def explained(error: BaseException, path: Path, wanted: int = 0) -> DiskError | None:
    """The DiskError for a write that the system refused; None if the error is none of the system's.

    Parameters
    ----------
    error
        The error that was raised.
    path
        The file or folder that could not be written.
    wanted
        The number of bytes that it needs at least; 0 if unknown.
    """
    # An error without a number was raised by Python code. "Exists already" is a fault of the caller.
    if not isinstance(error, OSError) or error.errno is None or error.errno == errno.EEXIST:
        return None
    size = f"{wanted / 1e6:.1f} MB" if wanted >= 1e5 else f"{wanted:,} bytes"
    needs = f" ({size} or more)" if wanted else ""
    if error.errno in _OF_FOLDERS:
        reason, remedy = _OF_FOLDERS[error.errno]
        said = f"{reason} in {path.parent} to write {path.name}{needs}; {remedy}"
    else:
        remedy = _REMEDIES.get(error.errno, f"remove the cause {AGAIN}, or write to another folder (--out)")
        said = f"{path}: cannot be written ({os.strerror(error.errno)}); {remedy}"
    return DiskError(said, needed=wanted if error.errno in _FULL else 0)
