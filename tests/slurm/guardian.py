"""A process that ends a cluster and removes its folder once whoever started it is no longer there."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def guardian(folder: Path) -> Iterator[None]:
    """A block after which a cluster's processes are ended and its folder is removed, even if this process is killed."""
    command = [sys.executable, "-I", __file__, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdin is not None
        yield
        process.stdin.close()


def end_processes(folder: Path) -> None:
    """End every process of a cluster: daemons, steps and what these started have its folder in their environment."""
    wanted = f"SLURM_CONF={folder}/slurm.conf".encode()
    for process in Path("/proc").iterdir():
        with suppress(OSError):
            other = process.name.isdigit() and int(process.name) != os.getpid()
            if other and wanted in (process / "environ").read_bytes().split(b"\0"):
                os.kill(int(process.name), signal.SIGKILL)


if __name__ == "__main__":
    sys.stdin.read()
    end_processes(Path(sys.argv[1]))
    shutil.rmtree(sys.argv[1], ignore_errors=True)
