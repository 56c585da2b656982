"""How processes are ended: stopped ones and those that ignore the request, too, and at once after a second Ctrl-C."""

from __future__ import annotations

import subprocess
import sys

# In a process of its own, which may be forked: it has no threads yet.
ENDED = """
import multiprocessing, os, signal, sys, time
import tickets.worker_process
from tickets.last_lines import LastLines
from tickets.worker_process import Worker, end

def wait(ready, ignores):
    if ignores:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    ready.send(True)
    time.sleep(1000)

def make(ignores, stopped):
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=wait, args=(theirs, ignores), daemon=True)
    process.start()
    theirs.close()
    ours.recv()
    if stopped:
        os.kill(process.pid, signal.SIGSTOP)
    return Worker(process, ours, LastLines())

def interrupt(*given):
    raise KeyboardInterrupt

tickets.worker_process.GRACE_S = 1000.0
worker = make(ignores=False, stopped=True)
end([worker])
print(worker.process.exitcode)

worker = make(ignores=True, stopped=False)
signal.signal(signal.SIGALRM, interrupt)
signal.setitimer(signal.ITIMER_REAL, 0.2)
try:
    end([worker])
except KeyboardInterrupt:
    print(worker.process.exitcode)

tickets.worker_process.GRACE_S = tickets.worker_process.LOOK_S = 0.2
workers = [make(ignores=True, stopped=False), make(ignores=True, stopped=True), make(ignores=False, stopped=False)]
end(workers)
print(*[worker.process.exitcode for worker in workers])

def leave(pipe):
    child = os.fork()
    if child == 0:
        time.sleep(1000)
    pipe.send(child)
    os._exit(3)

context = multiprocessing.get_context("fork")
ours, theirs = context.Pipe()
process = context.Process(target=leave, args=(theirs,), daemon=True)
process.start()
theirs.close()
worker = Worker(process, ours, LastLines())
child = ours.recv()
try:
    kind, death = worker.receive()
    print(kind, death.why)
finally:
    os.kill(child, signal.SIGKILL)
"""


def test_every_process_is_ended_and_the_stubborn_ones_are_killed():
    command = [sys.executable, "-W", "ignore", "-c", ENDED]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    *ended, died = done.stdout.splitlines()
    assert ended == ["-15", "-9", "-9 -9 -15"]
    # Though a process that it had started held its pipe open.
    assert died == "died its process ended with exit code 3"
