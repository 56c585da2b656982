"""Power cuts of real file systems: an image is shut down without flushing after each step of the store.

It needs root, loop devices and the tools of the file system; elsewhere it is skipped with the reason. What a disk may
forget by the letter of POSIX, and no file system of this machine does, is simulated in tests/store/test_power_cut.py.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import textwrap
from contextlib import contextmanager
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
SHUTDOWN, NO_FLUSH = (
    0x8004587D,
    2,
)  # EXT4_IOC_SHUTDOWN and XFS_IOC_GOINGDOWN are the same; neither log nor data goes out
IMAGES = {  # size in MiB, how to make it, mount options
    "ext4": (64, ["mkfs.ext4", "-q", "-F"], "loop"),
    "ext4 that writes data back late": (64, ["mkfs.ext4", "-q", "-F"], "loop,data=writeback,commit=300"),
    "xfs": (320, ["mkfs.xfs", "-q", "-f"], "loop"),
}

# The store at work, until step n; then the power fails. Each acknowledged round is printed.
PLAYER = textwrap.dedent(
    """
    import fcntl, os, struct, sys
    from pathlib import Path
    sys.path.insert(0, sys.argv[1])
    from played_campaign import play
    from stepped import stepped

    NAIVE = sys.argv[3] == "naive"

    def naive(campaign, acknowledge):
        # Written in place, as json.dump and numpy.save do; said to be done when close has returned.
        for number in range(8):
            (campaign / f"round-{number:03d}").mkdir(parents=True)
            for name in ("masks", "weights", "manifest"):
                path = campaign / f"round-{number:03d}" / name
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
                os.write(descriptor, bytes(name * 100, "ascii"))
                os.close(descriptor)
            acknowledge(f"round-{number:03d}")

    for line in sys.stdin:  # forks a child for each cut: "mount point, campaign, number of the step"
        mount, campaign, n = line.split()
        child = os.fork()
        if child == 0:
            steps = 0
            top = os.open(mount, os.O_RDONLY)

            def hook(name, arguments, call):
                global steps
                result = call()
                steps += 1
                if steps == int(n):
                    fcntl.ioctl(top, 0x8004587D, struct.pack("I", 2))
                    print("cut", flush=True)
                    os._exit(0)
                return result

            try:
                with stepped(Path(campaign), hook):
                    tell = lambda name: print(name, flush=True)
                    naive(Path(campaign), tell) if NAIVE else play(Path(campaign), tell)
                print("finished", flush=True)
            except BaseException as error:
                print("failed", repr(error), flush=True)
            os._exit(0)
        os.waitpid(child, 0)
        print("end", flush=True)
    """
)


@pytest.fixture(params=IMAGES)
def disk(request, tmp_path):
    size, make, options = IMAGES[request.param]
    if os.geteuid() != 0:
        pytest.skip("mounting an image needs root")
    image, point = tmp_path / "image", tmp_path / "mounted"
    point.mkdir()
    with open(image, "wb") as file:
        file.truncate(size * 2**20)
    try:
        made = subprocess.run([*make, str(image)], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip(f"{make[0]} is not installed")
    assert made.returncode == 0, made.stderr
    mounted = subprocess.run(
        ["mount", "-o", options, str(image), str(point)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no image can be mounted here ({mounted.stderr.strip()})")
    yield Disk(image, point, options)
    subprocess.run(["umount", "-l", str(point)], check=False)


class Disk:
    def __init__(self, image, point, options):
        self.image, self.point, self.options = image, point, options

    def remount(self):
        subprocess.run(["umount", str(self.point)], check=True)
        subprocess.run(["mount", "-o", self.options, str(self.image), str(self.point)], check=True)


@contextmanager
def player(how):
    command = [sys.executable, "-c", PLAYER, str(TESTS), "", how]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

        def play_until(disk, campaign, n):
            """Play up to a step; (the acknowledged rounds, how it ended)."""
            process.stdin.write(f"{disk.point} {campaign} {n}\n")
            process.stdin.flush()
            *acknowledged, ended = itertools.takewhile(lambda line: line != "end\n", iter(process.stdout.readline, ""))
            return [name.strip() for name in acknowledged], ended.strip()

        yield play_until
        process.stdin.close()


@pytest.mark.torture
def test_a_power_cut_after_any_step_loses_no_acknowledged_round(disk, tmp_path):
    from played_campaign import Checks, contents, play

    play(tmp_path / "whole")
    whole = contents(tmp_path / "whole")
    check, cuts, ended = Checks(whole), 0, ""
    with player("store") as play_until:
        for n in itertools.count(1):
            campaign = disk.point / f"campaign-{n}"
            acknowledged, ended = play_until(disk, campaign, n)
            if ended == "finished":
                break
            assert ended == "cut"
            disk.remount()
            cuts += 1
            if campaign.exists():
                check(campaign, acknowledged)
            else:
                assert not acknowledged
            play(campaign)
            assert contents(campaign) == whole
            subprocess.run(["rm", "-r", str(campaign)], check=True)
    assert cuts > 170
    print(f"{cuts} cuts")


@pytest.mark.torture
def test_a_naive_save_does_not_survive_it(disk):
    lost = cuts = 0
    with player("naive") as play_until:
        for n in itertools.count(1):
            campaign = disk.point / f"naive-{n}"
            acknowledged, ended = play_until(disk, campaign, n)
            if ended == "finished":
                break
            disk.remount()
            cuts += 1
            for name in acknowledged:
                files = [campaign / name / file for file in ("masks", "weights", "manifest")]
                lost += not all(file.is_file() and file.read_bytes() == file.name.encode() * 100 for file in files)
    print(f"{lost} acknowledged rounds were lost in {cuts} cuts")
    assert lost > cuts
