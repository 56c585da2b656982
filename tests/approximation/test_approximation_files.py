"""The files of an approximation: what is damaged, foreign or forged is found, and nothing else is overwritten."""

from __future__ import annotations

import shutil

import pytest

from tickets.approximation import read_approximation
from tickets.approximation.approximating import approximate
from tickets.approximation.verifying import verify_approximations
from tickets.errors import InputError
from tickets.store.sealed import read_json, sealed_json


def test_a_damaged_or_foreign_block_is_found_by_its_hash(trained, tmp_path, in_blocks, stop):
    for name, seed in (("a", 0), ("b", 1)):
        with pytest.raises(KeyboardInterrupt):
            approximate(trained, 9, 0.01, seed=seed, out=tmp_path / name, listener=stop(after=3))
    block = next((tmp_path / "a" / "layer-000").iterdir())
    file = block / "subsets.safetensors"
    before = file.read_bytes()
    file.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    with pytest.raises(InputError, match=rf"{file}: .*SHA-256.*or remove {block}, and the same command searches it"):
        approximate(trained, 9, 0.01, out=tmp_path / "a")
    shutil.rmtree(block)
    shutil.copytree(tmp_path / "b" / "layer-000" / block.name, block)
    with pytest.raises(InputError, match=f"{block}: .*belongs to another approximation"):
        approximate(trained, 9, 0.01, out=tmp_path / "a")
    shutil.rmtree(block)
    (tmp_path / "a" / "layer-000" / "rows-000001-000003").mkdir()
    with pytest.raises(InputError, match="rows-000001-000003: is not a block of this layer"):
        approximate(trained, 9, 0.01, out=tmp_path / "a")


@pytest.mark.parametrize("name", ["network/weights.safetensors", "network/masks.safetensors", "network/manifest.json",
                                  "result.json", "approximation.json"])  # fmt: skip
def test_a_damaged_file_of_the_result_is_found(trained, whole, tmp_path, name):
    shutil.copytree(whole.folder, tmp_path / "a")
    content = bytearray((tmp_path / "a" / name).read_bytes())
    content[-3] ^= 1
    (tmp_path / "a" / name).write_bytes(content)
    for call in (
        lambda: approximate(trained, 10, 0.01, round=1, out=tmp_path / "a"),
        lambda: read_approximation(tmp_path / "a").build(),
    ):
        with pytest.raises(InputError, match=f"{tmp_path / 'a' / name}"):
            call()


def test_other_settings_need_another_folder(trained, whole, arrays):
    before = arrays(whole.folder)
    with pytest.raises(
        InputError, match=r"is of another approximation \(candidates = 10, not 11\); name another folder"
    ):
        approximate(trained, 11, 0.01, round=1, out=whole.folder)
    with pytest.raises(InputError, match=r"is of another approximation \(round = 1, not 0, sha256 = "):
        approximate(trained, 10, 0.01, out=whole.folder)
    assert arrays(whole.folder) == before


def test_where_nothing_is_written(trained, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"mine': has other files in it, such as notes\.txt"):
        approximate(trained, 5, 0.1, out=tmp_path / "mine")
    (run,) = (path for path in trained.iterdir() if (path / "run.json").exists())
    for place in (run, run / "new", run / "cohort-000" / "round-000" / "new"):
        with pytest.raises(InputError, match="lies in a saved run"):
            approximate(trained, 5, 0.1, out=place)
    with pytest.raises(InputError, match=r"notes\.txt'.*is not a folder"):
        approximate(trained, 5, 0.1, out=tmp_path / "mine" / "notes.txt")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("result.json", lambda content: content["result"].update(worst_error="\x1b[2J")),
        ("result.json", lambda content: content["result"].pop("kept")),
        ("result.json", lambda content: content.update(result=7)),
        ("approximation.json", lambda content: content["settings"].update(candidates="many")),
        ("approximation.json", lambda content: content["settings"].update(candidates=10**9)),
        ("approximation.json", lambda content: content["settings"].pop("seed")),
        ("approximation.json", lambda content: content.update(layers=[{"inputs": 2**40, "outputs": 2**40}])),
        ("approximation.json", lambda content: content["layers"][0].update(inputs=2**23, outputs=2**23)),
        ("approximation.json", lambda content: content.update(target=None)),
        ("network/manifest.json", lambda content: content.update(files=[])),
    ],
)
def test_files_with_right_hashes_and_wrong_contents_are_refused(whole, tmp_path, name, change):
    shutil.copytree(whole.folder, tmp_path / "a")
    content = read_json(tmp_path / "a" / name)
    change(content)
    (tmp_path / "a" / name).write_bytes(sealed_json(content))
    with pytest.raises(InputError):
        read_approximation(tmp_path / "a").build()


def test_verify_finds_each_changed_missing_or_foreign_file(trained, tmp_path, command):
    out = tmp_path / "out"
    shutil.copytree(trained, out, ignore=shutil.ignore_patterns("approximations"))
    approximate(out, 8, 0.01)
    (folder,) = (out / "approximations").iterdir()
    (out / "approximations" / "sweep").mkdir()  # the tables of a sweep are no approximation
    (out / "approximations" / "sweep" / "sweep.csv").write_text("a\n")
    assert verify_approximations(out) == []
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    assert len(files) > 6
    for path in files:
        before = path.read_bytes()
        for changed in (before[:-2] + bytes([before[-2] ^ 4]) + before[-1:], None):
            if changed is None:
                path.unlink()
            else:
                path.write_bytes(changed)
            found = verify_approximations(out)
            assert found, path
            assert all(str(folder) in finding.path for finding in found)
            path.write_bytes(before)
    assert verify_approximations(out) == []
    shutil.rmtree(next((folder / "layer-000").iterdir()))
    (finding,) = verify_approximations(out)
    assert "blocks of subsets, and the approximation was measured" in finding.what
    said = command("verify", out)
    assert (said.code, "blocks of subsets" in said.out + said.err) == (1, True)


def test_verify_takes_an_unfinished_search_as_it_is(trained, tmp_path, in_blocks, stop):
    out = tmp_path / "out"
    shutil.copytree(trained, out, ignore=shutil.ignore_patterns("approximations"))
    with pytest.raises(KeyboardInterrupt):
        approximate(out, 9, 0.01, listener=stop(after=3))
    assert verify_approximations(out) == []
