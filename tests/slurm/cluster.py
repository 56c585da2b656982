"""A whole Slurm on this machine, with accounting, in a temporary folder: for tests that want the real thing.

    cd tests; python -m slurm.cluster COMMAND ...    starts one, runs the command with SLURM_CONF set, and stops it

It needs root and the programs of Debian's packages slurm-wlm, slurmdbd, munge and mariadb-server. Nothing of the
system's own configuration is read or changed; every process listens on 127.0.0.1, on a port that was free. If this
process is killed, the cluster ends with it.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from slurm.configuration import Place, slurm_conf, slurmdbd_conf
from slurm.guardian import end_processes, guardian

PROGRAMS = (
    "munged", "mariadbd", "mariadb-install-db", "mariadb", "slurmdbd", "slurmctld", "slurmd", "sbatch", "sacctmgr",
)  # fmt: skip
_SBIN = "/usr/sbin:/sbin"
_PATIENCE = 60  # seconds in which a daemon must answer


def why_not() -> str:
    """Why no cluster can be started here; "" if one can."""
    missing = [name for name in PROGRAMS if shutil.which(name, path=_path()) is None]
    if missing:
        return f"a real Slurm needs {', '.join(missing)} (packages slurm-wlm, slurmdbd, munge, mariadb-server)"
    return "" if os.geteuid() == 0 else "a real Slurm needs root"


class Cluster:
    """A Slurm cluster of one node, this machine.

    Parameters
    ----------
    folder
        A folder of its own, with a short path.
    processors
        How many processors the node is said to have, however many this machine has.
    accounting
        Whether it has accounting.
    settings
        Further lines of slurm.conf.
    """

    def __init__(
        self, folder: Path, processors: int = 4, accounting: bool = True, settings: Sequence[str] = ()
    ) -> None:
        self.folder, self.processors, self.accounting, self.settings = folder, processors, accounting, settings
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        names = ("database", "slurmdbd", "slurmctld", "slurmd")
        self._ports = dict(zip(names, _free_ports(len(names)), strict=True))

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which Slurm's programs find it."""
        return {"SLURM_CONF": str(self.folder / "slurm.conf"), "PATH": _path()}

    @property
    def version(self) -> tuple[int, ...]:
        """The first two numbers of its version."""
        return tuple(map(int, self.call("slurmd", "-V").split()[1].split(".")[:2]))

    def call(self, *command: str) -> str:
        """What one of Slurm's programs prints."""
        done = subprocess.run(
            command, env={**os.environ, **self.environment}, capture_output=True, text=True, timeout=60, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout

    def start(self) -> None:
        """Start all daemons, each once the one before it answers."""
        self._write_configuration()
        self._start_munge()
        if self.accounting:
            self._start_database()
            self._start("slurmdbd", "slurmdbd", "-D")
            self._wait("slurmdbd", lambda: _succeeds(lambda: self.call("sacctmgr", "-n", "list", "cluster")))
            self.call("sacctmgr", "-i", "add", "cluster", "testing")
        self.start_controller()
        self._start("slurmd", "slurmd", "-D", "-N", _host())
        self._wait("slurmd", lambda: "idle" in self.call("sinfo", "-h", "-o", "%T"))

    def start_controller(self) -> None:
        """Start slurmctld, from the state that it has saved."""
        self._start("slurmctld", "slurmctld", "-D")
        self._wait("slurmctld", lambda: _succeeds(lambda: self.call("sinfo", "-h")))

    def kill_controller(self) -> None:
        """End slurmctld at once, as a crash would."""
        process = self._processes.pop("slurmctld")
        process.kill()
        process.wait()

    def heal(self) -> None:
        """Do what an administrator does after a crash: a node with a job that slurmctld did not know is drained."""
        if "drain" in self.call("sinfo", "-h", "-o", "%T"):
            self.call("scontrol", "update", f"NodeName={_host()}", "State=RESUME")
        for line in self.call("squeue", "-h", "-r", "-t", "PENDING", "-o", "%i|%r").splitlines():
            name, _, reason = line.partition("|")
            if reason == "launch failed requeued held":
                with suppress(RuntimeError):
                    self.call("scontrol", "release", name)

    def stop(self) -> None:
        """Cancel all jobs and end all daemons."""
        with suppress(Exception):
            self.call("scancel", "--user=root")
            self._wait("slurmctld", lambda: not self.call("squeue", "-h").strip(), 20)
        for process in reversed(self._processes.values()):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()
        end_processes(self.folder)

    def log(self, name: str) -> str:
        """The end of a daemon's log."""
        path = self.folder / f"{name}.log"
        return path.read_text(errors="replace")[-2000:] if path.exists() else ""

    def _start(self, name: str, *command: str) -> None:
        with open(self.folder / f"{name}.log", "ab") as log:
            self._processes[name] = subprocess.Popen(
                command,
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _wait(self, name: str, done: Callable[[], bool], seconds: float = _PATIENCE) -> None:
        until = time.monotonic() + seconds
        while not done():
            process = self._processes.get(name)
            if process is None or process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{name} does not answer:\n{self.log(name)}")
            time.sleep(0.1)

    def _start_munge(self) -> None:
        folder = self.folder / "munge"
        folder.mkdir(mode=0o755)
        key = folder / "key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        names = {"socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
        options = [f"--{option}={folder / name}" for option, name in names.items()]
        self._start("munge", "munged", "--foreground", "--force", f"--key-file={key}", *options)
        self._wait("munge", (folder / "socket").exists)

    def _start_database(self) -> None:
        data, at = self.folder / "database", self.folder / "database.socket"
        subprocess.run(
            ["mariadb-install-db", "--no-defaults", "--user=root", f"--datadir={data}", "--skip-test-db",
             "--auth-root-authentication-method=normal"],
            env={**os.environ, "PATH": _path()}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True,
        )  # fmt: skip
        self._start(
            "database", "mariadbd", "--no-defaults", "--user=root", f"--datadir={data}", f"--socket={at}",
            f"--port={self._ports['database']}", "--bind-address=127.0.0.1",
            f"--pid-file={self.folder / 'database.pid'}",
            "--innodb-buffer-pool-size=64M", "--innodb-flush-log-at-trx-commit=0",
        )  # fmt: skip
        client = ["mariadb", "--no-defaults", "--user=root", f"--socket={at}", "-e"]
        self._wait("database", lambda: at.exists() and _succeeds(lambda: self.call(*client, "SELECT 1")))
        self.call(
            *client,
            "CREATE DATABASE slurm_acct_db; CREATE USER slurm@'127.0.0.1' IDENTIFIED BY 'slurm'; "
            "GRANT ALL ON slurm_acct_db.* TO slurm@'127.0.0.1'",
        )

    def _write_configuration(self) -> None:
        for name in ("state", "spool"):
            (self.folder / name).mkdir()
        place = Place(self.folder, _host(), self._ports)
        self._write("slurm.conf", slurm_conf(place, self.processors, self.accounting, self.settings))
        self._write("slurmdbd.conf", slurmdbd_conf(place))
        if self.version >= (23, 11):  # earlier ones load no such plugin where none is needed
            self._write("cgroup.conf", "CgroupPlugin=disabled\n")

    def _write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o600)


@contextmanager
def running(processors: int = 4, accounting: bool = True, settings: Sequence[str] = ()) -> Iterator[Cluster]:
    """A block in which a cluster runs; in the end its processes are ended and its folder is removed."""
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))  # sockets need a short path
    folder.chmod(0o755)
    cluster = Cluster(folder, processors, accounting, settings)
    with guardian(folder):
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.stop()


def _succeeds(call: Callable[[], object]) -> bool:
    try:
        call()
    except (RuntimeError, subprocess.TimeoutExpired):
        return False
    return True


def _host() -> str:
    return socket.gethostname().partition(".")[0]


def _path() -> str:
    return f"{os.environ.get('PATH', '/usr/bin:/bin')}:{_SBIN}"


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


if __name__ == "__main__":
    if reason := why_not():
        sys.exit(reason)
    with running() as here:
        sys.exit(subprocess.call(sys.argv[1:] or ["bash"], env={**os.environ, **here.environment}))
