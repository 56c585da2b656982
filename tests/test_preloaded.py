"""Forks of a preloaded process are what processes started by themselves are, in what tests look at."""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import preloaded as preloading_module
import psutil
import pytest
from preloaded import preloaded_server
from preloaded_server import MODULES

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets processes adopt others")
SPAWN = multiprocessing.get_context("spawn")

# What a process can say of itself, in JSON. scikit-learn sets variables KMP_..., which are there without it in a fork.
TELL = """
import json, logging, os, resource, signal, subprocess, sys, warnings
files = [sys.stdin, sys.stdout, sys.stderr]
print(json.dumps({
    "argv": sys.argv, "orig_argv": sys.orig_argv, "warnoptions": sys.warnoptions, "flags": list(sys.flags)[:6],
    "name": __name__, "main": vars(sys.modules["__main__"]) is globals(), "file": globals().get("__file__"),
    "environment": {name: value for name, value in os.environ.items() if IMPORTS or "KMP_" not in name},
    "path": sys.path, "folder": os.getcwd(), "umask": oct(os.umask(0)),
    "shell": subprocess.getoutput("(echo $ONLY_HERE; pwd; umask) | od -An -c"),
    "session": os.getsid(0) == os.getpid(), "group": os.getpgid(0) == os.getpid(), "parent": os.getppid(),
    "handlers": {int(one): str(signal.getsignal(one)) for one in signal.valid_signals()},
    "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
    "limits": [resource.getrlimit(one) for one in (resource.RLIMIT_CORE, resource.RLIMIT_NOFILE)],
    "descriptors": sorted(os.listdir("/proc/self/fd")),
    "files": [one and [one.name, one.mode, one.encoding, one.errors, one.line_buffering, one.write_through]
              for one in files],
    "logging": [logging.root.level, len(logging.root.handlers)],
    "tests": sorted(one for one in sys.modules if one.startswith(("pytest", "_pytest", "hypothesis"))),
    "filters": [[one[0], one[2].__name__, one[4]] for one in warnings.filters if IMPORTS],
    "threads": [sys.modules["torch"].get_num_threads() if IMPORTS else None],
}))
"""


def told(command, **options):
    """What a process says of itself."""
    done = subprocess.run(command, capture_output=True, text=True, **options)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "it's ø"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("kind", ["a program", "a script"])
def test_a_fork_says_of_itself_what_a_fresh_process_does(kind, folder, request):
    script = folder / "script.py"
    script.write_text("IMPORTS = []\n" + TELL)
    imports = f"IMPORTS = {MODULES}\nfor name in IMPORTS:\n    __import__(name)\n"
    given = [script] if kind == "a script" else ["-W", "ignore::ResourceWarning", "-W", "error", "-c", imports + TELL]
    paths = f"{folder}{os.pathsep}relative{os.pathsep}{folder}"
    environment = {**os.environ, "PYTHONPATH": paths, "ONLY_HERE": "ø \udcff"}
    environment.pop("PYTEST_CURRENT_TEST")
    options = {"env": environment, "cwd": folder, "start_new_session": kind == "a script", "stdin": subprocess.DEVNULL}
    command = [sys.executable, *map(str, given), "one", "-c", "ø\udcff"]
    before = os.umask(0o027), resource.getrlimit(resource.RLIMIT_CORE)
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGUSR1})
    ignored = signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, before[1][1]))
    try:
        fresh = told(command, **options)
        request.getfixturevalue("preloaded")
        forked = told(command, **options)
    finally:
        os.umask(before[0])
        resource.setrlimit(resource.RLIMIT_CORE, before[1])
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        signal.signal(signal.SIGUSR2, ignored)
    for name, value in fresh.items():
        assert forked[name] == value, name
    assert fresh["umask"] == "0o27"
    assert fresh["blocked"] == [signal.SIGINT, signal.SIGUSR1]
    assert fresh["handlers"][str(int(signal.SIGUSR2))] == str(signal.SIG_IGN)
    assert fresh["descriptors"] == ["0", "1", "2", "3"]  # 3: of the folder
    assert fresh["parent"] == os.getpid()


