"""Python processes that start in hundredths of a second: forks of one that has imported PyTorch and this package.

A fresh process needs three seconds of the processor to import them, and the tests start some 150. The fixture
`preloaded` of conftest.py puts `Preloaded.fork_exec` in the place of the function by which `subprocess` and
`multiprocessing` start processes. What a test starts then is a child of this process like any other: waited for,
signalled and killed by its own number. `preloaded_server.py` says what it has of a fresh process.

Some are started as ever, by themselves: those that are no `python -c PROGRAM` or `python SCRIPT`, and those with
options or an environment that Python or a library reads as it starts. A test of the start itself must not ask for the
fixture.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
from _posixsubprocess import fork_exec as _fork_exec
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

SERVER = Path(__file__).with_name("preloaded_server.py")
DEADLINE_S = 120.0  # for the server to import everything, and for an answer
# Beginnings of the names of variables that Python and libraries read as they are imported.
READ_AT_START = (
    "PYTHON", "LD_", "LC_", "LANG", "TZ", "MALLOC_", "GLIBC_", "OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_", "BLIS_",
    "NUMEXPR_", "NPY_", "NUMBA_", "TORCH", "PYTORCH_", "ATEN_", "CUDA_", "ARROW_", "MPL", "SKLEARN_", "SCIPY_",
)  # fmt: skip
# Those that libraries set in this process, once they are used: what they say does not matter to a program that starts.
SET_BY_LIBRARIES = ("TORCHINDUCTOR_CACHE_DIR", "KMP_INIT_AT_FORK", "KMP_DUPLICATE_LIB_OK", "MPLBACKEND")
# A variable: the program that is started has a server of its own, by which its own processes start.
OWN_SERVER = "TESTS_PRELOAD_WORKERS"
_OWN_PROGRAMS = ("multiprocessing.resource_tracker", "multiprocessing.forkserver")  # of Python; they live on
# The parameters of _posixsubprocess.fork_exec; those that follow are of how it forks.
_PARAMETERS = (
    "args", "executables", "close_fds", "fds_to_keep", "cwd", "environment", "p2cread", "p2cwrite", "c2pread",
    "c2pwrite", "errread", "errwrite", "errpipe_read", "errpipe_write", "restore_signals", "start_new_session",
    "process_group", "gid", "gids", "uid", "umask", "preexec",
)  # fmt: skip
_SET_SUBREAPER, _GET_SUBREAPER = 36, 37  # of Linux's prctl


class Preloaded:
    """The server of this process.

    Parameters
    ----------
    connection
        The socket to it.
    """

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(DEADLINE_S)
        self._connection, self._owner, self._turn = connection, os.getpid(), threading.Lock()
        self._at_start = _read_at_start(os.environ)

    def fork_exec(self, *given: Any) -> int:
        """`_posixsubprocess.fork_exec`: start a process and return its number.

        Raises
        ------
        OSError
            If the system starts no more, or if the server has ended.
        """
        asked = dict(zip(_PARAMETERS, given, strict=False))
        request = self._request(asked)
        if request is None:
            return _fork_exec(*given)
        descriptors = _descriptors(asked)
        content = json.dumps(request | {"descriptors": list(descriptors)}).encode()
        with self._turn, _adopting():
            socket.send_fds(self._connection, [b"%-16d" % len(content)], list(descriptors.values()))
            self._connection.sendall(content)
            answer = self._answer()
        if "error" in answer:
            raise OSError(answer["error"], os.strerror(answer["error"]))
        return int(answer["pid"])

    def _answer(self) -> Any:
        content = b""
        while not content.endswith(b"\n"):
            more = self._connection.recv(64)
            if not more:
                raise OSError(errno.ESRCH, "the server of preloaded.py has ended")
            content += more
        return json.loads(content)

    def _request(self, asked: Mapping[str, Any]) -> dict[str, Any] | None:
        """What the server is asked for; None for a process that it cannot replace."""
        command = [os.fsdecode(one) for one in asked["args"]]
        parsed = _parsed(command[1:])
        environment = _environment(asked["environment"])
        own_server = environment.pop(OWN_SERVER, None) is not None
        folder = os.fsdecode(asked["cwd"] or os.getcwd())
        as_usual = (
            parsed is None
            or os.getpid() != self._owner
            or not asked["close_fds"]
            or any(asked[one] is not None for one in ("gid", "gids", "uid", "preexec"))
            or asked["umask"] >= 0
            or not os.path.isdir(folder)
            or _read_at_start(environment) != self._at_start
        )
        if as_usual or os.fsdecode(asked["executables"][0]) != sys.executable:
            return None
        options, arguments = parsed
        return {
            "command": command,
            "warnings": options,
            "arguments": arguments,
            "environment": environment,
            "folder": folder,
            "own_server": own_server,
            "session": bool(asked["start_new_session"]),
            "group": asked["process_group"],
            "umask": _umask(),
            "limits": {one: resource.getrlimit(one) for one in _LIMITS},
            "ignored": [one for one in signal.valid_signals() if signal.getsignal(one) == signal.SIG_IGN],
            "blocked": list(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        }


@contextmanager
def preloaded_server() -> Iterator[Preloaded | None]:
    """A block with a server; without one where processes cannot adopt others, which only Linux lets them."""
    if sys.platform != "linux":
        yield None
        return
    ours, theirs = socket.socketpair()
    with ours, theirs:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        server = subprocess.Popen(
            [sys.executable, str(SERVER), str(theirs.fileno())],
            env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=[theirs.fileno()],
        )  # fmt: skip
        theirs.close()
        try:
            yield Preloaded(ours)
        finally:
            ours.close()  # it ends by that
            try:
                server.wait(DEADLINE_S)
            finally:
                server.kill()


def start_preloaded(patch: pytest.MonkeyPatch, server: Preloaded | None) -> None:
    """Have `subprocess` and `multiprocessing` start processes by a server, if there is one."""
    if server is not None:
        patch.setattr("subprocess._fork_exec", server.fork_exec)
        patch.setattr("_posixsubprocess.fork_exec", server.fork_exec)


@contextmanager
def _adopting() -> Iterator[None]:
    """A block in which this process becomes the parent of those below it whose parent ends."""
    library, before = ctypes.CDLL(None, use_errno=True), ctypes.c_int()
    library.prctl(_GET_SUBREAPER, ctypes.byref(before), 0, 0, 0)
    library.prctl(_SET_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        library.prctl(_SET_SUBREAPER, before.value, 0, 0, 0)


def _parsed(arguments: Sequence[str]) -> tuple[list[str], list[str]] | None:
    """Python's options -W, and the rest: ["-c", PROGRAM, ...] or ["", SCRIPT, ...]. None if it is something else."""
    rest, options = list(arguments), []
    if sys.flags.dont_write_bytecode and rest[:1] == ["-B"]:  # by a variable, which the server has as well
        del rest[0]
    while len(rest) > 1 and rest[0] == "-W":
        options.append(rest[1])
        del rest[:2]
    if len(rest) > 1 and rest[0] == "-c":
        return None if any(one in rest[1] for one in _OWN_PROGRAMS) else (options, rest)
    if rest and rest[0].endswith(".py") and os.path.isabs(rest[0]) and os.path.isfile(rest[0]):
        return options, ["", *rest]
    return None


def _descriptors(asked: Mapping[str, Any]) -> dict[int, int]:
    """By the number that each is to have: the descriptors of a process; as this process has them now, if not given."""
    standard = zip(range(3), (asked["p2cread"], asked["c2pwrite"], asked["errwrite"]), strict=True)
    found = {wanted: wanted if given < 0 else given for wanted, given in standard}
    found |= {one: one for one in asked["fds_to_keep"] if one != asked["errpipe_write"]}
    return {wanted: one for wanted, one in found.items() if _is_open(one)}


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def _environment(given: Sequence[bytes] | None) -> dict[str, str]:
    if given is None:
        return dict(os.environ)
    pairs = (one.partition(b"=") for one in given)
    return {os.fsdecode(name): os.fsdecode(value) for name, _, value in pairs}


def _read_at_start(environment: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in environment.items()
        if name.startswith(READ_AT_START) and name not in ("PYTHONPATH", *SET_BY_LIBRARIES)
    }


def _umask() -> int:
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("Umask:")), 8)


_LIMITS = sorted({getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")})
