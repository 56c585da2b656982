"""Files of a saved campaign with any content are read, or refused by the toolkit's own error, and never fill memory."""

from __future__ import annotations

import os
import random
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hostile.store_readers import GOLDEN, READERS, valid
from hypothesis import given, settings
from hypothesis import strategies as st
from torture.fuzz import mutated

import tickets
from tickets.errors import InputError
from tickets.store import ends, reading, ticket_values
from tickets.store.sealed import DEEPEST, parse_json

MIB = 2**20
SEEDS = st.integers(0, 2**32)
SLOW = ("curves.parquet", "rounds.parquet", "a probe's table")


def own_error(read: Callable[[], object]) -> InputError | None:
    """The toolkit's own error, if reading raises it; any other exception passes."""
    try:
        read()
    except InputError as error:
        return error
    return None


def refused(reader: str, path: Path) -> InputError | None:
    return own_error(lambda: READERS[reader](path))


@pytest.mark.parametrize("reader", READERS)
def test_a_valid_file_is_read(reader: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(valid(reader))
    READERS[reader](path)


@pytest.mark.parametrize("reader", READERS)
def test_any_content_is_read_or_refused(reader: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("hostile") / "file"

    @settings(max_examples=8 if reader in SLOW else 25, database=None)
    @given(
        st.binary(max_size=100) | st.integers(0, 2**32).map(lambda seed: mutated(valid(reader), random.Random(seed)))
    )
    def check(data: bytes) -> None:
        path.write_bytes(data)
        refused(reader, path)

    check()


def test_json_of_the_deepest_level_is_read_and_no_deeper_one() -> None:
    assert parse_json(b"[" * DEEPEST + b"]" * DEEPEST)
    with pytest.raises(ValueError, match="nested too deep: at most 100 levels"):
        parse_json(b"[" * (DEEPEST + 1) + b"]" * (DEEPEST + 1))
    with pytest.raises(ValueError, match="nested too deep"):
        parse_json(b'{"a":' * 200 + b"1" + b"}" * 200)
    assert parse_json(b'["' + b"[" * 1000 + b'\\"[[", {"a": "]"}]')[1] == {"a": "]"}
    with pytest.raises(ValueError, match="EOF while parsing a list"):
        parse_json(b"[" * 200)


@pytest.mark.parametrize("bomb", [b"[]", b"0", b"{}", b'""'])
def test_json_of_many_small_values_does_not_fill_the_memory(bomb: bytes) -> None:
    data = b"[" + (bomb + b",") * (8 * MIB // (len(bomb) + 1)) + bomb + b"]"
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"has more than 2,\d+,\d+ values"):
            parse_json(data)
        assert tracemalloc.get_traced_memory()[1] < 3 * len(data)
    finally:
        tracemalloc.stop()


def test_masks_of_the_wrong_size_are_the_toolkits_own_error(tmp_path: Path) -> None:
    """As a fuzzer found: a bit past the end of a mask."""
    path = tmp_path / "masks"
    data = bytearray(valid("masks.safetensors"))
    data[-1] = 255
    path.write_bytes(data)
    READERS["masks.safetensors"](path)
    with pytest.raises(InputError, match="does not have the form of saved runs"):
        ticket_values.mask_of(reading.Committed(), _round("masks.safetensors"), "ticket", 1, 0)


def test_states_that_do_not_fit_the_masks_are_the_toolkits_own_error(tmp_path: Path) -> None:
    path = tmp_path / "states"
    path.write_bytes(valid("optimizer.safetensors"))  # whole tensors, not the surviving values
    assert "does not have the form of saved runs" in str(refused("optimizer.safetensors of a round", path))
    with pytest.raises(InputError, match="surviving values do not fit"):
        ends.read_end_states(_round("optimizer.safetensors"))


def _round(name: str) -> Path:
    from hostile.store_readers import ROUND, _copy

    return _copy(f"rewind/{ROUND}/{name}", "rewind") / ROUND


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The folder of a campaign with one run."""
    copy = Path(shutil.copytree(GOLDEN / "arms" / "saved", tmp_path / "saved"))
    (copy / "campaign.toml").unlink()
    return copy


@pytest.mark.parametrize("name", ["initial", "round-001"])
def test_a_folder_that_is_a_link_is_not_followed(name: str, copied: Path, tmp_path: Path) -> None:
    (run,) = (path.parent for path in copied.glob("*/run.json"))
    folder = run / "cohort-000" / name
    elsewhere = tmp_path / "elsewhere" / run.name / "cohort-000"
    elsewhere.mkdir(parents=True)
    os.rename(folder, elsewhere / name)
    folder.symlink_to(elsewhere / name)
    with pytest.raises(InputError, match=f"{name}: is a link, and links within a saved run are not followed"):
        reading.read_manifest(folder)
    assert any("is a link" in found.what for found in tickets.store.verify(copied))


def test_a_campaign_file_that_is_a_link_is_not_read(copied: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("a secret = that nobody is shown\n")
    (copied / "campaign.toml").symlink_to(tmp_path / "secret")
    with pytest.raises(InputError, match=r"campaign.toml: is a link, .* are not followed; put the file there"):
        tickets.store.status(copied)


@pytest.mark.parametrize("place", ["run.json", "log.jsonl", "cohort-000/initial/manifest.json",
                                   "cohort-000/round-001/manifest.json", "cohort-000/round-001/curves.parquet",
                                   "cohort-000/initial/values.safetensors"])  # fmt: skip
@pytest.mark.parametrize("kind", ["fifo", "device"])
def test_what_is_no_regular_file_is_never_waited_for(place: str, kind: str, copied: Path) -> None:
    (run,) = (path.parent for path in copied.glob("*/run.json"))
    (run / place).unlink(missing_ok=True)
    os.mkfifo(run / place) if kind == "fifo" else (run / place).symlink_to("/dev/zero")
    assert tickets.store.verify(copied)
    for read in (
        lambda: tickets.store.status(copied),
        lambda: tickets.load(copied).rounds,
        lambda: tickets.load(copied).ticket(0, 1),
    ):
        error = own_error(read)
        assert error is None or any(what in str(error) for what in ("a FIFO", "a device", "a link"))


@pytest.mark.parametrize("name", ["round-999999", "round-999999.999999", "cohort-999999", "probes-999999-999999"])
def test_a_number_in_a_folders_name_is_not_counted_up_to_for_long(name: str, copied: Path) -> None:
    (run,) = (path.parent for path in copied.glob("*/run.json"))
    made = run / name if name.startswith("cohort") else run / "cohort-000" / name
    shutil.copytree(run / "cohort-000" / "round-001", made)
    assert 0 < len(tickets.store.verify(copied)) < 110
    for read in (lambda: tickets.store.status(copied), lambda: tickets.load(copied).rounds):
        own_error(read)


@pytest.mark.parametrize("number", ["1000000", "9" * 200, "0000", "0001", "\u0660\u0660\u0661", "1"])
def test_a_folder_whose_number_is_none_is_no_part_of_a_run(number: str, copied: Path) -> None:
    (run,) = (path.parent for path in copied.glob("*/run.json"))
    names = [run / f"cohort-{number}", run / f"cohort-000/round-{number}", run / f"cohort-000/probes-000-{number}"]
    before = tickets.load(copied).rounds
    for name in names:
        name.mkdir()
    assert [(found.path, found.what) for found in tickets.store.verify(copied)] == [
        (str(name), "is no part of a saved run") for name in (names[0], *sorted(names[1:]))
    ]
    assert tickets.load(copied).rounds.equals(before)