def test_generators_that_the_system_seeds_differ_between_forks(preloaded):
    code = (
        "import random, uuid, numpy, torch\n"
        "print(random.random(), uuid.uuid4(), numpy.random.rand(), torch.rand(1).item(), hash('a'))"
    )
    drawn = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout for _ in range(2)]
    first, second = map(str.split, drawn)
    assert [one == other for one, other in zip(first, second, strict=True)] == [False] * 4 + [True]
    assert int(first[-1]) != hash("a")  # forks share their seed of hashes, and this process has another one


@pytest.mark.parametrize(("code", "status", "errors"), [
    ("pass", 0, ""),
    ("import sys; sys.exit(3)", 3, ""),
    ("import sys; sys.exit('why')", 1, "why\n"),
    ("import os; os._exit(300)", 44, ""),
    ("import atexit; atexit.register(print, 'last'); raise SystemExit(2)", 2, ""),
    ("import os; os.kill(os.getpid(), 9)", -9, ""),
    ("import ctypes; ctypes.string_at(0)", -signal.SIGSEGV, ""),
    ("import signal; signal.signal(2, signal.default_int_handler); signal.raise_signal(2)", -signal.SIGINT, None),
    ("def f():\n    raise ValueError('no')\nf()", 1, None),
    ("1 +", 1, None),
    ("def f(x: 1 + 1): ...\nprint(f.__annotations__, __builtins__.__name__, __name__)", 0, ""),
    ("import threading, time\n"
     "threading.Thread(target=lambda: (time.sleep(0.1), print('late'))).start(); print('early')", 0, ""),
    ("class A:\n    def __del__(self): print('deleted')\na = A()\nb = [a]; b.append(b)", 0, ""),
    ("import os; os.close(1); print('lost')", None, None),
])  # fmt: skip
def test_a_fork_ends_as_a_fresh_process_does(code, status, errors, preloading):
    def ended():
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    fresh = ended()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subprocess, "_fork_exec", preloading.fork_exec)
        forked = ended()
    assert status in (None, fresh.returncode)
    assert (forked.returncode, forked.stdout) == (fresh.returncode, fresh.stdout)
    assert forked.stderr == fresh.stderr
    assert errors in (None, forked.stderr)


def test_it_reads_what_it_is_sent_and_is_signalled_with_its_group(preloaded):
    code = "import os, sys, time; print(sys.stdin.readline(), os.fork() and '', flush=True); time.sleep(1000)"
    started = [sys.executable, "-W", "ignore", "-c", code]
    pipe = subprocess.PIPE
    with subprocess.Popen(started, stdin=pipe, stdout=pipe, text=True, start_new_session=True) as process:
        assert process.poll() is None
        process.stdin.write("to it\n")
        process.stdin.flush()
        assert process.stdout.readline() == "to it\n"
        child = psutil.Process(process.pid).children()
        assert len(child) == 1
        os.killpg(process.pid, signal.SIGTERM)
        assert process.wait(30) == -signal.SIGTERM
        assert psutil.wait_procs(child, 30)[1] == []
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)


def test_it_gets_the_descriptors_that_are_passed_and_no_other(preloaded):
    reading, writing = os.pipe()
    code = f"import os; os.write({writing}, ' '.join(os.listdir('/proc/self/fd')).encode())"
    with open(os.devnull) as other:
        os.set_inheritable(other.fileno(), True)
        subprocess.run([sys.executable, "-c", code], pass_fds=[writing], check=True)
    os.close(writing)
    with open(reading) as pipe:
        assert set(pipe.read().split()) == {"0", "1", "2", "3", str(writing)}  # 3: of the folder


def computed(number):
    """What the threads of PyTorch, NumPy and SciPy compute, and the process that does."""
    import numpy as np
    import scipy.linalg
    import torch

    matrix = torch.arange(90_000.0, dtype=torch.float64).reshape(300, 300) % 7 - 3 + number
    array = np.asarray(matrix)
    factor = scipy.linalg.qr(array, mode="r")[0]
    return (matrix @ matrix).numpy().tobytes(), (array @ array).tobytes(), float(np.abs(factor).sum()), os.getpid()


def test_spawned_processes_compute_with_all_libraries_and_their_threads(preloaded):
    product, also, factor, here = computed(3)
    with ProcessPoolExecutor(2, SPAWN) as pool:
        for found in pool.map(computed, [3, 3]):
            assert found[:2] == (product, also)  # whole numbers
            assert found[2] == pytest.approx(factor)
            assert found[3] != here


