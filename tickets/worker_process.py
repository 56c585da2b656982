"""A process that trains for another one: how it is started, given work and ended, and why it died."""

from __future__ import annotations

import ctypes
import faulthandler
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import ForkingPickler
from typing import Any

from tickets.errors import InputError
from tickets.last_lines import LastLines, place_of_crash
from tickets.listener import Event, Gathered, Listener, Uncommitted
from tickets.out_of_memory import oom_kills
from tickets.piece import Work
from tickets.plurals import counted
from tickets.termination import NOTICES, Terminated, terminable
from tickets.users_code import one_line
from tickets.work import Trainer

NAME = "tickets-worker"  # of the processes here
UNGUARDED = 75  # the exit code of a process that was about to train while it imported the script that started it
LOOK_S = 1.0  # between two looks at processes that say nothing
GRACE_S = 5.0  # from the request to end until it is killed
_WRITTEN_S = 1.0  # for the rest of what ended processes wrote: others that they started may hold the pipes open
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of Linux's prctl


@dataclass(frozen=True)
class Death:
    """How a process ended.

    Attributes
    ----------
    why
        In one line.
    lines
        The last lines that it wrote to its standard error.
    out_of_memory
        Whether the kernel killed it because memory ran out.
    code
        Its exit code, or minus the signal; None if it only closed its pipe.
    """

    why: str
    lines: Sequence[str]
    out_of_memory: bool
    code: int | None


@dataclass(eq=False)
class Worker:
    """A process, as the one that started it sees it.

    Attributes
    ----------
    process, pipe, stderr
        The process, the pipe to it, and what it writes to its standard error.
    ready
        Whether it has started up.
    work
        What it trains; None if nothing.
    networks
        How many networks of the work train at once; None before they do.
    kills
        The kernel's count of out-of-memory kills as it was given the work; None if there is no such count.
    listener
        Gets the events of the work.
    """

    process: BaseProcess
    pipe: Connection
    stderr: LastLines
    ready: bool = False
    work: Work | None = None
    networks: int | None = None
    kills: int | None = field(default_factory=oom_kills)
    listener: Uncommitted = field(default_factory=lambda: Uncommitted(lambda event: None))

    @classmethod
    def start(cls) -> Worker:
        """Start a process.

        Raises
        ------
        OSError
            If the system starts no more.
        """
        # Spawned, not forked: a fork of a process whose libraries have started threads can hang. One pipe for each
        # process, not one queue for all: a process that is killed while it holds the lock of a queue stops the others.
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        stderr = LastLines()
        # The kernel ends a process with the thread that started it, which only the main thread of a process outlives.
        lasting = threading.current_thread() is threading.main_thread()
        process = context.Process(target=_work, args=(theirs, lasting), name=NAME, daemon=True)
        try:
            with interrupts_blocked(), stderr.of_processes_started():
                process.start()
        except OSError:
            if process.pid is not None:  # no thread can be started that passes on what it writes
                process.kill()
                process.join()
            raise
        theirs.close()  # the process then has the only one, so that its death closes the pipe
        return cls(process, ours, stderr)

    def give(self, work: Work, listener: Listener) -> str | None:
        """Send it work; why that cannot be sent, or None. If the process is dead, the next read from its pipe fails."""
        try:
            content = ForkingPickler.dumps(work)
        except Exception as error:
            return f"cannot be sent to another process: {one_line(error)}"
        self.work, self.networks, self.kills, self.listener = work, None, oom_kills(), Uncommitted(listener)
        with suppress(OSError):
            self.pipe.send_bytes(content)
        return None

    @property
    def has_died(self) -> bool:
        """Whether it has ended. Its pipe then says so too, unless a process that it has started holds that open."""
        return self.process.exitcode is not None

    def receive(self) -> tuple[str, Any]:
        """Its next message: (kind, content). ("died", a `Death`) if there is none, nor will be. Waits for it."""
        try:
            while not (said := self.pipe.poll(LOOK_S)) and not self.has_died:
                pass
            if said or self.pipe.poll():
                kind, content = self.pipe.recv()
                return kind, content
        except Exception:  # its end, or half of what it was about to send
            pass
        return "died", self._death()

    def _death(self) -> Death:
        self.process.join(GRACE_S)
        code = self.process.exitcode
        end([self])  # it may have closed its pipe alone
        lines = self.stderr.lines()
        if code != -signal.SIGKILL:
            return Death(_ending(code, lines), lines, False, code)
        now = oom_kills()
        if self.kills is None or now is None:
            return Death("its process was killed by SIGKILL (is there enough memory?)", lines, False, code)
        if now == self.kills:
            return Death("its process was killed by SIGKILL", lines, False, code)
        at_once = f", with {counted(self.networks, 'network')} at once" if self.networks else ""
        return Death(f"its process was killed by the kernel, which ran out of memory{at_once}", lines, True, code)


