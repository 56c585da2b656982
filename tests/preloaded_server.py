"""The process of `preloaded.py` that has imported everything: each request gets a fork of it that stands for `python`.

    python preloaded_server.py DESCRIPTOR    serves what comes through the socket of that number, until it is closed

A fork is made equal to what `python` would be after the same imports. What differs: it has its server's seed of hashes
and its server's command line in /proc, and modules are not torn down at its end.
"""

from __future__ import annotations

import atexit
import errno
import fcntl
import gc
import importlib
import io
import json
import os
import resource
import signal
import socket
import sys
import tempfile
import threading
import types
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

# What commands and the tests' programs import, but for what reads matplotlib's variables. None of it may start threads
# that a fork would miss, or read a variable of the environment that `preloaded.READ_AT_START` does not name.
MODULES = (
    "tickets.campaign", "tickets.probing", "tickets.store", "tickets.last_lines", "tickets.worker_process",
    "tickets.command_line.app", "tickets.command_line.verdict", "tickets.command_line.progress", "tickets.data.digits",
    "tickets.models.mlp", "tickets.stack.kernels", "tickets.stack.strategies.sparse", "tickets.analysis.winning",
    "pyarrow.pandas_compat", "pyarrow.parquet", "sklearn.datasets", "rich.table", "multiprocessing.spawn",
    "concurrent.futures.process",
)  # fmt: skip
IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)
_ENVIRONMENT = dict(os.environ)
_HIGH = 512  # descriptors from here are out of the way of those that a request names
_FIRST_FILTER = warnings.filters[0]  # options -W stand before it, and behind what is imported later adds


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
            _take_state(request, descriptors)
            return _program(request, path)
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
    try:
        between = _fork()
        if between == 0:
            _tell(tell)
            os.close(adopt)
            os.read(adopted, 1)  # until `adopt` is closed, after the end of the one in between
            return 0
        os.waitpid(between, 0)
        os.set_blocking(told, False)
        return int(os.read(told, 20))
    finally:
        if os.getpid() == _SERVER:
            for descriptor in (told, tell, adopted, adopt):
                os.close(descriptor)


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


def _take_state(request: dict[str, Any], descriptors: Sequence[int]) -> None:
    """Give this process the descriptors, environment, folder, signals and limits of the request."""
    _take_descriptors(dict(zip(request["descriptors"], descriptors, strict=True)))
    if request["session"]:
        os.setsid()
    if request["group"] >= 0:
        os.setpgid(0, request["group"])
    environment = request["environment"]
    set_by_imports = {name: value for name, value in os.environ.items() if _ENVIRONMENT.get(name) != value}
    os.environ.clear()
    os.environ.update(environment)
    os.environ.update({name: set_by_imports[name] for name in set_by_imports.keys() - environment.keys()})
    os.chdir(request["folder"])
    os.umask(request["umask"])
    for number, limits in request["limits"].items():
        resource.setrlimit(int(number), tuple(limits))
    for one in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        ignored = one in request["ignored"] or one in IGNORED_BY_PYTHON
        signal.signal(one, signal.SIG_IGN if ignored else signal.SIG_DFL)
    if signal.SIGINT not in request["ignored"]:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, request["blocked"])


def _take_descriptors(descriptors: dict[int, int]) -> None:
    """Have the descriptors under the numbers that are wanted, and no others; make Python's files on the first three."""
    high = {wanted: fcntl.fcntl(one, fcntl.F_DUPFD, _HIGH) for wanted, one in descriptors.items()}
    os.closerange(0, _HIGH)
    for wanted, one in high.items():
        os.dup2(one, wanted)
        os.close(one)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        file = _standard_file(number, name) if number in descriptors else None
        setattr(sys, name, file)
        setattr(sys, f"__{name}__", file)


def _standard_file(number: int, name: str) -> io.TextIOWrapper:
    """Python's file of a standard descriptor, as `python` opens it: that of errors, and a terminal's, by lines."""
    was = getattr(sys, f"__{name}__")
    raw = io.FileIO(number, "r" if number == 0 else "w", closefd=False)
    raw.name = f"<{name}>"
    at_once = was.write_through
    buffer: Any = io.BufferedReader(raw) if number == 0 else raw if at_once else io.BufferedWriter(raw)
    by_lines = not at_once and (number == 2 or raw.isatty())
    file = io.TextIOWrapper(buffer, was.encoding, was.errors, "\n" if number else None, by_lines, at_once)
    file.mode = raw.mode[0]
    return file


def _program(request: dict[str, Any], path: Sequence[str]) -> Callable[[], None]:
    """What this process is to run as the module `__main__`, once it has what Python gives to a program."""
    _start_afresh()
    sys.warnoptions[:] = request["warnings"]
    for option in reversed(request["warnings"]):
        _filter_warnings(option)
    kind, given, *arguments = request["arguments"]
    main = types.ModuleType("__main__")
    main.__dict__["__builtins__"] = __builtins__
    sys.modules["__main__"] = main
    if kind == "-c":
        source, name, first = given, "<string>", ""
        sys.argv = ["-c", *arguments]
    else:
        with open(given, "rb") as file:
            source, name, first = file.read(), given, os.path.dirname(os.path.realpath(given))
        main.__file__ = given
        sys.argv = [given, *arguments]
    sys.orig_argv = request["command"]
    folders = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:] = [first, *dict.fromkeys(os.path.abspath(one) for one in folders if one), *path]
    importlib.invalidate_caches()
    return lambda: exec(compile(source, name, "exec"), main.__dict__)


def _start_afresh() -> None:
    """What a process has of its own that was set as modules were imported."""
    import numpy as np
    import torch

    import tickets.executor_process

    np.random.seed()  # by the system, as at the import; Python seeds its own generator in every fork
    torch.default_generator.seed()
    tempfile.tempdir = None
    tickets.executor_process._IMPORTED_BY = os.getpid()


def _filter_warnings(option: str) -> None:
    """Add the filter of an option -W where Python itself would have put it."""
    warnings._processoptions([option])
    new, *others = warnings.filters
    others.insert(others.index(_FIRST_FILTER), new)
    warnings.filters[:] = others
    warnings._filters_mutated()


def run(program: Callable[[], None]) -> NoReturn:
    """Run a program, and end this process as `python` ends."""
    status = 0
    try:
        program()
    except SystemExit as ended:
        status = _status(ended.code)
    except BaseException as error:
        inside = error.__traceback__.tb_next.tb_next if error.__traceback__ and error.__traceback__.tb_next else None
        sys.excepthook(type(error), error.with_traceback(inside), inside)
        status = -signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.modules["__main__"].__dict__.clear()
    gc.collect()  # ends what the program left
    for file in (sys.stdout, sys.stderr):
        try:
            if file is not None and not file.closed:
                file.flush()
        except OSError:
            status = status or 120
    if status == -signal.SIGINT:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    os._exit(status)


def _status(code: object) -> int:
    if code is None or isinstance(code, int):
        return (code or 0) & 0xFF
    print(code, file=sys.stderr)
    return 1


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
        program = serve(connection, path)
    if program is not None:
        run(program)


_SERVER = os.getpid()

if __name__ == "__main__":
    main()
