"""One damaged run among many, and the rest of them."""

import pytest

from tickets.errors import InputError
from tickets.store import load


@pytest.fixture
def folder(example, tmp_path):
    for name in ("run-a", "run-b", "run-c"):
        example.named(name).write(tmp_path / name)
    return tmp_path


def damage(path):
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))


@pytest.mark.parametrize("name", ["rounds.parquet", "manifest.json"])
def test_a_damaged_run_is_named_and_left_out_whole(folder, name):
    whole = load(folder).rounds
    damage(folder / "run-b" / "cohort-000" / "round-001" / name)
    with pytest.raises(InputError, match=rf"run-b/cohort-000/round-001/{name}"):
        _ = load(folder).rounds
    saved = load(folder, skip_damaged=True)
    assert list(saved.damaged) == ["run-b"]
    assert f"round-001/{name}: " in saved.damaged["run-b"]
    kept = whole[whole["run"] != "run-b"].reset_index(drop=True)
    assert saved.rounds.equals(kept)


def test_a_run_whose_curves_are_damaged_is_left_out_of_rounds_too(folder):
    damage(folder / "run-b" / "cohort-000" / "round-001" / "curves.parquet")
    saved = load(folder, skip_damaged=True)
    # Two columns of rounds follow from curves.
    assert list(saved.damaged) == ["run-b"]
    assert sorted(saved.rounds["run"].unique()) == ["run-a", "run-c"]
    assert sorted(saved.curves["run"].unique()) == ["run-a", "run-c"]


def test_a_run_whose_configuration_cannot_be_read_has_its_folders_name(folder):
    (folder / "run-a" / "run.json").write_text("{")
    saved = load(folder, skip_damaged=True)
    assert saved.runs == ["run-b", "run-c"]
    assert "damaged, not JSON" in saved.damaged["run-a"]
    assert sorted(saved.rounds["run"].unique()) == ["run-b", "run-c"]


def test_when_no_run_is_left_it_is_an_error_that_names_them_all(folder):
    for name in ("run-a", "run-b", "run-c"):
        (folder / name / "run.json").write_text("{")
    with pytest.raises(InputError) as error:
        load(folder, skip_damaged=True)
    assert len(error.value.problems) == 3


def test_where_nothing_is_damaged_nothing_is_left_out(folder):
    saved = load(folder, skip_damaged=True)
    assert saved.damaged == load(folder).damaged == {}
    assert saved.rounds.equals(load(folder).rounds)
