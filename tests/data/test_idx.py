from __future__ import annotations

import gzip
import hashlib
import os
import re
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tickets.data.dataset import Dataset
from tickets.data.idx import FILES, fashion_mnist, mnist
from tickets.errors import DiskError, InputError

Write = Callable[..., Path]


def under(name: str, contents: dict[str, bytes]) -> dict[str, bytes]:
    return {f"{name}/{file}": data for file, data in contents.items()}


@pytest.mark.parametrize("gzipped", [False, True])
def test_mnist_is_read_normalised_and_hashed(idx_contents: dict[str, bytes], write_files: Write, gzipped: bool) -> None:
    dataset = mnist(write_files(under("mnist", idx_contents), gzipped)).validated()
    assert dataset.train_inputs.shape == (5, 1, 28, 28)
    assert dataset.test_inputs.shape == (2, 1, 28, 28)
    assert dataset.train_labels.tolist() == [3, 0, 9, 1, 1]
    assert dataset.test_labels.tolist() == [7, 2]
    wanted = (torch.tensor([30.0, 57.0]) / 255 - 0.1307) / 0.3081  # rows 0 and 27 of image 3
    assert torch.allclose(dataset.train_inputs[3, 0, [0, 27], 5], wanted)
    assert dataset.sha256 == hashlib.sha256(b"".join(idx_contents[file] for file in FILES)).hexdigest()
    assert dataset.classes == 10


def test_fashion_mnist_has_its_own_folder_and_scale(idx_contents: dict[str, bytes], write_files: Write) -> None:
    dataset = fashion_mnist(write_files(under("fashion_mnist", idx_contents)))
    assert dataset.name == "fashion_mnist"
    assert torch.allclose(dataset.train_inputs[0, 0, 0, 0], torch.tensor((0 - 0.2860) / 0.3530))


def test_plain_and_gzipped_files_may_be_mixed_and_plain_ones_come_first(
    idx_contents: dict[str, bytes], write_files: Write
) -> None:
    folder = write_files(under("mnist", idx_contents), gzipped=True)
    write_files({"mnist/train-labels-idx1-ubyte": struct.pack(">2I", 0x801, 5) + bytes([4] * 5)})
    assert mnist(folder).train_labels.tolist() == [4] * 5


def header(magic: int, *sizes: int) -> bytes:
    return struct.pack(f">{1 + len(sizes)}I", magic, *sizes)


IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


@pytest.mark.parametrize(
    ("file", "data", "message"),
    [
        (IMAGES, b"", "it has 0 bytes; the header of an image file alone has 16"),
        (LABELS, b"\0\0\x08", "it has 3 bytes; the header of a label file alone has 8"),
        (
            IMAGES,
            header(0x801, 5) + bytes(8),
            "its magic number is 0x00000801 (this is a label file); an image file begins with 0x00000803",
        ),
        (
            LABELS,
            header(0x803, 5, 28, 28),
            "its magic number is 0x00000803 (this is an image file); a label file begins with 0x00000801",
        ),
        (LABELS, header(0x1F8B0808, 5) + bytes(5), "its magic number is 0x1f8b0808; a label file begins"),
        (
            IMAGES,
            header(0x803, 5, 28, 27) + bytes(5 * 28 * 27),
            "its images are 28 x 27; they must be 28 x 28",
        ),
        (
            IMAGES,
            header(0x803, 5, 28, 28) + bytes(5 * 784 - 1),
            "it is too short: 3,935 bytes, but its header says 5 examples, which take 3,936",
        ),
        (
            IMAGES,
            header(0x803, 5, 28, 28) + bytes(5 * 784 + 1),
            "it is too long: {3,937|more than 3,936} bytes, but its header says 5 examples, which take 3,936",
        ),
        (
            LABELS,
            header(0x801, 2**32 - 1) + bytes(5),
            "{it is too short: 13 bytes, but |}its header says 4,294,967,295 examples, which take 4,294,967,303",
        ),
        (
            LABELS,
            header(0x801, 5) + bytes([1, 10, 2, 255, 3]),
            "label 1 is 10 (2 such); labels must be 0 to 9",
        ),
    ],
)
@pytest.mark.parametrize("gzipped", [False, True])
def test_a_bad_file_is_named_with_what_is_wrong_and_the_mend(
    idx_contents: dict[str, bytes], write_files: Write, file: str, data: bytes, message: str, gzipped: bool
) -> None:
    folder = write_files(under("mnist", idx_contents | {file: data}), gzipped)
    with pytest.raises(InputError) as caught:
        mnist(folder)
    (problem,) = caught.value.problems
    path = folder / "mnist" / (f"{file}.gz" if gzipped else file)
    # {of a plain file|of a gzipped one}
    message = re.sub(r"{(.*)\|(.*)}", r"\2" if gzipped else r"\1", message)
    assert problem.startswith(f"{path}: {message}")
    assert problem.endswith(f"; delete it and run `tickets fetch mnist --data {folder}`")


