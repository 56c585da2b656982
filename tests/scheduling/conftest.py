"""A Slurm of small shell scripts: what it is asked is recorded, what it answers is written beforehand."""

from __future__ import annotations

from pathlib import Path

import pytest

from tickets.scheduling.submissions import Submitted, record

_ANSWERS = """\
#!/bin/sh
PATH=/usr/bin:/bin
printf '%s\\n' "$(basename "$0") $*" >> {folder}/calls
[ -e {folder}/{name}.sleeps ] && sleep 600
[ -e {folder}/{name}.errors ] && {{ cat {folder}/{name}.errors >&2; exit 1; }}
cat {folder}/{name}.says 2>/dev/null
exit 0
"""
# Keeps the script, and puts the elements of its array into the queue.
_SBATCH = """\
#!/bin/sh
PATH=/usr/bin:/bin
[ -e {folder}/sbatch.errors ] && {{ cat {folder}/sbatch.errors >&2; exit 1; }}
[ -e {folder}/sbatch.says ] && {{ cat {folder}/sbatch.says; exit 0; }}
for last; do :; done
number=$(cat {folder}/next 2>/dev/null || echo 101)
echo $((number + 1)) > {folder}/next
cp "$last" {folder}/$number.sh
printf '%s\\n' "$(basename "$0") $*" >> {folder}/calls
pwd > {folder}/$number.folder
end=$(sed -n 's/^#SBATCH --array=0-\\([0-9]*\\).*/\\1/p' "$last")
for index in $(seq 0 "$end"); do
  echo "${{number}}_$index|PENDING|N/A|2026-11-28T03:00:00|1:00:00||Priority" >> {folder}/squeue.says
done
echo "$number"
"""
# Nothing is in the queue any more.
_SCANCEL = """\
#!/bin/sh
PATH=/usr/bin:/bin
printf '%s\\n' "$(basename "$0") $*" >> {folder}/calls
: > {folder}/squeue.says
"""


class FakeSlurm:
    """Slurm's programs in a folder of their own.

    `says(program, text)` is what a program prints, `fails(program, text)` how it fails, `hangs(program)` that it does
    not end, `calls()` how they were called.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        for name, source in {
            "sbatch": _SBATCH, "scancel": _SCANCEL, **dict.fromkeys(("squeue", "sacct", "scontrol"), _ANSWERS),
        }.items():  # fmt: skip
            program = folder / name
            program.write_text(source.format(folder=folder, name=name))
            program.chmod(0o755)

    def says(self, program: str, text: str | bytes) -> None:
        data = text if isinstance(text, bytes) else text.encode()
        (self.folder / f"{program}.says").write_bytes(data)

    def fails(self, program: str, text: str) -> None:
        (self.folder / f"{program}.errors").write_text(text)

    def hangs(self, program: str) -> None:
        (self.folder / f"{program}.sleeps").touch()

    def lacks(self, program: str) -> None:
        (self.folder / program).unlink()

    def calls(self, program: str = "") -> list[str]:
        path = self.folder / "calls"
        return [line for line in (path.read_text().splitlines() if path.exists() else ()) if line.startswith(program)]

    def script(self, job: int = 101) -> str:
        return (self.folder / f"{job}.sh").read_text()


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    fake = FakeSlurm(tmp_path / "slurms-programs")
    monkeypatch.setenv("PATH", str(fake.folder))
    return fake


@pytest.fixture
def submitted():
    """submitted(folder, "101", 3) records an array of 3 elements."""

    def write(folder, job, elements, cluster="", campaign="tiny-0.toml"):
        (folder / "jobs").mkdir(parents=True, exist_ok=True)
        record(folder, Submitted(job, cluster, elements, campaign), ["tickets", "submit"])

    return write
