"""The process of `preloaded.py` that has imported everything: each request gets a fork of it in place of `python`.

    python preloaded_server.py DESCRIPTOR    serves what comes through the socket of that number, until it is closed

A fork is made equal to what `python` would be after the same imports (preloaded_fork.py). What differs: it has its
server's seed of hashes and its server's command line in /proc, and modules are not torn down at its end.
"""

from __future__ import annotations

import _posixsubprocess
import errno
import fcntl
import gc
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import warnings
from collections.abc import Callable, Sequence

import preloaded
from preloaded_fork import HIGH, program, run, take_group, take_state

# What commands and the tests' programs import, but for what reads matplotlib's variables. None of it may start threads
# that a fork would miss, or read a variable of the environment that `preloaded.READ_AT_START` does not name.
MODULES = (
    "tickets.campaign", "tickets.probing", "tickets.store", "tickets.last_lines", "tickets.worker_process",
    "tickets.command_line.app", "tickets.command_line.verdict", "tickets.command_line.progress", "tickets.data.digits",
    "tickets.models.mlp", "tickets.stack.kernels", "tickets.stack.strategies.sparse", "tickets.analysis.winning",
    "pyarrow.pandas_compat", "pyarrow.parquet", "sklearn.datasets", "rich.table", "multiprocessing.spawn",
    "concurrent.futures.process",
)  # fmt: skip


def serve(connection: socket.socket, path: Sequence[str]) -> Callable[[], None] | None:
    """Answer requests until the socket is closed. In each fork it returns, too: what the fork is to run.

    Parameters
    ----------
    connection
        Brings requests, and takes a line of JSON for each: {"pid": 4321} or {"error": errno}.
    path
        The folders that Python searches for modules, without that of the program and without PYTHONPATH.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # Ctrl-C is for those that it starts
    while True:
        head, descriptors, _, _ = socket.recv_fds(connection, 16, 64)
        if not head:
            return None
        request = json.loads(_read(connection, int(head)))
        try:
            number = _start()
        except OSError as error:
            number = -(error.errno or errno.EAGAIN)
        if number == 0:
            connection.detach()  # its descriptor may become another file's
            take_group(request)
            server = None
            if request["own_server"]:
                server, connection = map(_out_of_the_way, socket.socketpair())
                if _fork() == 0:
                    server.close()
                    _leave_descriptors()
                    continue
                connection.close()
            take_state(request, descriptors)
            if server is not None:
                _start_by(server)
            return program(request, path)
        for descriptor in descriptors:
            os.close(descriptor)
        answer = {"pid": number} if number > 0 else {"error": -number}
        connection.sendall(json.dumps(answer).encode() + b"\n")


def _read(connection: socket.socket, size: int) -> bytes:
    content = b""
    while len(content) < size:
        content += connection.recv(size - len(content)) or sys.exit("half of a request")
    return content


def _start() -> int:
    """Fork a fork: its process id, and 0 in it. The one in between ends, so that the process that asks adopts it."""
    told, tell = os.pipe()
    adopted, adopt = os.pipe()
    between = -1
    try:
        between = _fork()
        if between:
            os.waitpid(between, 0)
            os.set_blocking(told, False)
            return int(os.read(told, 20))  # an OSError if there is none, since no more could be forked
    finally:
        if between:
            for descriptor in (told, tell, adopted, adopt):
                os.close(descriptor)
    _tell(tell)
    os.close(adopt)
    os.read(adopted, 1)  # until the server has closed `adopt`, after the end of the one in between
    return 0


def _tell(tell: int) -> None:
    """In the one in between: fork, say the number of the child and end. It returns in the child."""
    try:
        child = _fork()
    except OSError:
        os._exit(1)
    if child:
        os.write(tell, str(child).encode())
        os._exit(0)


def _fork() -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads, by Python 3.12: those of jemalloc may end
        return os.fork()


def _out_of_the_way(one: socket.socket) -> socket.socket:
    with one:
        return socket.socket(fileno=fcntl.fcntl(one, fcntl.F_DUPFD_CLOEXEC, HIGH))


def _leave_descriptors() -> None:
    os.closerange(0, HIGH)
    for number in range(3):
        os.dup2(os.open(os.devnull, os.O_RDWR), number)


def _start_by(server: socket.socket) -> None:
    """Have the program that runs here start its processes by a server of its own."""
    it = preloaded.Preloaded(server)
    subprocess._fork_exec = _posixsubprocess.fork_exec = it.fork_exec


def main() -> None:
    for name in MODULES:
        importlib.import_module(name)
    cpu_target = importlib.import_module("numba.core.registry").cpu_target
    cpu_target.typing_context.refresh()  # what Numba imports before it loads its first kernel
    cpu_target.target_context.refresh()
    gc.collect()
    gc.freeze()  # a fork that looked through it all for garbage would copy it all
    own = {os.path.dirname(os.path.realpath(__file__))}
    path = [folder for folder in sys.path if folder not in own]
    with socket.socket(fileno=int(sys.argv[1])) as connection:
        started = serve(connection, path)
    if started is not None:
        run(started)


if __name__ == "__main__":
    main()