def test_counts_that_differ_name_both_files(idx_contents: dict[str, bytes], write_files: Write) -> None:
    folder = write_files(under("mnist", idx_contents | {LABELS: header(0x801, 4) + bytes(4)}))
    with pytest.raises(InputError, match=f"{IMAGES} has 5 images and .*{LABELS} has 4 labels; the numbers"):
        mnist(folder)


def test_an_empty_data_set_is_refused(idx_contents: dict[str, bytes], write_files: Write) -> None:
    empty = {IMAGES: header(0x803, 0, 28, 28), LABELS: header(0x801, 0)}
    with pytest.raises(InputError, match="train_inputs is empty"):
        mnist(write_files(under("mnist", idx_contents | empty))).validated()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda data: data[:-20], "its gzip data ends too early"),
        (lambda data: data[:30], "its gzip data ends too early, after 30 bytes"),
        (
            lambda data: data[:-6] + bytes([data[-6] ^ 1]) + data[-5:],
            "its gzip data is damaged (incorrect data check)",
        ),
        (lambda data: data[:15] + b"\xff" * 10 + data[25:], "its gzip data is damaged ("),
        (lambda data: data[:-2] + b"\xff\xff", "its gzip data is damaged (incorrect length check)"),
        (lambda data: b"PK" + data[2:], "its gzip data is damaged (incorrect header check)"),
    ],
)
def test_damaged_gzip_data_is_named(
    idx_contents: dict[str, bytes], write_files: Write, spoil: Callable[[bytes], bytes], message: str
) -> None:
    folder = write_files(under("mnist", idx_contents), gzipped=True)
    path = folder / "mnist" / f"{IMAGES}.gz"
    path.write_bytes(spoil(gzip.compress(idx_contents[IMAGES])))
    with pytest.raises(InputError, match=re.escape(f"{path}: {message}")) as caught:
        mnist(folder)
    assert "delete it and run `tickets fetch mnist" in str(caught.value)


def test_every_bad_file_is_told_at_once(idx_contents: dict[str, bytes], write_files: Write) -> None:
    bad = dict.fromkeys(FILES[:3], b"")
    with pytest.raises(InputError) as caught:
        mnist(write_files(under("mnist", idx_contents | bad)))
    assert len(caught.value.problems) == 3


def test_a_file_that_the_system_refuses_is_named_and_not_called_damaged(
    idx_contents: dict[str, bytes], write_files: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_files(under("mnist", idx_contents))
    real = os.open

    def refuse(path: Path, flags: int, *rest: int, **options: int) -> int:
        if IMAGES in str(path):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, flags, *rest, **options)

    monkeypatch.setattr("tickets.opening.os.open", refuse)
    with pytest.raises(DiskError, match=f"{IMAGES}: cannot be read \\(Permission denied\\)") as caught:
        mnist(folder)
    assert "delete" not in str(caught.value)


def test_missing_files_are_all_named_with_the_command(idx_contents: dict[str, bytes], write_files: Write) -> None:
    del idx_contents[IMAGES], idx_contents[LABELS]
    folder = write_files(under("mnist", idx_contents))
    with pytest.raises(InputError) as caught:
        mnist(folder)
    assert str(caught.value) == (
        f"data 'mnist': 2 files are missing in {folder}/mnist: {IMAGES}, {LABELS} "
        f"(each as it is or with .gz); `tickets fetch mnist --data {folder}` downloads them"
    )


