"""Seeds: every use of chance has a stream of its own.

A stream is named by what it is for, never by how many others there are, so that more replicates, arms,
draws or rounds change nobody else's numbers.
"""

from __future__ import annotations

import hashlib
import json


def stream(*name: int | str) -> int:
    """The seed of the stream with this name: the first 63 bits of the SHA-256 of the name as JSON.

    `name` is usually (campaign seed, replicate, purpose, round, draw). Returns an int in [0, 2**63).
    """
    digest = hashlib.sha256(json.dumps(name, separators=(",", ":")).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
