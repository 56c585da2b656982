"""Give one reader of tests/hostile many inputs, in a process of its own, and print what came of it as JSON.

    python tests/torture/fuzz.py READER INPUTS SEED FOLDER [--plain]

With atheris (`pip install "tickets[fuzz]"`) the inputs are guided by the coverage of the package's code; libFuzzer ends
its process itself. Without it, or with --plain, they are mutations of the valid file by a seeded generator. The inputs
that a reader does not answer with a result or an InputError are written to FOLDER, one of each kind.
"""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

LONGEST = 40_000  # bytes of an input
WORDS = (
    b"{", b"}", b"[", b"]", b'"', b":", b",", b"null", b"true", b"NaN", b"Infinity", b"-1", b"1e308", b"1e999", b"-0.0",
    b"9223372036854775808", b'"schema": 1', b'"sha256"', b"../", b"/etc/passwd", b"\\u0000", b"\\ud800", b"\\", b"\0",
    b"shapes", b"data_offsets", b"dtype", b"shape", b"F32", b"BF16", b"F8_E4M3", b"BOOL", b"I64", b"__metadata__",
    b"PAR1", b"\x15\x00", b"\x15\x80\x80\x80\x80\x10", b"\x19\xfc", b"\x2c", b"\x1f\x8b\x08", b"ustar\0", b"[[", b"]]",
    b"'''", b'"""', b"=", b"#", b"\n", b"inf", b"nan", b"0x", b"replicates", b"files", b"round", b"\xff\xff\xff\xff",
)  # fmt: skip
NUMBERS = (0, 1, 2, 127, 128, 255, 2**15 - 1, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**53, 2**62, 2**63 - 1, 2**63)


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Bytes that were once valid: bits flipped, pieces cut, moved or doubled, words and numbers put in."""
    found = bytearray(data)
    for _ in range(1 + min(int(rng.expovariate(0.5)), 12)):
        at, length = rng.randrange(len(found) + 1), min(int(rng.expovariate(0.1)) + 1, 400)
        if rng.random() < 0.3:
            at = min(at, rng.randrange(24))  # headers
        kind = rng.randrange(9)
        if kind == 0 and at < len(found):
            found[at] ^= 1 << rng.randrange(8)
        elif kind == 1 and at < len(found):
            found[at] = rng.randrange(256)
        elif kind == 2:
            del found[at : at + length]
        elif kind == 3:
            found[at:at] = found[at : at + length] * rng.choice((1, 1, 2, 50))
        elif kind == 4:
            found[at:at] = rng.choice(WORDS)
        elif kind == 5:
            word = rng.choice(WORDS)
            found[at : at + len(word)] = word
        elif kind == 6:
            size = rng.choice((1, 2, 4, 8))
            number = rng.choice(NUMBERS) & (2 ** (8 * size) - 1)
            found[at : at + size] = number.to_bytes(size, rng.choice(("little", "big")))
        elif kind == 7:
            other = rng.randrange(len(found) + 1)
            found[at : at + length] = found[other : other + length]
        else:
            digits = [place for place in range(at, min(at + 200, len(found))) if 48 <= found[place] < 58]
            if digits:
                found[digits[0] : digits[0] + 1] = str(rng.choice((*NUMBERS, -1, 10**300))).encode()
    return bytes(found[:LONGEST])


def plain(valid: bytes, inputs: int, seed: int) -> Iterator[bytes]:
    """The valid file, random bytes, and mutations."""
    rng = random.Random(seed)
    yield valid
    for _ in range(inputs - 1):
        yield rng.randbytes(rng.randrange(300)) if rng.random() < 0.05 else mutated(valid, rng)


class Tried:
    """The inputs that were given to a reader, and what it raised that it must not."""

    def __init__(self, name: str, read: Callable[[Path], None], folder: Path, engine: str) -> None:
        from tickets.errors import InputError

        self._name, self._read, self._folder, self._own = name, read, folder, InputError
        self.engine, self.inputs, self.refused = engine, 0, 0
        self.crashes: dict[str, str] = {}
        self._file = folder / "input"
        self._began, self._slowest = time.monotonic(), 0.0

    def __call__(self, data: bytes) -> None:
        self.inputs += 1
        self._file.write_bytes(data)
        began = time.monotonic()
        try:
            self._read(self._file)
        except self._own:
            self.refused += 1
        except Exception as error:
            self._crashed(error, data)
        self._slowest = max(self._slowest, time.monotonic() - began)

    def _crashed(self, error: Exception, data: bytes) -> None:
        at = traceback.extract_tb(error.__traceback__)[-1]
        kind = f"{type(error).__name__} at {Path(at.filename).name}:{at.lineno}"
        if kind not in self.crashes:
            kept = self._folder / f"crash-{len(self.crashes)}"
            kept.write_bytes(data)
            self.crashes[kind] = f"{kept}: {str(error)[:200]}"

    def write(self) -> None:
        """Write the result."""
        result = {
            "reader": self._name,
            "engine": self.engine,
            "inputs": self.inputs,
            "refused": self.refused,
            "crashes": self.crashes,
            "seconds": round(time.monotonic() - self._began, 1),
            "slowest": round(self._slowest, 2),
        }
        (self._folder / "result.json").write_text(json.dumps(result))


def main(name: str, inputs: int, seed: int, folder: Path, is_plain: bool) -> None:
    """Fuzz one reader."""
    folder.mkdir(parents=True, exist_ok=True)
    if os.path.isdir("/dev/shm"):
        tempfile.tempdir = "/dev/shm"  # in memory
    atheris: Any = None
    if not is_plain:
        with suppress(ImportError):
            import atheris
    with atheris.instrument_imports(include=["tickets"]) if atheris else nullcontext():
        from hostile.every_reader import READERS, valid_of
    tried = Tried(name, READERS[name], folder, "atheris" if atheris else "mutations")
    valid = valid_of(name)
    if not atheris:
        for data in plain(valid, inputs, seed):
            tried(data)
        tried.write()
        return
    corpus = folder / "corpus"
    corpus.mkdir(exist_ok=True)
    (corpus / "valid").write_bytes(valid)
    for number, data in enumerate(plain(valid, 30, seed)):
        (corpus / f"{number}").write_bytes(data)
    words = folder / "words"
    words.write_text("".join('"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n' for word in WORDS))
    options = [f"-runs={2 * inputs}", f"-seed={seed + 1}", f"-max_len={LONGEST}", f"-dict={words}", "-timeout=60"]
    options += ["-rss_limit_mb=3000", "-len_control=0", f"-artifact_prefix={folder}/", "-verbosity=0"]

    def one(data: bytes) -> None:
        tried(data)
        if tried.inputs == inputs:
            tried.write()
            os._exit(0)  # libFuzzer would do more, and has no other end

    atheris.Setup([sys.argv[0], *options, str(corpus)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]), "--plain" in sys.argv)