def test_a_folder_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    folder = tmp_path / "no data"
    with pytest.raises(
        InputError, match=r"4 files are missing in .*no data/mnist, which does not exist: train-images"
    ) as caught:
        mnist(folder)
    assert f"`tickets fetch mnist --data '{folder}'`" in str(caught.value)  # quoted for the shell


def test_a_folder_one_too_deep_gets_a_hint(idx_contents: dict[str, bytes], write_files: Write) -> None:
    folder = write_files(under("mnist", idx_contents)) / "mnist"
    with pytest.raises(
        InputError, match="holds them itself: the data folder is the one that has a folder 'mnist' in it"
    ):
        mnist(folder)


def test_no_folder_says_how_to_give_one() -> None:
    with pytest.raises(InputError) as caught:
        mnist(None)
    for way in (
        "--data FOLDER",
        'data_folder = "FOLDER"',
        "TICKETS_DATA",
        "`tickets fetch mnist --data FOLDER`",
    ):
        assert way in str(caught.value)


DOTTED = {file: file.replace("-idx", ".idx") for file in FILES}


@pytest.mark.parametrize("gzipped", [False, True])
@pytest.mark.parametrize("dotted", [False, True])
@pytest.mark.parametrize(
    ("load", "place"),
    [
        (mnist, "MNIST/raw"),
        (mnist, "mnist/MNIST/raw"),
        (mnist, "mnist/raw"),
        (mnist, "mnist"),
        (fashion_mnist, "FashionMNIST/raw"),
        (fashion_mnist, "fashion_mnist/FashionMNIST/raw"),
        (fashion_mnist, "fashion_mnist"),
    ],
)
def test_torchvisions_folders_and_dotted_names_are_found(
    idx_contents: dict[str, bytes],
    write_files: Write,
    load: Callable[[Path], Dataset],
    place: str,
    dotted: bool,
    gzipped: bool,
) -> None:
    named = {DOTTED[file] if dotted else file: data for file, data in idx_contents.items()}
    dataset = load(write_files(under(place, named), gzipped)).validated()
    assert dataset.train_labels.tolist() == [3, 0, 9, 1, 1]
    assert dataset.sha256 == hashlib.sha256(b"".join(idx_contents[file] for file in FILES)).hexdigest()


def test_neither_takes_the_others_files(idx_contents: dict[str, bytes], write_files: Write) -> None:
    folder = write_files(under("FashionMNIST/raw", idx_contents))
    with pytest.raises(InputError, match="4 files are missing in"):
        mnist(folder)


def test_a_whole_folder_comes_before_one_with_a_few_of_the_files(
    idx_contents: dict[str, bytes], write_files: Write
) -> None:
    write_files({f"mnist/{LABELS}": b"torn"})
    folder = write_files(under("MNIST/raw", idx_contents))
    assert mnist(folder).train_labels.tolist() == [3, 0, 9, 1, 1]


def test_names_and_forms_may_be_mixed_and_the_published_name_comes_first(
    idx_contents: dict[str, bytes], write_files: Write
) -> None:
    folder = write_files(under("mnist", {DOTTED[file]: data for file, data in idx_contents.items()}), gzipped=True)
    write_files({f"mnist/{LABELS}": struct.pack(">2I", 0x801, 5) + bytes([4] * 5)})
    assert mnist(folder).train_labels.tolist() == [4] * 5


@pytest.mark.parametrize("place", ["MNIST/processed", "mnist/MNIST/processed"])
def test_torchvisions_old_pickles_are_seen_and_not_read(write_files: Write, place: str) -> None:
    folder = write_files({f"{place}/training.pt": b"cos\nsystem\n(S'exit 1'\ntR."})
    with pytest.raises(InputError) as caught:
        mnist(folder)
    assert f"{folder / place} is there: it holds Python pickles, which are never read" in str(caught.value)
    assert "`tickets fetch mnist --data" in str(caught.value)


def test_pixels_can_be_left_in_their_range(idx_contents: dict[str, bytes], write_files: Write) -> None:
    dataset = mnist(write_files(under("mnist", idx_contents)), normalise=False)
    assert torch.allclose(dataset.train_inputs[3, 0, [0, 27], 5], torch.tensor([30.0, 57.0]) / 255, rtol=0, atol=1e-7)
