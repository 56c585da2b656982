"""Campaign files that are streams: `tickets run <(command)`, `command | tickets run /dev/stdin`."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tickets.config import Campaign, read_campaign, read_once
from tickets.config.bounds import FILE_BYTES
from tickets.errors import InputError

TEXT = b'name = "streamed"\ndata = "digits"\nmodel = "mlp"\n'


@pytest.fixture
def stream() -> Iterator[Callable[[bytes], Path]]:
    """stream(data) is the path of a pipe into which the data is written, as the shell gives it."""
    ends, writers = [], []

    def make(data: bytes) -> Path:
        reads, writes = os.pipe()

        def write() -> None:
            left = memoryview(data)
            with contextlib.suppress(BrokenPipeError):  # whoever reads has had enough
                while left:
                    left = left[os.write(writes, left) :]
            os.close(writes)

        ends.append(reads)
        writers.append(threading.Thread(target=write))
        writers[-1].start()
        return Path(f"/dev/fd/{reads}")

    yield make
    for end in ends:
        os.close(end)
    for writer in writers:
        writer.join()


def test_it_is_read_with_the_settings_and_named_in_errors(stream: Callable[[bytes], Path]) -> None:
    campaign, settings = read_once(stream(TEXT), ["seed=3"])
    assert isinstance(campaign, Campaign)
    assert (campaign.name, campaign.runs[0].seed, settings) == ("streamed", 3, ())
    path = stream(TEXT + b"rounds = -1\n")
    with pytest.raises(InputError, match=f"^{path}: rounds = -1: must be at least 0"):
        read_once(path, ())


def test_a_pipe_that_does_not_block_is_waited_for() -> None:
    reads, writes = os.pipe()
    os.set_blocking(reads, False)
    timer = threading.Timer(0.05, lambda: (os.write(writes, TEXT), os.close(writes)))
    timer.start()
    assert read_campaign(f"/proc/self/fd/{reads}").name == "streamed"
    timer.join()
    os.close(reads)


def test_no_more_is_read_than_a_file_may_have(stream: Callable[[bytes], Path]) -> None:
    with pytest.raises(InputError, match=f"gives more than {FILE_BYTES:,} bytes"):
        read_once(stream(b"#" * (FILE_BYTES + 2**20)), ())
    assert read_campaign(stream(TEXT + b"#" * (FILE_BYTES - len(TEXT)))).name == "streamed"


def test_no_other_path_is_a_stream(stream: Callable[[bytes], Path], tmp_path: Path) -> None:
    pipe = stream(TEXT)
    (tmp_path / "link").symlink_to(f"/proc/{os.getpid()}/fd/{pipe.name}")
    os.mkfifo(tmp_path / "fifo")
    for name in ("link", "fifo"):
        assert read_once(tmp_path / name, ["seed=3"]) == (tmp_path / name, ["seed=3"])
        with pytest.raises(InputError, match=f"{name}: is a FIFO, not a regular file"):
            read_campaign(tmp_path / name)
    with pytest.raises(InputError, match="/dev/fd/987654: no such file"):
        read_campaign("/dev/fd/987654")
    zeros = os.open("/dev/zero", os.O_RDONLY)
    with pytest.raises(InputError, match="is a device, not a regular file"):
        read_campaign(f"/dev/fd/{zeros}")
    os.close(zeros)
