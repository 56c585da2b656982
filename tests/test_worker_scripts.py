"""Scripts that train with several processes, each of which begins by importing the script."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tickets.store import status

pytestmark = pytest.mark.usefixtures("preloaded_workers")

SHARED = {"replicates": 2, "cohort_size": 1, "rounds": 0}

UNGUARDED = """
import sys, tickets
try:
    tickets.run(sys.argv[1], out=sys.argv[2], workers=2)
except tickets.InputError as error:
    print(error)
"""

FAILING = """
import multiprocessing, sys, tickets
if multiprocessing.current_process().name != "MainProcess":
    sys.exit("no licence for this process")
try:
    tickets.run(sys.argv[1], out=sys.argv[2], workers=2)
except tickets.InputError as error:
    print(error)
"""

POOL = """
import multiprocessing, sys, tickets

def go(where):
    return len(tickets.run(where[0], out=where[1], workers=2).rounds)

if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        try:
            pool.map(go, [sys.argv[1:]])
        except tickets.InputError as error:
            print(error)
"""

ELSEWHERE = """
import multiprocessing, os, sys, tickets

if __name__ == "__main__":
    os.mkdir(sys.argv[2])
    os.chdir(sys.argv[2])
    print(len(tickets.run(sys.argv[1], out="here", workers=2).rounds))
"""


@pytest.fixture
def script(tmp_path, campaign_file):
    """script(source) runs a script that gets a campaign file and a folder; (its folder, the script, what it did)."""

    def run(source):
        folder, path = tmp_path / "saved" / "out", tmp_path / "script.py"
        folder.parent.mkdir()
        path.write_text(source)
        given = [sys.executable, path, campaign_file(tmp_path, **SHARED), folder]
        done = subprocess.run(given, capture_output=True, text=True, check=False, timeout=300)
        return folder, path, done

    return run


def test_a_script_without_a_guard_is_told_how_to_have_one_and_nothing_is_written(script):
    folder, path, done = script(UNGUARDED)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        f"workers = 2: each process begins by importing {path}, and that trains as it is imported; guard its call:\n\n"
        '    if __name__ == "__main__":\n        tickets.run(...)\n'
    )
    assert list(folder.parent.iterdir()) == []


def test_a_script_that_cannot_be_imported_again_is_said_so_and_nothing_is_written(script):
    folder, path, done = script(FAILING)
    said = "no licence for this process"
    assert (done.returncode, done.stderr.replace(said, "").split()) == (0, [])  # two write it, perhaps at once
    first = f"workers = 2: its process ended with exit code 1 (its last line: {said}) before it was ready; its last "
    assert done.stdout.startswith(f"{first}lines:\n    {said}\nIf {path} trains as it is imported, guard its call:")
    assert list(folder.parent.iterdir()) == []


def test_a_worker_of_a_pool_is_told_that_it_may_have_none(script):
    folder, _, done = script(POOL)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "workers = 2: this is a worker of a multiprocessing.Pool, or another daemonic process, which may start no "
        "processes; give workers = 1 here, or use concurrent.futures.ProcessPoolExecutor around it\n"
    )
    assert list(folder.parent.iterdir()) == []


def test_processes_work_where_the_one_that_started_them_has_gone_to(script):
    folder, _, done = script(ELSEWHERE)
    assert (done.returncode, done.stdout, done.stderr) == (0, "8\n", "")
    assert [one.state for one in status(folder / "here")] == ["done"]
    assert [path.name for path in folder.iterdir()] == ["here"]