def end(workers: Sequence[Worker]) -> None:
    """End processes, and kill those that have not ended after a while; after a second interrupt, at once."""
    try:
        for worker in workers:
            worker.process.terminate()
            if worker.process.is_alive():
                with suppress(OSError):
                    os.kill(worker.process.pid or 0, signal.SIGCONT)  # a stopped process ends only as it continues
        waiting = {worker.process.sentinel for worker in workers if not worker.has_died}
        deadline = time.monotonic() + GRACE_S
        while waiting and (left := deadline - time.monotonic()) > 0:
            waiting -= {one for one in wait(list(waiting), left) if isinstance(one, int)}
    finally:
        for worker in workers:
            worker.process.kill()
        for worker in workers:
            worker.process.join(GRACE_S)
            worker.pipe.close()
        deadline = time.monotonic() + _WRITTEN_S
        for worker in workers:
            worker.stderr.finish(max(0.0, deadline - time.monotonic()))


def _ending(code: int | None, lines: Sequence[str]) -> str:
    """How a process ended, with the place of a crash or the last line that it wrote."""
    if code is None:
        return "its process closed the pipe to the one that started it"
    if place := place_of_crash(lines):
        said = f" (at {place})"
    else:
        said = f" (its last line: {lines[0 if lines[0].startswith('Fatal') else -1][:200]})" if lines else ""
    if code >= 0:
        return f"its process ended with exit code {code}{said}"
    names = {int(one): one.name for one in signal.Signals}
    return f"its process was ended by {names.get(-code, f'signal {-code}')}{said}"


@contextmanager
def interrupts_blocked() -> Iterator[None]:
    """A block in which SIGINT waits. The processes and threads that start in it never receive the signal.

    Ctrl-C reaches every process of the terminal. The one that the user started ends the others, each of which would
    otherwise print a traceback.
    """
    resource_tracker.ensure_running()  # as it starts, it unblocks the signals
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(pipe: Connection, lasting: bool) -> None:
    """The main function of a process: train each piece of work that the pipe brings, until the process is ended.

    By SIGTERM it ends as by that signal, but not before it has left the work that it has in hand as Ctrl-C does.
    """
    faulthandler.enable(2, all_threads=False)  # the thread that crashed says enough
    _end_with_parent(lasting)
    try:
        with terminable(even_if_ignored=True, signals=NOTICES):
            _train_what_comes(pipe)
    except Terminated:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)


def _train_what_comes(pipe: Connection) -> None:
    def send_event(event: Event) -> None:
        pipe.send(("event", event))

    def send_begun(work: Work, networks: int) -> None:
        pipe.send(("begun", (work, networks)))

    listener, trainer = Gathered(send_event), Trainer(begins=send_begun)
    pipe.send(("ready", None))
    while True:
        try:
            work = pipe.recv()
        except (EOFError, OSError):
            return
        except Exception as error:
            pipe.send(("ended", f"cannot be read by another process: {one_line(error)}"))
            continue
        try:
            reason = trainer.train(work, listener)
        except InputError as error:
            pipe.send(("stop", error))
            return
        except Terminated:
            raise
        except (KeyboardInterrupt, BrokenPipeError) as error:
            reason = one_line(error)  # of the user's code: here nobody presses Ctrl-C, and no output is printed
        listener.flush()
        pipe.send(("ended", reason))


def _end_with_parent(lasting: bool) -> None:
    """Have this process end with the one that started it, which locked the campaign's folder.

    A thread waits for that. On Linux the kernel does, too: it ends a process even while it is stopped.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None

    def wait_for_parent() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=wait_for_parent, daemon=True).start()
    if lasting and sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
