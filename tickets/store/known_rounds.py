"""The table `rounds` of many runs, kept in one file, which spares reading their files while these are as they were.

It is derived from the saved runs and is never the truth: it may be removed at any time, and one that is damaged or of
another version is ignored. A run is found in it only while all of its files from which the rows were made, and the
folders that hold them, have the inodes, the sizes and the times that they had then. So it does not hold for a copy.

The file is a line that says what it is, a line of JSON about the runs, and a Parquet file.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field, TypeAdapter
from typing_extensions import TypedDict

from tickets.errors import InputError
from tickets.opening import open_regular
from tickets.store.commit import replace_file
from tickets.store.derived import LAST_STEP, STEPS_TO_DENSE_LOSS, UNTRAINED_TEST_ACCURACY
from tickets.store.index import TICK_NS, Signature, signature, signed
from tickets.store.layout import Layout
from tickets.store.sealed import parse_json
from tickets.store.tables import ROUNDS, decode_table
from tickets.version import __version__

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = pa.schema(
    [*ROUNDS, (LAST_STEP, pa.int64()), (STEPS_TO_DENSE_LOSS, pa.float64()), (UNTRAINED_TEST_ACCURACY, pa.float64())]
)

_FORMAT = 1  # raised when the file's form changes, or the meaning of a column
_LARGEST = 2**30  # bytes; 10,000 runs of 24 rows take 1.6 MB
_FILES = (Layout.MANIFEST, Layout.ROUNDS, Layout.CURVES)  # of a committed folder, of which the rows were made


class _About(TypedDict):
    """The line of JSON. runs: by name of the folder, (digest, run's id, place in `arms`, place in `places`)."""

    seconds: Annotated[float, Field(ge=0)]
    rows: Annotated[int, Field(ge=0)]
    arms: list[list[str]]
    places: list[list[str]]
    runs: dict[str, tuple[str, str, Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]]]


_FORM = TypeAdapter(_About)


@dataclass(frozen=True)
class Known:
    """What is known of a run whose files are as they were.

    Attributes
    ----------
    run
        Its id, from run.json.
    arms
        The labels of its arms, in the campaign's order.
    signature
        The signature of its files.
    """

    run: str
    arms: tuple[str, ...]
    signature: Signature

    @property
    def folders(self) -> frozenset[str]:
        """Its committed folders, as "cohort-000/round-003"."""
        return frozenset(os.path.dirname(place) for place in self.signature.places if place.endswith(Layout.MANIFEST))


class KnownRounds:
    """The file of a campaign's folder.

    Parameters
    ----------
    folder
        The campaign's folder.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / Layout.KNOWN_ROUNDS
        self._started = time.monotonic()
        self._runs: Mapping[str, tuple[str, str, tuple[str, ...], tuple[str, ...]]] = {}
        self._table: pa.Table | None = None
        self._trusted_until_ns = 0
        wrong = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)
        with suppress(InputError, OSError, *wrong):
            self._read()

    def find(self, run: Path) -> Known | None:
        """What is known of a run, if its files are as they were; else None.

        Parameters
        ----------
        run
            The run's folder.
        """
        if run.name not in self._runs:
            return None
        digest, name, arms, places = self._runs[run.name]
        now = signed(run, places)
        if now is None or now.digest != digest or now.newest_ns >= self._trusted_until_ns:
            return None
        return Known(name, arms, now)

    def rows(self, runs: Collection[str]) -> pd.DataFrame:
        """The rows of `rounds` of some runs that were found, by id."""
        assert self._table is not None
        frame: pd.DataFrame = self._table.to_pandas()
        return frame[frame["run"].isin(list(runs))].reset_index(drop=True)

    def write(self, known: Mapping[str, Known], rounds: pd.DataFrame) -> None:
        """Write the file. Nothing happens if the folder is not writable, or if a network has no last step.

        Parameters
        ----------
        known
            {name of a run's folder: what is known of it}, from before its files were read.
        rounds
            The rows of all of these runs.
        """
        arms: dict[tuple[str, ...], int] = {}
        places: dict[tuple[str, ...], int] = {}
        runs = {
            name: [
                one.signature.digest, one.run, arms.setdefault(one.arms, len(arms)),
                places.setdefault(one.signature.places, len(places)),
            ]
            for name, one in known.items()
        }  # fmt: skip
        if list(rounds.columns) != SCHEMA.names or rounds[LAST_STEP].dtype != "int64":
            return
        table = pa.Table.from_pandas(rounds, schema=SCHEMA, preserve_index=False).replace_schema_metadata(None)
        about = {
            "seconds": time.monotonic() - self._started,
            "rows": len(table),
            "arms": list(arms),
            "places": list(places),
            "runs": runs,
        }
        parquet = io.BytesIO()
        pq.write_table(table, parquet)
        body = json.dumps(about).encode() + b"\n" + parquet.getvalue()
        with suppress(InputError, OSError):
            if self._path.parent.is_dir():  # which `replace_file` would make
                replace_file(self._path, _head(body) + body)

    def _read(self) -> None:
        with open_regular(self._path, at_most=_LARGEST) as file:
            written_ns = os.fstat(file.fileno()).st_mtime_ns
            head, body = file.readline(), file.read(_LARGEST)
        if head != _head(body):
            return
        line, _, parquet = body.partition(b"\n")
        about: _About = _FORM.validate_python(parse_json(line))
        table = decode_table(parquet, SCHEMA, about["rows"])
        arms, places = list(map(tuple, about["arms"])), list(map(tuple, about["places"]))
        runs = {name: (digest, run, arms[its], places[at]) for name, (digest, run, its, at) in about["runs"].items()}
        # By the clock of the file system, which may not be this machine's.
        self._trusted_until_ns = written_ns - int(about["seconds"] * 1e9) - TICK_NS
        self._runs, self._table = runs, table


def signature_of(run: Path) -> Signature | None:
    """The signature of the files of a run from which its rows are made; None if it has no run.json."""
    return signature(run, _FILES)


def folders_in(parts: Sequence[Path], run: Path, known: Known) -> tuple[Path, ...]:
    """Those of a run's committed folders that were there when it became known."""
    return tuple(path for path in parts if path.relative_to(run).as_posix() in known.folders)


def _head(body: bytes) -> bytes:
    """The first line: what the file is, by which version, and the hash of the rest."""
    return f"tickets {__version__} rounds {_FORMAT} {hashlib.sha256(body).hexdigest()}\n".encode()
