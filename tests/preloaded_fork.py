"""What a fork of `preloaded_server.py` takes on and runs, to be what `python` would be after the same imports."""

from __future__ import annotations

import atexit
import builtins
import fcntl
import gc
import importlib
import io
import os
import resource
import signal
import sys
import tempfile
import threading
import types
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

HIGH = 512  # descriptors from here are out of the way of those that a request names
_IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)
_ENVIRONMENT = dict(os.environ)
_FIRST_FILTER = warnings.filters[0]  # options -W stand before it, and behind what is imported later adds


def take_group(request: dict[str, Any]) -> None:
    """Give this process the session and the process group of the request."""
    if request["session"]:
        os.setsid()
    if request["group"] >= 0:
        os.setpgid(0, request["group"])


def take_state(request: dict[str, Any], descriptors: Sequence[int]) -> None:
    """Give this process the descriptors, environment, folder, signals and limits of the request."""
    _take_descriptors(dict(zip(request["descriptors"], descriptors, strict=True)))
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
        ignored = one in request["ignored"] or one in _IGNORED_BY_PYTHON
        signal.signal(one, signal.SIG_IGN if ignored else signal.SIG_DFL)
    if signal.SIGINT not in request["ignored"]:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, request["blocked"])


def _take_descriptors(descriptors: dict[int, int]) -> None:
    """Have the descriptors under the numbers that are wanted, and no others; make Python's files on the first three."""
    from_here = max([HIGH - 1, *descriptors]) + 1
    high = {wanted: fcntl.fcntl(one, fcntl.F_DUPFD, from_here) for wanted, one in descriptors.items()}
    os.closerange(0, HIGH)
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


def program(request: dict[str, Any], path: Sequence[str]) -> Callable[[], None]:
    """What this process is to run as the module `__main__`, once it has what Python gives to a program."""
    _start_afresh()
    sys.warnoptions[:] = request["warnings"]
    _filter_warnings(request["warnings"])
    kind, given, *arguments = request["arguments"]
    main = types.ModuleType("__main__")
    main.__dict__["__builtins__"] = builtins
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
    return lambda: exec(compile(source, name, "exec", dont_inherit=True), main.__dict__)


def _start_afresh() -> None:
    """What a process has of its own that was set as modules were imported."""
    import numpy as np
    import torch

    import tickets.executor_process

    np.random.seed()  # by the system, as at the import; Python seeds its own generator in every fork
    torch.default_generator.seed()
    tempfile.tempdir = None
    tickets.executor_process._IMPORTED_BY = os.getpid()


def _filter_warnings(options: Sequence[str]) -> None:
    """Add the filters of options -W where Python would have put them: before its own, behind those of imports."""
    of_imports = warnings.filters[: warnings.filters.index(_FIRST_FILTER)]
    del warnings.filters[: len(of_imports)]
    warnings._processoptions(options)
    warnings.filters[:0] = of_imports


def run(started: Callable[[], None]) -> NoReturn:
    """Run a program, and end this process as `python` ends."""
    status = 0
    try:
        started()
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