SPAWNS = """
import multiprocessing, os, sys, time
context = multiprocessing.get_context("spawn")

def tell(pipe):
    pipe.send((os.getpid(), os.getppid(), os.getsid(0), "numba" in sys.modules))
    time.sleep(1000)

if __name__ == "__main__":
    ours, theirs = context.Pipe()
    context.Process(target=tell, args=(theirs,), daemon=True).start()
    print(os.getpid(), *ours.recv(), flush=True)
    time.sleep(1000)
"""


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL, "the group"])
def test_a_program_may_have_a_server_of_its_own_which_ends_with_it(end, preloaded_workers, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SPAWNS)
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, script], stdout=pipe, text=True, start_new_session=True) as process:
        program, worker, parent, session, preloads = process.stdout.readline().split()
        family = psutil.Process(process.pid).children()
        os.killpg(process.pid, signal.SIGTERM) if end == "the group" else os.kill(process.pid, end)
    assert {int(program), int(parent), int(session)} == {process.pid}
    assert process.returncode == -(signal.SIGTERM if end == "the group" else end)
    assert preloads == "True"  # Numba, which nothing here has imported
    assert len(family) == 3  # the worker, the server and Python's tracker of resources
    if end != "the group":
        os.kill(int(worker), signal.SIGKILL)
    assert psutil.wait_procs(family, 30)[1] == []


def test_threads_start_processes_at_once(preloaded):
    ended = []

    def start(number):
        ended.append(subprocess.run([sys.executable, "-c", f"raise SystemExit({number})"]).returncode)

    threads = [threading.Thread(target=start, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ended) == list(range(8))


@pytest.mark.parametrize("command", [
    ["-X", "utf8", "-c", "{}"], ["-I", "-c", "{}"], ["-m", "json.tool", "--help"], ["-W", "error", "-m", "this"],
    ["-c"], ["relative.py"], ["-c", "from multiprocessing.resource_tracker import main;main(3)"],
])  # fmt: skip
def test_what_python_itself_must_do_is_left_to_it(command):
    assert preloading_module._parsed(command) is None


def test_a_variable_that_is_read_at_the_start_and_other_programs_start_as_ever(preloading, preloaded, monkeypatch):
    asked = []
    monkeypatch.setattr(preloading_module, "_fork_exec", lambda *given: asked.append(given[0]) or _real(*given))
    program = [sys.executable, "-c", "import os; print(os.environ.get('OMP_NUM_THREADS'))"]
    done = subprocess.run(program, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    assert done.stdout == "1\n"
    subprocess.run(["/bin/true"], check=True)
    subprocess.run([sys.executable, "-c", ""], preexec_fn=lambda: None, check=True)
    subprocess.run([sys.executable, "-c", ""], check=True)
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "/tmp")  # as torch.compile does
    subprocess.run([sys.executable, "-c", ""], check=True)
    assert [one[0] for one in asked] == [sys.executable, "/bin/true", sys.executable]


_real = preloading_module._fork_exec


def test_where_the_server_has_died_the_start_fails_at_once(monkeypatch, tmp_path):
    server = tmp_path / "server.py"
    server.write_text(
        textwrap.dedent("""
        import socket, sys
        with socket.socket(fileno=int(sys.argv[1])) as connection:
            connection.recv(10)
    """)
    )
    monkeypatch.setattr(preloading_module, "SERVER", server)
    began = time.monotonic()
    with preloaded_server() as it:
        monkeypatch.setattr(subprocess, "_fork_exec", it.fork_exec)
        for _ in range(2):
            with pytest.raises(OSError, match=r"server of preloaded.py has ended|Broken pipe|reset by peer"):
                subprocess.run([sys.executable, "-c", ""])
        monkeypatch.undo()
    assert time.monotonic() - began < 30


def test_this_process_adopts_none_but_what_it_starts(preloaded):
    code = "import os, time\nif os.fork() == 0:\n    time.sleep(0.3)"
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)
    assert [one for one in psutil.Process().children() if one.status() == psutil.STATUS_ZOMBIE] == []
    assert Path("/proc/self/status").exists()
