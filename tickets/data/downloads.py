"""Addresses and published checksums of the data sets' files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Contents:
    """The uncompressed content of a file: its size in bytes and its SHA-256."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Download:
    """One file to download.

    Attributes
    ----------
    file
        The name of the file at the address.
    md5
        The published MD5 of its bytes.
    size
        The number of its bytes. No more are downloaded.
    contents
        The uncompressed content of a gzipped file, if known.
    members
        The files to extract from a tar archive and their sizes in bytes; None if the file is no archive.
    """

    file: str
    md5: str
    size: int
    contents: Contents | None = None
    members: Mapping[str, int] | None = None


@dataclass(frozen=True)
class Downloads:
    """The files of a data set.

    Attributes
    ----------
    addresses
        The base addresses, which are tried in turn.
    downloads
        The files.
    """

    addresses: tuple[str, ...]
    downloads: tuple[Download, ...]


DOWNLOADS: Mapping[str, Downloads] = {
    "mnist": Downloads(
        addresses=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
        downloads=(
            Download(
                "train-images-idx3-ubyte.gz",
                md5="f68b3c2dcbeaaa9fbdd348bbdeb94873",
                size=9_912_422,
                contents=Contents(47_040_016, "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
            ),
            Download(
                "train-labels-idx1-ubyte.gz",
                md5="d53e105ee54ea40749a09fcbcd1e9432",
                size=28_881,
                contents=Contents(60_008, "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
            ),
            Download(
                "t10k-images-idx3-ubyte.gz",
                md5="9fb629c4189551a2d022fa330f9573f3",
                size=1_648_877,
                contents=Contents(7_840_016, "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
            ),
            Download(
                "t10k-labels-idx1-ubyte.gz",
                md5="ec29112dd5afa0611ce80d1b7f02629c",
                size=4_542,
                contents=Contents(10_008, "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
            ),
        ),
    ),
    "fashion_mnist": Downloads(
        addresses=("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
        downloads=(
            Download("train-images-idx3-ubyte.gz", md5="8d4fb7e6c68d591d4c3dfef9ec88bf0d", size=26_421_880),
            Download("train-labels-idx1-ubyte.gz", md5="25c81989df183df01b3e8a0aad5dffbe", size=29_515),
            Download("t10k-images-idx3-ubyte.gz", md5="bef4ecab320f06d8554ea6380940ec79", size=4_422_102),
            Download("t10k-labels-idx1-ubyte.gz", md5="bb300cfdad3c16e7a12a480ee83cd310", size=5_148),
        ),
    ),
    "cifar10": Downloads(
        addresses=("https://www.cs.toronto.edu/~kriz/",),
        downloads=(
            Download(
                "cifar-10-binary.tar.gz",
                md5="c32a1d4ab5d03f1284b67883e8d87530",
                size=170_052_171,
                members={
                    "cifar-10-batches-bin/data_batch_1.bin": 30_730_000,
                    "cifar-10-batches-bin/data_batch_2.bin": 30_730_000,
                    "cifar-10-batches-bin/data_batch_3.bin": 30_730_000,
                    "cifar-10-batches-bin/data_batch_4.bin": 30_730_000,
                    "cifar-10-batches-bin/data_batch_5.bin": 30_730_000,
                    "cifar-10-batches-bin/test_batch.bin": 30_730_000,
                },
            ),
        ),
    ),
}
